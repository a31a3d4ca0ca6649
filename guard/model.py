"""What passes between adapters, policies and the register.

One attempted operation is an `Activity`; the policies answer with a `Decision`; a consent that was
given is a `Consent` and the policies' answer to it a `Verdict`. Everything here is immutable,
and what policies see of it holds no person: OPA decides by the kind of activity, and what must hold for a
person comes back as a `Condition` that the database evaluates. `Facts` and `Actor` name one, and stay in the process.

The forms on the wire (strict JSON) are read and written by `guard.wire`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

Operation: TypeAlias = Literal["collect", "store", "use", "process", "transmit", "provide", "disclose", "delete"]
"""The seven operations of the Opinions (2020, No. 49) and PIPL 4, which adds `delete`."""

Role: TypeAlias = Literal["read", "filter", "aggregate", "write"]
RecipientKind: TypeAlias = Literal["staff", "subject", "processor", "handler", "public"]
ActorKind: TypeAlias = Literal["person", "service"]
Assurance: TypeAlias = Literal["asserted", "observed", "proved"]
ASSURANCE: Final[tuple[Assurance, ...]] = ("asserted", "observed", "proved")
"""From the weakest to the strongest; the ledger stores the position, and conditions compare it."""
Write: TypeAlias = Literal["keep", "strip", "refuse"]
Operator: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge"]
Scalar: TypeAlias = str | int | bool

RECIPIENTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "provide": frozenset({"processor", "handler"}),
        "transmit": frozenset({"processor", "handler"}),
        "disclose": frozenset({"public"}),
    }
)
"""Who may receive in each operation; an operation not named here stays with staff or the subject."""

WITHIN: Final = frozenset({"staff", "subject"})


class _Frozen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A strict, immutable record."""


# --- Activity -------------------------------------------------------------------------------------


class ActorFacts(_Frozen, frozen=True):
    """What policy may know of who acts: never the identity."""

    kind: ActorKind
    roles: tuple[str, ...] = ()
    unit: str | None = None


class Recipient(_Frozen, frozen=True):
    """Who receives the data. `id` names an organisation, never a person."""

    kind: RecipientKind
    id: str | None = None


class Item(_Frozen, frozen=True, omit_defaults=True):
    """A source (`field` is None) or one field of it, and what the operation does with it.

    A source item says which subjects, relations and facts its catalogue entry declares, since a
    condition may name no other. A field item carries the category of the field.
    """

    source: str
    field: str | None
    role: Role
    category: str | None = None
    subjects: tuple[str, ...] = ()
    relations: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()


class Declared(_Frozen, frozen=True):
    """What the actor states about the operation.

    `basis` is a legal basis of PIPL 13 other than the purpose's own, with `evidence`, the id of the
    instrument it rests on (a statute, a contract form), never a person's document.
    """

    notice: str | None = None
    pia: str | None = None
    approval: str | None = None
    basis: str | None = None
    evidence: str | None = None


class Time(_Frozen, frozen=True):
    """The minute of the operation, stamped by the guard: UTC seconds and the local calendar."""

    seconds: int
    date: str
    hour: int
    zone: str


class Activity(_Frozen, frozen=True):
    """One attempted operation on personal data, as policy sees it."""

    id: str
    operation: Operation
    purpose: str
    method: str
    actor: ActorFacts
    recipient: Recipient
    subjects: Literal["declared", "many"]
    items: tuple[Item, ...]
    declared: Declared
    time: Time


# --- Conditions -----------------------------------------------------------------------------------


class GrantCondition(_Frozen, frozen=True, tag="grant"):
    """Every declared subject of the row has a grant for this purpose, operation and recipient.

    `category` narrows it to a grant whose scope covers the category; `separate`, `written` and
    `assurance` ask for the quality of the consent behind it; `basis` for one of these legal bases
    (empty: any). `ended` turns to the persons whose grant was withdrawn or ran out (for `delete`).
    """

    rule: str
    category: str | None = None
    separate: bool = False
    written: bool = False
    assurance: Assurance = "asserted"
    basis: tuple[str, ...] = ()
    ended: bool = False


class RelationCondition(_Frozen, frozen=True, tag="relation"):
    """The actor stands in the named relation of the catalogue to the person of the row."""

    rule: str
    name: str


class SelfCondition(_Frozen, frozen=True, tag="self"):
    """The person of the row is the actor: a person's access to the own data (PIPL 44-45)."""

    rule: str


class FactCondition(_Frozen, frozen=True, tag="fact"):
    """A named fact of the row compares with `value`, or with the time `ago` (an ISO 8601 period) before now.

    `or_absent` lets rows pass in which the fact is NULL.
    """

    rule: str
    name: str
    operator: Operator
    value: Scalar | None = None
    ago: str | None = None
    or_absent: bool = False


class AnyCondition(_Frozen, frozen=True, tag="any"):
    """At least one holds; of nothing, none: `NEVER`."""

    conditions: tuple[Condition, ...]


class AllCondition(_Frozen, frozen=True, tag="all"):
    """All hold; of nothing, all do: `ALWAYS`."""

    conditions: tuple[Condition, ...]


Condition: TypeAlias = GrantCondition | RelationCondition | SelfCondition | FactCondition | AnyCondition | AllCondition

ALWAYS: Final = AllCondition(conditions=())
NEVER: Final = AnyCondition(conditions=())

_order = msgspec.json.Encoder(order="deterministic").encode


def all_of(*conditions: Condition) -> Condition:
    """The conjunction in normal form: flat, without repeats, in one order, constants absorbed."""
    return _junction(conditions, AllCondition, NEVER)


def any_of(*conditions: Condition) -> Condition:
    """The disjunction in normal form."""
    return _junction(conditions, AnyCondition, ALWAYS)


def _junction(
    conditions: Iterable[Condition], kind: type[AllCondition | AnyCondition], absorbing: Condition
) -> Condition:
    flat: dict[bytes, Condition] = {}
    for condition in conditions:
        parts = condition.conditions if isinstance(condition, kind) else (condition,)
        for part in parts:
            if part == absorbing:
                return absorbing
            flat[_order(part)] = part
    if len(flat) == 1:
        return next(iter(flat.values()))
    return kind(conditions=tuple(flat[key] for key in sorted(flat)))


def rules_of(condition: Condition) -> tuple[str, ...]:
    """The rules that a condition rests on, sorted."""
    if isinstance(condition, AnyCondition | AllCondition):
        return tuple(sorted({rule for part in condition.conditions for rule in rules_of(part)}))
    return (condition.rule,)


# --- Decision -------------------------------------------------------------------------------------


class ConsentNeeded(_Frozen, frozen=True, omit_defaults=True):
    """A consent that would make the operation lawful."""

    separate: bool = False
    written: bool = False
    category: str | None = None


class Remedy(_Frozen, frozen=True, omit_defaults=True):
    """What would make the operation lawful; the smallest change is what the rule asks for, no more.

    `record` names the parts of a consent record that make it void.
    """

    consent: ConsentNeeded | None = None
    relation: str | None = None
    purposes: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    notice: bool = False
    recipient: bool = False
    unit: bool = False
    omit: bool = False
    record: tuple[str, ...] = ()


class Reason(_Frozen, frozen=True, omit_defaults=True):
    """A rule that spoke against something: the whole operation, a source or a field."""

    rule: str
    field: tuple[str, str | None] | None = None
    remedy: Remedy | None = None


CONFLICT: Final = "conflict"
"""The mask of a field for which two layers ask for different masks: it is dropped."""


class Treatment(_Frozen, frozen=True):
    """What becomes of a field in the output.

    Where `reveal` holds the value is shown; else, where `masked_if` holds, it is shown through `mask`;
    else it is dropped. Normal form: `masked_if` includes `reveal`, so that layers merge by AND alone.
    """

    reveal: Condition
    mask: str | None
    masked_if: Condition
    rules: tuple[str, ...] = ()


class Threshold(_Frozen, frozen=True):
    """Above how many persons an obligation begins."""

    subjects: int


class Review(_Frozen, frozen=True, tag_field="id", tag="review"):
    """Another person holding the role `by` approves before release, when more than `above` persons are met."""

    by: str
    above: Threshold | None = None
    rule: str | None = None


class Limit(_Frozen, frozen=True, tag_field="id", tag="limit"):
    """At most `subjects` persons, and at least `minimum` of them, in one operation."""

    subjects: int
    minimum: int = 0
    on_exceed: Literal["refuse", "review"] = "refuse"
    rule: str | None = None


Obligation: TypeAlias = Review | Limit


class Decision(_Frozen, frozen=True):
    """What may be done, and how. Sources and fields that are not named are denied.

    `rows` holds one condition a source (`ALWAYS`: all rows); `reads` and `writes` one treatment a field.
    A denial carries nothing but its reasons.
    """

    id: str
    allow: bool
    reasons: tuple[Reason, ...] = ()
    rows: Mapping[str, Condition] = MappingProxyType({})
    reads: Mapping[str, Mapping[str, Treatment]] = MappingProxyType({})
    writes: Mapping[str, Mapping[str, Write]] = MappingProxyType({})
    obligations: tuple[Obligation, ...] = ()


# --- Consent --------------------------------------------------------------------------------------


class Notice(_Frozen, frozen=True):
    """The notice that was shown: immutable by version. `shown_at` in UTC seconds, null if it never was."""

    id: str
    version: str
    digest: str | None = None
    shown_at: int | None = None


class Consent(_Frozen, frozen=True):
    """A consent record as policy sees it: how it was obtained, never from whom (ISO/IEC TS 27560).

    Times are UTC seconds. `expires_at` null is a consent for life. `time` is stamped by the ledger when the
    consent is recorded.
    """

    id: str
    purposes: tuple[str, ...]
    operations: tuple[Operation, ...]
    categories: tuple[str, ...]
    recipient: str | None
    basis: str
    method: str
    form: str
    separate: bool
    written: bool
    bundled: bool
    preticked: bool
    refusal_denies_service: bool
    adverse_effect_told: bool
    guardian: bool
    notice: Notice | None
    granted_at: int
    expires_at: int | None
    assurance: Assurance
    time: Time | None = None


class Scope(_Frozen, frozen=True):
    """Operations × categories that a valid consent covers."""

    operations: tuple[Operation, ...]
    categories: tuple[str, ...]


def normal_scopes(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """The same coverage as one scope an operation, sorted: equal coverage is then an equal value."""
    covered: dict[Operation, set[str]] = {}
    for scope in scopes:
        for operation in scope.operations:
            covered.setdefault(operation, set()).update(scope.categories)
    return tuple(
        Scope(operations=(operation,), categories=tuple(sorted(covered[operation])))
        for operation in sorted(covered)
        if covered[operation]
    )


class Verdict(_Frozen, frozen=True):
    """What the policies make of a recorded consent. Only a valid one becomes a grant.

    `valid_until` in UTC seconds: the earlier of the consent's own end and what the rules allow.
    """

    id: str
    valid: bool
    reasons: tuple[Reason, ...] = ()
    scopes: tuple[Scope, ...] = ()
    valid_until: int | None = None


class Facts(_Frozen, frozen=True):
    """What conditions compare with: who acts, about whom, for what, and when. Bound as parameters, never cached.

    `recipient` is '' for the holder itself. `seconds` is UTC, `date` the local day. `judged` is the digest of
    the consent rules under which a grant must have been judged. `subject` is the declared person's key as
    canonical text, null where none was declared.
    """

    actor: str
    subject: str | None
    purpose: str
    operation: Operation
    recipient: str
    seconds: int
    date: str
    judged: str


# --- Acts -----------------------------------------------------------------------------------------


class Actor(_Frozen, frozen=True):
    """Who acts, as the application's own authentication knows them. `id` stays out of every Activity."""

    id: str
    kind: ActorKind = "person"
    roles: tuple[str, ...] = ()
    unit: str | None = None

    def __post_init__(self) -> None:
        """Says at once what is no actor: a constructor checks no type by itself. TypeError or ValueError."""
        if not isinstance(self.id, str):
            raise TypeError(f"an Actor's id is text, not {type(self.id).__name__}")
        if self.kind not in ("person", "service"):
            raise ValueError(f"an Actor's kind is person or service, not {self.kind!r}")
        if not isinstance(self.roles, tuple) or not all(isinstance(role, str) for role in self.roles):
            raise TypeError('an Actor\'s roles are a tuple of texts, such as ("loan_officer",)')
        if self.unit is not None and not isinstance(self.unit, str):
            raise TypeError(f"an Actor's unit is text or None, not {type(self.unit).__name__}")

    def facts(self) -> ActorFacts:
        """The part that policy may know; roles sorted, so that one kind of actor is one cache key."""
        return ActorFacts(kind=self.kind, roles=tuple(sorted(set(self.roles))), unit=self.unit)


class Outcome(_Frozen, frozen=True):
    """What came of one operation, for the program that attempted it.

    `rows` counts released rows, `entry` is the number of its last register entry within `shard`, the part of the
    register that this process writes. `reduced` says that a named field was dropped or a row may have been left out.
    `undeclared` counts members of records that no field of the catalogue declares: they were never looked at.
    """

    operation: Operation
    reduced: bool
    rules: tuple[str, ...]
    rows: int
    entry: int | None
    undeclared: int = 0
    shard: str | None = None
