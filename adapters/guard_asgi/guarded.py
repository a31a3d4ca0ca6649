"""One request on a guarded route, from the context that is opened to the answer that is released."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from inspect import isawaitable
from typing import Any, Final, TypeAlias

import msgspec
from anyio.to_thread import run_sync

from guard import drive
from guard.collecting import Collected
from guard.context import Acting
from guard.errors import GuardError, Misuse, Refused
from guard.facade import Guard
from guard.model import Actor
from guard_asgi import incoming, problem, withheld
from guard_asgi.acts import beside
from guard_asgi.headers import names
from guard_asgi.incoming import Receive
from guard_asgi.outgoing import INLINE, Answer, Nothing, Served
from guard_asgi.problem import Send
from guard_asgi.routers import Scope
from guard_asgi.shapes import JsonRecords
from guard_asgi.table import Rule, Settled, Way

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Identify: TypeAlias = Callable[[Scope], Actor | Awaitable[Actor | None] | None]
"""Who acts, from the ASGI scope; None where nobody is signed in."""

EXTENSIONS: Final = frozenset({"tls"})
"""Extensions of ASGI that a guarded program may see; by the others an answer goes past the guard."""


async def serve(
    guard: Guard,
    identify: Identify,
    app: App,
    settled: Settled,
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    routed: bool,
) -> None:
    """Serves it. What is refused is answered here; what the program raises is raised, after an answer of 500."""
    request = _Request(guard, identify, app, settled, scope, receive, send, routed)
    try:
        await request.run()
    except Refused as refused:
        await request.refuse(refused)
    except BaseExceptionGroup as group:
        refusal = request.refusal or _alone(group)
        if refusal is None:
            await request.fail()
            raise
        await request.refuse(refusal)
    except Exception:
        if request.refusal is None:
            await request.fail()
            raise
        await request.refuse(request.refusal)  # what the program raised comes of it


class _Request:
    def __init__(
        self,
        guard: Guard,
        identify: Identify,
        app: App,
        settled: Settled,
        scope: Scope,
        receive: Receive,
        send: Send,
        routed: bool,
    ) -> None:
        if settled.rule is None or settled.rule.purpose is None:
            raise Misuse("Only a guarded route is served here.")
        self.guard = guard
        self.identify = identify
        self.app = app
        self.rule: Rule = settled.rule
        self.purpose: str = settled.rule.purpose
        self.found = settled.found
        self.scope = scope
        self.receive = receive
        self.send = send
        self.routed = routed
        self.names = names(scope["headers"])
        self.actor: Actor | None = None
        self.instead: Refused | None = None
        self.answer: Answer | None = None
        self.acting: Acting | None = None
        self.collected: Collected | None = None
        self.text = incoming.line(scope)

    # --- The request ---

    async def run(self) -> None:
        scope = self.scope
        incoming.check(scope, self.names)
        self.actor = actor = await self._actor()
        body = b""
        records: JsonRecords | None = None
        if self.rule.request is not None:
            came = await incoming.body(scope, self.receive, self.guard.settings.limits)
            if came is None:
                return  # the client went away before all of it was here
            body = came
            records = await self._read(self.rule.request, body)
        elif not self.names.isdisjoint(incoming.LENGTHS) and incoming.announces(scope["headers"]):
            raise incoming.refused_body()
        await self._act(actor, body, records)

    async def _actor(self) -> Actor:
        try:
            given = self.identify(self.scope)
            actor = given if isinstance(given, Actor) or not isawaitable(given) else await given
        except GuardError:
            raise
        except Exception as error:
            raise Misuse(
                f"identify(scope) raised {type(error).__name__}. It makes a guard.Actor of what authentication put "
                "into the scope, and gives None where nobody is signed in."
            ) from error
        if actor is None:
            raise Refused.own("GUARD-ACTOR", "Sign in first.")
        if not isinstance(actor, Actor):
            raise Misuse(
                f"identify gives a guard.Actor, or None where nobody is signed in, not {type(actor).__name__}."
            )
        return actor

    async def _read(self, way: Way, body: bytes) -> JsonRecords:
        if len(body) <= INLINE:
            return way.shape.read(body)
        return await run_sync(way.shape.read, body)

    async def _act(self, actor: Actor, body: bytes, records: JsonRecords | None) -> None:
        scope, rule = self.scope, self.rule
        declared = rule.declared
        if rule.request is not None and rule.request.notice is not None:
            declared = msgspec.structs.replace(declared, notice=incoming.notice(rule.request.notice, records))
        acting = self.guard.acting(
            actor,
            purpose=self.purpose,
            subject=incoming.subject(rule.subject, scope, self.found.parameters, records),
            operation=rule.operation,
            recipient=rule.recipient,
            declared=declared,
            review=incoming.review(scope["headers"]) if incoming.REVIEW in self.names else None,
            separate=True,
        )
        self.acting = acting
        with acting:
            if rule.request is None and rule.response is not None and scope["method"] not in incoming.SAFE:
                await self._permit(acting, rule.response)
            if rule.request is None or records is None:
                receive = incoming.unexpected(self.receive)
            else:
                receive = await self._gate(acting, rule.request, body, records)
            await self._call(acting, receive, body)

    async def _permit(self, acting: Acting, way: Way) -> None:
        """Decides before the program runs, where it may change something and nothing is taken in that is decided on."""
        nothing = Nothing(frozenset(), alone=False)
        begun = self.guard.roads.release(acting, way.source, nothing, text=self.text, parameters=None)
        await drive.follow_async(begun, run_sync)

    async def _gate(self, acting: Acting, way: Way, body: bytes, records: JsonRecords) -> Receive:
        """What the program receives from: the body as it may be taken in."""
        with beside(self.guard, acting, way.operation, acting.recipient) as of_request:
            self.collected = await self._collect(of_request, way, body, records)
        return incoming.hand_on(self.scope, self.receive, body, self.collected.records)

    async def _collect(self, acting: Acting, way: Way, body: bytes, records: JsonRecords) -> Collected:
        said: dict[str, Any] = {"text": self.text, "parameters": _digest(body)}
        if len(body) <= INLINE:
            return await drive.follow_async(self.guard.roads.collect(acting, way.source, records, **said), run_sync)
        return await run_sync(lambda: drive.follow(self.guard.roads.collect(acting, way.source, records, **said)))

    # --- The program ---

    async def _call(self, acting: Acting, receive: Receive, body: bytes) -> None:
        scope = self.scope
        incoming.whole(scope, self.names)
        if "extensions" in scope:
            scope["extensions"] = {name: one for name, one in (scope["extensions"] or {}).items() if name in EXTENSIONS}
        scope["guard"] = acting
        served = Served(
            guard=self.guard,
            rule=self.rule,
            acting=acting,
            found=self.found,
            routed=self.routed,
            text=self.text,
            parameters=_digest(body) if body else None,
            limits=self.guard.settings.limits,
        )
        self.answer = answer = Answer(served, scope, self.send)
        try:
            await self.app(scope, receive, answer.send)
        except Refused:
            raise
        except Exception:
            self.instead = await answer.failed()
            raise
        if answer.refusal is not None:
            raise answer.refusal  # the program caught it
        if self.collected is not None:
            await self._settle(self.collected, answer.status)

    async def _settle(self, collected: Collected, status: int | None) -> None:
        """Registers what became of what was taken in, as the program's answer tells it.

        A program that failed, or was refused something, may have kept it all the same: then nothing is said, and
        that reads as done.
        """
        if status is not None and status < 500:
            await self.guard.roads.collected_async(collected, done=status < 400)

    # --- What else is answered ---

    @property
    def refusal(self) -> Refused | None:
        """The refusal of the program's answer, if nothing was answered in its place yet."""
        return None if self.answer is None or self.answer.sent else self.answer.refusal

    @property
    def _answered(self) -> bool:
        return self.answer is not None and self.answer.sent

    async def refuse(self, refused: Refused) -> None:
        """Answers with the refusal. After an answer there is nothing more to say to the client."""
        if self._answered:
            raise refused
        if refused.entry is None and self.actor is not None:
            refused = await self._registered(self.actor, refused)
        await withheld.say(self.rule, refused, self.guard.roads.shard, self.answer)
        await self._problem(refused.problem(problem.language(self.scope["headers"])))

    async def _registered(self, actor: Actor, refused: Refused) -> Refused:
        """The refusal, registered; or why it cannot be."""
        try:
            acting = self.acting or self.guard.acting(
                actor, purpose=self.purpose, recipient=self.rule.recipient, separate=True
            )
            return await self.guard.roads.refuse_async(acting, refused, self.text)
        except Refused as other:
            return other

    async def fail(self) -> None:
        """The program failed: the client learns that, and nothing that an error page would show."""
        if self.instead is not None:
            await self.refuse(self.instead)
        elif not self._answered:
            await self._problem(problem.of_status(500))

    async def _problem(self, details: Mapping[str, Any]) -> None:
        await problem.answer(self.send, details, head=self.scope["method"] == "HEAD")


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for one in group.exceptions:
        if isinstance(one, BaseExceptionGroup):
            yield from _leaves(one)
        else:
            yield one


def _alone(group: BaseExceptionGroup[BaseException]) -> Refused | None:
    """The refusal in a group of tasks that failed of nothing else."""
    leaves = list(_leaves(group))
    first = leaves[0] if leaves else None
    return first if isinstance(first, Refused) and all(isinstance(one, Refused) for one in leaves) else None
