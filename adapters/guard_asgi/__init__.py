"""The ASGI adapter."""
