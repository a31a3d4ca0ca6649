"""What all tests share."""

pytest_plugins = ["fixtures_opa", "fixtures_postgres", "ledger_places"]
