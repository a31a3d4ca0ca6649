"""The demo's page: who, for what, about whom, and what came of it. `serve` serves it, `application` is it.

It is for one person on one machine: it lets its visitor act as anybody, so it is served on the loopback only.
"""

from __future__ import annotations

from guard.demo.page.app import application
from guard.demo.page.serving import serve

__all__ = ["application", "serve"]
