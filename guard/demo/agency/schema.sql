CREATE TABLE person (
  person_id    TEXT PRIMARY KEY,
  full_name    TEXT NOT NULL,
  id_number    TEXT NOT NULL UNIQUE,
  birth_date   TEXT NOT NULL,
  mobile       TEXT NOT NULL,
  home_address TEXT NOT NULL,
  religion     TEXT,
  blood_type   TEXT,
  frozen_flag  INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE wealth (
  person_id       TEXT PRIMARY KEY REFERENCES person,
  monthly_income  INTEGER NOT NULL,
  deposit_balance INTEGER NOT NULL
);

CREATE TABLE credit_line (
  line_id          INTEGER PRIMARY KEY,
  person_id        TEXT NOT NULL REFERENCES person,
  institution      TEXT NOT NULL,
  kind             TEXT NOT NULL,
  balance          INTEGER NOT NULL,
  status           TEXT NOT NULL,
  overdue_days     INTEGER NOT NULL,
  overdue_ended_on TEXT
);
CREATE INDEX credit_line_person ON credit_line (person_id);

CREATE TABLE inquiry_case (
  case_id     INTEGER PRIMARY KEY,
  person_id   TEXT NOT NULL REFERENCES person,
  officer_id  TEXT NOT NULL,
  reason_code TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('open', 'closed')),
  opened_on   TEXT NOT NULL
);
CREATE INDEX inquiry_case_person ON inquiry_case (person_id, officer_id, status);
