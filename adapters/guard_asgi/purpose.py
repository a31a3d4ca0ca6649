"""`guard_asgi.purpose`: a route's declaration in code.

On Starlette endpoints a decorator, on FastAPI routes a dependency too; both say what routes.yaml says, and are
compiled into the same table when the application starts.
"""
# No postponed annotations here: FastAPI reads those of `__call__`, and could not resolve them on an instance.

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, overload

from starlette.requests import Request

from guard.context import Acting
from guard.errors import ConfigError, Misuse
from guard_asgi import routes

_MARK: Final = "__guard_purpose__"

E = TypeVar("E", bound=Callable[..., Any])


class Purpose:
    """What one `guard_asgi.purpose(…)` declares."""

    def __init__(self, entry: routes.Entry, place: str = "in code") -> None:
        self.entry: Final = entry
        self.place: Final = place

    @overload
    def __call__(self, request: Request) -> Acting: ...
    @overload
    def __call__(self, request: E) -> E: ...
    def __call__(self, request: Request) -> Any:  # type: ignore[misc]  # FastAPI reads this signature: it must say Request alone
        """As a dependency: the open context of this request. As a decorator: the endpoint, with the declaration."""
        if isinstance(request, Request):
            return _acting(request)
        if not callable(request):
            raise Misuse("guard_asgi.purpose(…) stands on an endpoint, or in Depends(…) of a FastAPI route.")
        setattr(request, _MARK, (*getattr(request, _MARK, ()), self))
        return request

    @staticmethod
    def on(endpoint: object) -> Iterator["Purpose"]:
        """The declarations that stand on an endpoint."""
        while isinstance(endpoint, functools.partial):
            endpoint = endpoint.func
        yield from getattr(endpoint, _MARK, ())

    @staticmethod
    def together(several: Iterable["Purpose"]) -> routes.Entry | None:
        """What the declarations of one route say together; None of none, Disagreement names two that differ."""
        stated = list(dict.fromkeys(several))
        for number, one in enumerate(stated):
            for other in stated[:number]:
                routes.merged(other.entry, one.entry, (other.place, one.place))
        return functools.reduce(routes.merged, [one.entry for one in stated], None)


def _acting(request: Request) -> Acting:
    acting = request.scope.get("guard")
    if not isinstance(acting, Acting):
        raise Misuse(
            "This route declares a purpose, and no GuardMiddleware stands around it: "
            "app.add_middleware(GuardMiddleware, guard=guard, identify=…)."
        )
    return acting


def purpose(
    name: str,
    *,
    subject: Mapping[str, str] | None = None,
    operation: str | None = None,
    recipient: str | Mapping[str, str] | None = None,
    source: str | None = None,
    request: Mapping[str, Any] | None = None,
    response: Mapping[str, Any] | None = None,
    declared: Mapping[str, str] | None = None,
) -> Purpose:
    """Declares the purpose of a route, and what else routes.yaml may say of it.

    ``@guard_asgi.purpose("loan_underwriting", subject={"path": "customer_id"})`` on an endpoint, or
    ``dependencies=[Depends(guard_asgi.purpose(…))]`` on a FastAPI route or router. Misuse if it cannot be right.
    """
    said = {
        "purpose": name,
        "subject": subject,
        "operation": operation,
        "recipient": recipient,
        "source": source,
        "request": request,
        "response": response,
        "declared": declared,
    }
    stated = sys._getframe(1)  # noqa: SLF001 -- where it stands is said where two differ
    try:
        return Purpose(
            routes.entry("guard_asgi.purpose", {part: _plain(one) for part, one in said.items() if one is not None}),
            f"at {Path(stated.f_code.co_filename).name}:{stated.f_lineno}",
        )
    except ConfigError as error:
        problem = str(error)
    raise Misuse(problem)


def _plain(value: Any) -> Any:
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, Mapping) else value
