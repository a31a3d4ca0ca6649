"""What all tests share."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["fixtures_opa", "fixtures_postgres", "ledger_places"]

# No test asserts time: neither may the library that makes its examples.
settings.register_profile("guard", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("guard")
