"""Makes the example bank's database and records its customers' consents. Delete ../bank/bank.db to make it again."""

from pathlib import Path

from guard import Guard
from guard.demo import bank

BANK = Path(__file__).parent.parent / "bank"

print(bank.database(BANK))
with Guard.load(BANK / "guard.yaml") as guard:
    bank.record(guard.consents)
