"""DB-API 2.0 adapter."""
