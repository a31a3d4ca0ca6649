"""Random activities and consent records: lawful ones, and the same with something changed. Seeded."""
