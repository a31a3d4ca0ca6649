CREATE TABLE customer (
  customer_id    INTEGER PRIMARY KEY,
  full_name      TEXT NOT NULL,
  id_number      TEXT NOT NULL UNIQUE,
  id_valid_to    TEXT NOT NULL,
  birth_date     TEXT NOT NULL,
  mobile         TEXT NOT NULL,
  home_address   TEXT NOT NULL,
  employer       TEXT,
  monthly_income INTEGER,
  frozen_flag    INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE application (
  application_id                      INTEGER PRIMARY KEY,
  customer_id                         INTEGER NOT NULL REFERENCES customer,
  full_name                           TEXT NOT NULL,
  id_number                           TEXT NOT NULL,
  birth_date                          TEXT NOT NULL,
  mobile                              TEXT NOT NULL,
  home_address                        TEXT NOT NULL,
  status_of_existing_checking_account TEXT NOT NULL,
  duration_in_month                   INTEGER NOT NULL,
  credit_history                      TEXT NOT NULL,
  loan_purpose                        TEXT NOT NULL,
  credit_amount                       INTEGER NOT NULL,
  savings_account_and_bonds           TEXT NOT NULL,
  present_employment_since            TEXT NOT NULL,
  installment_rate_in_percentage_of_disposable_income INTEGER NOT NULL,
  personal_status_and_sex             TEXT NOT NULL,
  other_debtors_or_guarantors         TEXT NOT NULL,
  present_residence_since             INTEGER NOT NULL,
  property                            TEXT NOT NULL,
  age_in_years                        INTEGER NOT NULL,
  other_installment_plans             TEXT NOT NULL,
  housing                             TEXT NOT NULL,
  number_of_existing_credits_at_this_bank INTEGER NOT NULL,
  job                                 TEXT NOT NULL,
  number_of_people_being_liable_to_provide_maintenance_for INTEGER NOT NULL,
  telephone                           TEXT NOT NULL,
  foreign_worker                      TEXT NOT NULL,
  outcome                             TEXT NOT NULL,
  applied_on                          TEXT NOT NULL,
  frozen_flag                         INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX application_customer ON application (customer_id);

CREATE TABLE loan_case (
  case_id     INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customer,
  officer_id  TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('open', 'closed')),
  opened_on   TEXT NOT NULL
);
CREATE INDEX loan_case_customer ON loan_case (customer_id, officer_id, status);

CREATE TABLE loan (
  loan_id          INTEGER PRIMARY KEY,
  customer_id      INTEGER NOT NULL REFERENCES customer,
  guarantor_id     INTEGER REFERENCES customer,
  principal        INTEGER NOT NULL,
  status           TEXT NOT NULL,
  overdue_days     INTEGER NOT NULL,
  overdue_ended_at TEXT
);
CREATE INDEX loan_customer ON loan (customer_id);
CREATE INDEX loan_guarantor ON loan (guarantor_id);

CREATE TABLE branch (
  branch_id TEXT PRIMARY KEY,
  name      TEXT NOT NULL,
  city      TEXT NOT NULL
);
