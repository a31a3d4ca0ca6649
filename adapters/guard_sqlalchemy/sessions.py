"""An ORM session shows what was loaded in the present context, and nothing that another one loaded.

Its identity map keeps objects, so that `session.get` sends no statement and a query does not overwrite what is
loaded. When another context acts, every object is expired: the next look at it is read again, under that one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.orm.identity import _WeakInstanceDict

from guard import context
from guard.errors import Refused
from guard.facade import Guard

Owner: TypeAlias = Callable[[Engine], Guard | None]


class Contexts:
    """Which context each session is bound to. One for the process; sessions of other engines are left alone."""

    def __init__(self, owner: Owner) -> None:
        self._owner: Final = owner
        self._bound: WeakKeyDictionary[Session, tuple[Guard, context.Acting | None]] = WeakKeyDictionary()

    def listen(self) -> None:
        """Hears of every session of the process, once."""
        if event.contains(Session, "after_begin", self._begun):
            return
        event.listen(Session, "after_begin", self._begun)
        event.listen(Session, "do_orm_execute", self._executing, insert=True)

    def _begun(self, session: Session, _transaction: Any, connection: Any) -> None:
        """The session meets a guarded engine, for the first time or again."""
        guard = self._owner(connection.engine)
        if guard is None:
            return
        self._bound.setdefault(session, (guard, _acting(guard)))
        self.follow(session)

    def _executing(self, state: ORMExecuteState) -> None:
        self.follow(state.session)

    def follow(self, session: Session) -> None:
        """Expires what another context loaded; refused where that would drop changes."""
        bound = self._bound.get(session)
        if bound is None:
            return
        if type(session.identity_map) is not Objects:  # a new one comes with every close() and expunge_all()
            objects: Any = session.identity_map
            objects.__class__ = Objects
            objects.followed = (ref(session), self.follow)
        guard, before = bound
        now = _acting(guard)
        if now is before and now is not None:
            return
        if any(session.is_modified(one) for one in session.dirty):
            raise Refused.own(
                "GUARD-CONTEXT", "The session holds changes made in another context: flush or roll back before."
            )
        self._bound[session] = (guard, now)
        session.expire_all()


class Objects(_WeakInstanceDict):
    """An identity map that is asked under the present context only."""

    followed: tuple[ref[Session], Callable[[Session], None]]

    def get(self, key: Any, default: Any = None) -> Any:
        """The object, if the present context loaded it; else it comes back expired."""
        of, follow = self.followed
        session = of()
        if session is not None and not session._flushing:  # noqa: SLF001 -- a flush looks up what it is about to write
            follow(session)
        return super().get(key, default)


def _acting(guard: Guard) -> context.Acting | None:
    try:
        return context.current(guard)
    except Refused:
        return None
