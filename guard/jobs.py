"""Functions as acts of their own (`Guard.job`), and an act carried into pools and threads (`Guard.bind`).

A decorator that only opens and closes around the call would be wrong for two kinds of functions: an `async def`
returns before its body has run, and a generator would leak its act into whoever consumes it. The first is awaited
inside the act, the second is Misuse. What hides either (an object that is called, a wrapper) is Misuse once it is
called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar, cast

from guard import context
from guard.context import Acting
from guard.errors import Misuse

_LATER: Final = (
    "{name} gave a coroutine or a generator, which would run outside its act: make it an async def, or return a list."
)

P = ParamSpec("P")
R = TypeVar("R")

_GENERATOR: Final = (
    "{name} is a generator: its act would leak to whoever consumes it. Open guard.acting(…) inside it, around each "
    "piece of work, or return a list."
)


def job(opened: Callable[..., Acting], function: Callable[P, R]) -> Callable[P, R]:
    """The function, each call of it within the act that `opened` makes of the call's arguments."""
    return _within(opened, function)


def bind(acting: Acting, function: Callable[P, R]) -> Callable[P, R]:
    """The function, each call of it within `acting`, wherever it is called, as long as that is open."""

    def carried(*_given: Any, **_named: Any) -> AbstractContextManager[None]:
        return context.carried(acting)

    return _within(carried, function)


def _within(opened: Callable[..., AbstractContextManager[Any]], function: Callable[P, R]) -> Callable[P, R]:
    _function(function)
    if inspect.iscoroutinefunction(function):

        @wraps(function)
        async def awaited(*given: P.args, **named: P.kwargs) -> Any:
            with opened(*given, **named):
                return _ended(function, await function(*given, **named))

        return cast("Callable[P, R]", awaited)

    @wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> R:
        with opened(*given, **named):
            return _ended(function, function(*given, **named))

    return called


def _ended(function: Any, made: R) -> R:
    """What a call gave. Misuse where its body has not run yet: it would run in whatever act is open by then."""
    if inspect.iscoroutine(made) or inspect.isgenerator(made):
        made.close()
        raise Misuse(_LATER.format(name=_name(function)))
    if inspect.isasyncgen(made):
        raise Misuse(_LATER.format(name=_name(function)))
    return made


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__


def _function(function: Any) -> None:
    """Misuse for what would run outside its act."""
    name = _name(function)
    if isinstance(function, type) or not callable(function):
        raise Misuse(f"{name} is not a function.")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise Misuse(_GENERATOR.format(name=name))
