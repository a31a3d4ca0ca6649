"""Bytes to model and back: strict JSON in, canonical JSON out.

Every document is strict. An unknown key, a wrong type, a missing part, a repeated key, a number that is
none, nesting or size without bound is a refusal with an id of its own; nothing is repaired or guessed.
What comes out is deeply immutable, since decisions are cached and shared.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, NoReturn, TypeVar

import msgspec

from guard.errors import Refused
from guard.masks import MASKS
from guard.model import (
    ALWAYS,
    NEVER,
    RECIPIENTS,
    WITHIN,
    Activity,
    Assurance,
    Condition,
    Consent,
    Decision,
    FactCondition,
    GrantCondition,
    Item,
    Obligation,
    Operator,
    Reason,
    RelationCondition,
    Scalar,
    SelfCondition,
    Treatment,
    Verdict,
    Write,
    all_of,
    any_of,
    normal_scopes,
)
from guard.periods import Period

MAX_BYTES: Final = 4 * 1024 * 1024
"""The largest document that is read, in bytes."""

MAX_DEPTH: Final = 16
"""The deepest nesting of conditions."""

A = TypeVar("A", Activity, Consent)
B = TypeVar("B", "_Decision", Verdict)

canonical: Final = msgspec.json.Encoder(order="deterministic").encode
"""The one byte string for a value: fields in declared order, mapping keys sorted, no spaces."""


# --- Strict JSON ----------------------------------------------------------------------------------


class NotStrict(ValueError):
    """A JSON text that the strict reading refuses; `kind` says which way: JSON, NUMBER, SIZE or DEPTH."""

    def __init__(self, kind: Literal["JSON", "NUMBER", "SIZE", "DEPTH"], detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise NotStrict("JSON", "an object repeats a key")
    return made


def _constant(name: str) -> NoReturn:
    raise NotStrict("NUMBER", f"{name} is not a number")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise NotStrict("NUMBER", "a number is too large")
    return value


_decoder: Final = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
_compact: Final = msgspec.json.Encoder().encode


def strict_json(data: bytes, limit: int = MAX_BYTES) -> Any:
    """Reads UTF-8 JSON of at most `limit` bytes, or raises `NotStrict`.

    msgspec and the standard library let the last of two equal keys win; two readers of one text would
    then see two documents, so a repeated key is refused here.
    """
    if len(data) > limit:
        raise NotStrict("SIZE", f"more than {limit} bytes")
    # The fast way (a tenth of the time): what was read gives back the very text. What is written repeats no
    # key and holds no number that is none, so neither did the text. OPA's compact output is read like this.
    try:
        value = msgspec.json.decode(data)
        if _compact(value) == data:
            return value
    except (ValueError, RecursionError):
        pass  # the careful way says what is wrong
    return _careful(data)


def _careful(data: bytes) -> Any:
    try:
        value = _decoder.decode(data.decode("utf-8"))
        _compact(value)  # refuses half a surrogate pair, which is no text
    except NotStrict:
        raise
    except RecursionError:
        raise NotStrict("DEPTH", "nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise NotStrict("JSON", str(error)) from None
    return value


# --- Activity and consent -------------------------------------------------------------------------


def activity(data: bytes) -> Activity:
    """Reads one Activity, or refuses it with GUARD-ACTIVITY and what is wrong."""
    made = _asked(data, Activity)
    check_activity(made)
    return made


def consent(data: bytes) -> Consent:
    """Reads one consent record, or refuses it with GUARD-ACTIVITY and what is wrong."""
    return _asked(data, Consent)


def _asked(data: bytes, kind: type[A]) -> A:
    try:
        return msgspec.convert(strict_json(data), kind)
    except (NotStrict, msgspec.ValidationError) as error:
        raise Refused.own("GUARD-ACTIVITY", f"{error}.") from None


def check_activity(made: Activity) -> None:
    """Refuses an Activity that no adapter builds: no sources, an impossible recipient or time, text not in NFC."""
    if not made.items:
        raise Refused.own("GUARD-ACTIVITY-ITEMS")
    _check_items(made.items)
    if made.recipient.kind not in RECIPIENTS.get(made.operation, WITHIN):
        raise Refused.own(
            "GUARD-ACTIVITY", f"The operation {made.operation} has no recipient of the kind {made.recipient.kind}."
        )
    if made.time.seconds % 60 or not 0 <= made.time.hour < 24:
        raise Refused.own("GUARD-ACTIVITY", "The time is not a whole minute.")
    text = canonical(made)
    if not text.isascii() and not unicodedata.is_normalized("NFC", text.decode()):
        raise Refused.own("GUARD-ACTIVITY", "A text is not in Unicode NFC.")


def _check_items(items: Sequence[Item]) -> None:
    sources = {item.source for item in items if item.field is None}
    for item in items:
        if item.field is None:
            if item.category is not None:
                raise Refused.own("GUARD-ACTIVITY", f"The source item {item.source} carries a category.")
        elif item.source not in sources:
            raise Refused.own("GUARD-ACTIVITY", f"The source {item.source} has no item of its own.")
        elif item.category is None or item.subjects or item.relations or item.facts:
            raise Refused.own("GUARD-ACTIVITY", f"The field {item.source} {item.field} needs a category, no more.")
    # An UPDATE that reads what it writes says both of the field.
    if len({(item.source, item.field, item.role == "write") for item in items}) != len(items):
        raise Refused.own("GUARD-ACTIVITY", "An item is repeated.")


def ordered(items: Sequence[Item]) -> tuple[Item, ...]:
    """Items in their one order, so that the same operation is the same cache key."""
    return tuple(sorted(items, key=lambda item: (item.source, item.field is not None, item.field or "", item.role)))


# --- Answers --------------------------------------------------------------------------------------


_AT: Final = r" - at `\$\[\d+\]\."
_PLACES: Final = {
    "GUARD-DECISION-ALLOW": re.compile(_AT + "allow`"),
    "GUARD-DECISION-CONDITION": re.compile(_AT + r"(rows\[\.{3}\]\[|reads\[\.{3}\]\[\.{3}\]\.(reveal|mask\.if))"),
    "GUARD-OBLIGATION": re.compile(_AT + r"obligations\["),
}
"""What is wrong, by the place that msgspec names at the end of its sentence."""


def _answers(value: object, kind: type[tuple[B, ...]], asked: Sequence[str]) -> list[B]:
    """What one layer answered, in the order of the ids asked: each once, and no other."""
    try:
        made = msgspec.convert(value, kind)
    except RecursionError:
        raise Refused.own("GUARD-DECISION-DEPTH") from None
    except msgspec.ValidationError as error:
        rule = next((rule for rule, place in _PLACES.items() if place.search(str(error))), "GUARD-DECISION-SHAPE")
        raise Refused.own(rule, f"{error}.") from None
    by_id = {one.id: one for one in made}
    if len(by_id) != len(made):
        raise Refused.own("GUARD-DECISION-REPEATED")
    if by_id.keys() - set(asked):
        raise Refused.own("GUARD-DECISION-EXTRA")
    if set(asked) - by_id.keys():
        raise Refused.own("GUARD-DECISION-MISSING")
    if len(set(asked)) != len(asked):
        raise Refused.own("GUARD-ACTIVITY", "Two questions carry one id.")
    return [by_id[one] for one in asked]


# --- Decisions ------------------------------------------------------------------------------------


class _Grant(msgspec.Struct, forbid_unknown_fields=True):
    category: str | None = None
    separate: bool = False
    written: bool = False
    assurance: Assurance = "asserted"
    basis: tuple[str, ...] = ()
    ended: bool = False


class _Condition(msgspec.Struct, forbid_unknown_fields=True, rename={"self_": "self", "any_": "any", "all_": "all"}):
    rule: str | None = None
    grant: _Grant | None = None
    relation: str | None = None
    self_: Literal[True] | None = None
    fact: str | None = None
    operator: Operator | None = None
    value: Scalar | None = None
    ago: str | None = None
    or_absent: bool = False
    any_: tuple[_Condition, ...] | None = None
    all_: tuple[_Condition, ...] | None = None


class _Mask(msgspec.Struct, forbid_unknown_fields=True, rename={"if_": "if"}):
    with_: str = msgspec.field(name="with")
    if_: Literal["always"] | _Condition | None


class _Treatment(msgspec.Struct, forbid_unknown_fields=True):
    reveal: Literal["always"] | _Condition | None = None
    mask: _Mask | None = None
    rule: str | None = None


class _Decision(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    allow: bool
    reasons: tuple[Reason, ...] = ()
    rows: dict[str, Literal["all"] | tuple[_Condition, ...]] = {}
    reads: dict[str, dict[str, _Treatment]] = {}
    writes: dict[str, dict[str, Write]] = {}
    obligations: tuple[Obligation, ...] = ()


def decisions(value: object, asked: Sequence[Activity]) -> tuple[Decision, ...]:
    """What one layer answered, in the order asked; anything that is off refuses the whole call.

    `value` is the JSON value of the layer's entry point `decision`: a list of Decisions, each echoing
    the id of its Activity. A denial comes out bare: nothing but its reasons.
    """
    answers = _answers(value, tuple[_Decision, ...], [one.id for one in asked])
    return tuple(_decision(answer, one) for answer, one in zip(answers, asked, strict=True))


def _decision(answer: _Decision, asked: Activity) -> Decision:
    reasons = tuple(sorted(set(answer.reasons), key=canonical))
    if answer.allow is not True:
        return Decision(id=answer.id, allow=False, reasons=reasons)
    sources = {item.source: item for item in asked.items if item.field is None}
    fields = {(item.source, item.field) for item in asked.items}
    if not sources.keys() <= answer.rows.keys():
        raise Refused.own("GUARD-DECISION-ROWS")
    named: set[tuple[str, str | None]] = {(source, None) for source in answer.rows}
    named |= {(source, field) for part in (answer.reads, answer.writes) for source, of in part.items() for field in of}
    if not named <= fields:
        raise Refused.own("GUARD-DECISION-NAME")
    return Decision(
        id=answer.id,
        allow=True,
        reasons=reasons,
        rows=MappingProxyType({source: _rows(rows, sources[source]) for source, rows in answer.rows.items()}),
        reads=MappingProxyType(
            {
                source: MappingProxyType({field: _treatment(one, sources[source]) for field, one in of.items()})
                for source, of in answer.reads.items()
            }
        ),
        writes=MappingProxyType({source: MappingProxyType(of) for source, of in answer.writes.items()}),
        obligations=tuple(sorted(set(answer.obligations), key=canonical)),
    )


def _rows(rows: Literal["all"] | tuple[_Condition, ...], item: Item) -> Condition:
    if rows == "all":
        return ALWAYS
    if not rows:
        # An empty list would be vacuously true; a policy that means all rows says "all".
        raise Refused.own("GUARD-DECISION-ROWS")
    return all_of(*(_condition(one, item) for one in rows))


def _treatment(one: _Treatment, item: Item) -> Treatment:
    reveal = _or_never(one.reveal, item)
    rules = (one.rule,) if one.rule else ()
    if one.mask is None:
        return Treatment(reveal=reveal, mask=None, masked_if=reveal, rules=rules)
    if one.mask.with_ not in MASKS:
        raise Refused.own("GUARD-DECISION-MASK")
    return Treatment(
        reveal=reveal, mask=one.mask.with_, masked_if=any_of(reveal, _or_never(one.mask.if_, item)), rules=rules
    )


def _or_never(raw: Literal["always"] | _Condition | None, item: Item) -> Condition:
    if raw is None:
        return NEVER
    return ALWAYS if isinstance(raw, str) else _condition(raw, item)


def _condition(one: _Condition, item: Item, depth: int = 0) -> Condition:
    """One condition on the rows of a source. It may name what `item` declares, no more."""
    if depth > MAX_DEPTH:
        raise Refused.own("GUARD-DECISION-DEPTH")
    kinds = (one.grant, one.relation, one.self_, one.fact, one.any_, one.all_)
    of_fact = one.operator is not None or one.value is not None or one.ago is not None or one.or_absent
    if kinds.count(None) != len(kinds) - 1 or (of_fact and one.fact is None):
        raise Refused.own("GUARD-DECISION-CONDITION")
    if one.any_ is not None or one.all_ is not None:
        parts = one.any_ or one.all_
        if not parts or one.rule is not None:
            raise Refused.own("GUARD-DECISION-CONDITION")
        made = tuple(_condition(part, item, depth + 1) for part in parts)
        return any_of(*made) if one.any_ is not None else all_of(*made)
    if not one.rule:
        raise Refused.own("GUARD-DECISION-CONDITION")
    return _simple(one, one.rule, item)


def _simple(one: _Condition, rule: str, item: Item) -> Condition:
    if one.relation is not None:
        _declared(one.relation, item.relations)
        return RelationCondition(rule=rule, name=one.relation)
    if not item.subjects and one.fact is None:
        raise Refused.own("GUARD-DECISION-NAME")
    if one.grant is not None:
        return GrantCondition(rule=rule, **msgspec.structs.asdict(one.grant))
    if one.self_ is not None:
        return SelfCondition(rule=rule)
    if one.fact is None or one.operator is None or (one.value is None) == (one.ago is None):
        raise Refused.own("GUARD-DECISION-CONDITION")
    _declared(one.fact, item.facts)
    if one.ago is not None and not Period.valid(one.ago):
        raise Refused.own("GUARD-DECISION-CONDITION")
    return FactCondition(
        rule=rule, name=one.fact, operator=one.operator, value=one.value, ago=one.ago, or_absent=one.or_absent
    )


def _declared(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise Refused.own("GUARD-DECISION-NAME")


# --- Verdicts -------------------------------------------------------------------------------------


def verdicts(value: object, asked: Sequence[Consent]) -> tuple[Verdict, ...]:
    """What one layer made of the consents asked, in the order asked. A denial comes out bare."""
    return tuple(map(_verdict, _answers(value, tuple[Verdict, ...], [one.id for one in asked])))


def _verdict(one: Verdict) -> Verdict:
    reasons = tuple(sorted(set(one.reasons), key=canonical))
    if not one.valid:
        return Verdict(id=one.id, valid=False, reasons=reasons)
    scopes = normal_scopes(one.scopes)
    if one.valid_until is None or not scopes:
        raise Refused.own("GUARD-DECISION-SHAPE", "A valid consent needs an end and a scope.")
    return Verdict(id=one.id, valid=True, reasons=reasons, scopes=scopes, valid_until=one.valid_until)
