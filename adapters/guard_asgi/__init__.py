"""The ASGI adapter: an ordinary web application, guarded.

    from guard_asgi import GuardMiddleware
    app.add_middleware(GuardMiddleware, guard=guard, identify=actor_of, routes="routes.yaml")

`identify` tells who acts; routes.yaml, or `guard_asgi.purpose("…")` on a route, tells for which purpose. Requests are
stripped to what may be collected, answers to what their recipient may have; `Refused` and `Held` become Problem
Details (RFC 9457). The open context is in `scope["guard"]`.

Where policies may leave something out of an answer, only those of its headers leave that say nothing of any person
(`guard_asgi.headers.SILENT`, and the Location of a redirection), and no cache keeps it.

Where the client is told GUARD-ABSENT, or an answer is withheld, the logger `guard.asgi` says why, without a value.
"""

from guard_asgi.middleware import GuardMiddleware
from guard_asgi.purpose import purpose

__all__ = ["GuardMiddleware", "purpose"]
