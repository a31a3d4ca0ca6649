"""Makes the example bank's database beside this file. Delete bank.db to make it again."""

from pathlib import Path

from guard.demo import bank

print(bank.database(Path(__file__).parent))
