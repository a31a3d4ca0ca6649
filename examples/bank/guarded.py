"""The same application under guard: one line where the engine is made, one where somebody acts.

$ python make.py && python guarded.py                                        # SQLite
$ python make.py postgresql:///guard_demo && python guarded.py postgres/guard.yaml
"""

import sys
from pathlib import Path

import app
from sqlalchemy import create_engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import Session, sessionmaker

import guard_sqlalchemy
from guard import Actor, Guard, Refused

HERE = Path(__file__).parent
OFFICER = Actor(id="officer-lin", roles=("loan_officer",), unit="branch-3")


def url_of(guard: Guard) -> URL:
    """The database of guard.yaml, by the driver that is guarded."""
    url = make_url(guard.settings.database.url)
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def sessions(guard: Guard) -> sessionmaker[Session]:
    """What the application takes its sessions from."""
    engine = guard_sqlalchemy.attach(create_engine(url_of(guard)), guard)  # the line that guards it
    return sessionmaker(engine)


def main() -> None:
    config = sys.argv[1] if sys.argv[1:] else HERE / "guard.yaml"
    with Guard.load(config) as guard, sessions(guard)() as session:
        print(", ".join(app.branches(session)))
        try:
            app.applicant(session, 1002)
        except Refused as refused:
            print(refused)
        with guard.acting(OFFICER, purpose="loan_underwriting", subject=1002) as act:
            found = app.applicant(session, 1002)
            print(found and (found.full_name, found.id_number), act.outcomes[-1])


if __name__ == "__main__":
    main()
