"""Makes the example bank's tables and records its customers' consents: python make.py [postgresql:///guard_demo].

On SQLite it is bank.db beside this file; delete it to make it again. On PostgreSQL the tables lie in a schema of their
own, and the documents that name the database in the folder postgres; delete that to have them emptied and filled again.
"""

import sys
from pathlib import Path

from guard import Guard
from guard.demo import bank

HERE = Path(__file__).parent


def made(database: str | None) -> Path:
    """The guard.yaml."""
    if database is not None:
        return bank.build(HERE / "postgres", database=database)
    bank.database(HERE)
    return HERE / "guard.yaml"


config = made(sys.argv[1] if sys.argv[1:] else None)
with Guard.load(config) as guard:
    bank.record(guard.consents)
print(config)
