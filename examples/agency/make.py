"""Makes the example agency's database beside this file. Delete agency.db to make it again."""

from pathlib import Path

from guard.demo import agency

print(agency.database(Path(__file__).parent))
