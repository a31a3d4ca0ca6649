"""What the operator's log says where the client is told as little as possible.

That somebody is absent and that they may not be met look alike to the client, and an answer that is withheld says
nothing of what the program did. Whoever runs the program reads here which route it was, which register entry keeps it
and which rules failed. A line holds names of the declaration alone: no value, no key, no word of the program's.
"""

from __future__ import annotations

import logging
from typing import Final

from guard.errors import Refused
from guard.missing import ABSENT
from guard_asgi.incoming import SAFE
from guard_asgi.outgoing import Answer
from guard_asgi.table import Rule

_log: Final = logging.getLogger("guard.asgi")


async def say(rule: Rule, refused: Refused, shard: str | None, answer: Answer | None) -> None:
    """One line, where the client is told no more than that nobody is there, or an answer was withheld.

    `answer` is what the program sends to: None where it did not run.
    """
    of_answer = answer is not None and answer.refusal is not None
    if not of_answer and ABSENT.rule not in refused.rules:
        return  # the client is told why
    told = f"the client is told {refused.status} {', '.join(refused.rules)}"
    number = refused.entry
    entry = "no register entry" if number is None or shard is None else f"register entry {shard[:6]}/{number}"
    failed = f"; {_operation(rule, answer)} for {rule.purpose} rests on {', '.join(refused.untold)}"
    _log.warning(
        "%s: %s; %s%s. %s",
        rule.name,
        told,
        entry,
        failed if refused.untold else "",
        await _came_of_it(refused, answer),
    )


def _operation(rule: Rule, answer: Answer | None) -> str:
    way = rule.request if answer is None else rule.response if answer.refusal is not None else None
    return rule.operation if way is None else way.operation


async def _came_of_it(refused: Refused, answer: Answer | None) -> str:
    if answer is None:
        return "The handler did not run."
    if answer.refusal is None:
        return "The handler was refused something or failed, and what it committed before stays."
    said = "The handler ran, and what it committed stays; its answer was withheld"
    missing = await answer.nameless()
    if missing:
        instead = "" if answer.method in SAFE else "answer 204 or "
        return f"{said} because it has no {' and no '.join(missing)}: {instead}repeat the subject's key."
    if answer.of_others and ABSENT.rule in refused.rules and not refused.untold:
        return f"{said} because it is about somebody else than the request."
    return f"{said}."
