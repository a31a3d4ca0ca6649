"""What a holder declares: which tables, columns and JSON fields hold which category of whom.

A source is named `holder:schema.table` or `holder:METHOD /path`. Per source the catalogue says who the
rows are about (`subjects`), how an actor may stand to them (`relations`), which columns policy may speak
of (`facts`), and the category of each field. What is not in the catalogue does not exist for guard: a
statement that names it is refused, a request field is dropped.

The catalogue is closed: sensitivity, masks and legal class of a category are policy data, not declared here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BeforeValidator, Field

from guard import documents, strict, wire
from guard.documents import Document, Place
from guard.model import Item, Role
from guard.names import meant, near
from guard.strict import Finding, FrozenMap, Inconsistent, Name, Strict

SourceName: TypeAlias = Annotated[Name, Field(pattern=r"^[^\s:.]+:\S.*$")]
FieldType: TypeAlias = Literal["text", "integer", "number", "boolean", "date", "timestamp", "json", "binary"]

Statement: TypeAlias = Annotated[str, Field(max_length=500, pattern=r"\S")]
"""A sentence for people: not blank, at most 500 characters."""

SUBJECT_TYPES: Final = frozenset({"text", "integer"})
"""The types that a person's key can have: they have one canonical text."""


class Subject(Strict):
    """The column that names a person the row is about.

    NULL in an optional one: no such person. A record of a road that has no such member does not say so, and is hidden.
    """

    column: Name
    optional: bool = False


def _subject(raw: object) -> object:
    if isinstance(raw, Mapping) and "via" in raw:
        raise Inconsistent(
            [Finding(("via",), "a subject via another table is not built yet", "name a column of this table")]
        )
    return {"column": raw} if isinstance(raw, str) else raw


class Relation(Strict):
    """An actor stands to a person: a row of `source` has the person in `subject`, the actor in `actor`, and `where`."""

    source: SourceName
    subject: Name
    actor: Name
    where: FrozenMap[Name, str | int | bool] = Field(default_factory=dict, validate_default=True)


class FieldEntry(Strict):
    """A column or a JSON pointer (RFC 6901): its category and its type."""

    category: Name
    type: FieldType = "text"


def _columns(raw: object) -> object:
    return (raw,) if isinstance(raw, str) else raw


class Source(Strict):
    """A source that holds personal data.

    `key` is the primary key, one column or several: by it and by the subjects a write may name a row whether it is
    permitted or not, and be refused for it.
    """

    key: Annotated[tuple[Name, ...], BeforeValidator(_columns)] = ()
    subjects: FrozenMap[Name, Annotated[Subject, BeforeValidator(_subject)]] = Field(min_length=1)
    relations: FrozenMap[Name, Relation] = Field(default_factory=dict, validate_default=True)
    facts: FrozenMap[Name, Name] = Field(default_factory=dict, validate_default=True)
    fields: FrozenMap[Name, FieldEntry] = Field(min_length=1)

    def findings(self) -> Iterator[Finding]:
        """Key, subjects and facts name columns of this source, and persons have keys of one spelling."""
        named: list[tuple[Place, str, str]] = [(("key",), "key", column) for column in self.key]
        named += [(("subjects", name), f"subject {name}", one.column) for name, one in self.subjects.items()]
        named += [(("facts", name), f"fact {name}", column) for name, column in self.facts.items()]
        for place, what, column in named:
            if column not in self.fields:
                remedy = meant(column, self.fields, "add the column to fields, or name one of them")
                yield Finding(place, f"{what} names {column}, which is not among the fields", remedy)
        yield from self._subject_findings()
        yield from _one_case(self.fields)

    def _subject_findings(self) -> Iterator[Finding]:
        for position, (name, subject) in enumerate(self.subjects.items()):
            place = ("subjects", name)
            field = self.fields.get(subject.column)
            if field is not None and field.type not in SUBJECT_TYPES:
                remedy = "name a column of the type text or integer"
                yield Finding(place, f"subject {name} names {subject.column} of the type {field.type}", remedy)
            if subject.optional and position == 0:
                remedy = "remove optional, or put another subject first"
                yield Finding(place, f"the first subject {name} is optional: a row about nobody is hidden", remedy)
        for column, count in Counter(subject.column for subject in self.subjects.values()).items():
            if count > 1:
                yield Finding(("subjects",), f"two subjects name the column {column}", "keep one of them")

    def item(self, name: str, role: Role = "read") -> Item:
        """The source's own item in an Activity."""
        return Item(
            source=name,
            field=None,
            role=role,
            subjects=tuple(sorted(self.subjects)),
            relations=tuple(sorted(self.relations)),
            facts=tuple(sorted(self.facts)),
        )

    def field_item(self, name: str, field: str, role: Role = "read") -> Item:
        """The item of one field; KeyError if the catalogue does not know the field."""
        return Item(source=name, field=field, role=role, category=self.fields[field].category)

    def items(self, name: str, fields: Iterable[str], role: Role) -> tuple[Item, ...]:
        """The source's own item and those of the fields, in the order of an Activity."""
        return wire.ordered([self.item(name, role), *(self.field_item(name, one, role) for one in fields)])


class Public(Strict):
    """A source declared to hold no personal data: who says so, why, and which columns it has."""

    reason: Statement
    owner: Statement
    fields: FrozenMap[Name, FieldType] = Field(min_length=1)

    def findings(self) -> Iterator[Finding]:
        """No two columns have names that a database takes for one."""
        return _one_case(self.fields)


class Catalogue(Strict):
    """The whole catalogue of a holder."""

    version: Annotated[str, Field(min_length=1)]
    sources: FrozenMap[SourceName, Source] = Field(min_length=1)
    public: FrozenMap[SourceName, Public] = Field(default_factory=dict, validate_default=True)

    def findings(self) -> Iterator[Finding]:
        """A source is personal or public, and relations rest on columns of this catalogue."""
        both = self.sources.keys() & self.public.keys()
        for name in both:
            yield Finding(("public", name), f"{name} is declared both personal and public", "keep one of the two")
        yield from _one_case([*self.sources, *(self.public.keys() - both)], ("sources",))
        for name, source in self.sources.items():
            for label, relation in source.relations.items():
                yield from self._relation_findings(("sources", name, "relations", label), relation)

    def _relation_findings(self, place: tuple[str, ...], relation: Relation) -> Iterator[Finding]:
        target = self.entry(relation.source)
        if target is None:
            remedy = _of_relation(relation.source, {*self.sources, *self.public})
            yield Finding((*place, "source"), f"{relation.source} is not in the catalogue", remedy)
            return
        named: list[tuple[tuple[str, ...], str]] = [(("subject",), relation.subject), (("actor",), relation.actor)]
        named += [(("where", column), column) for column in relation.where]
        for step, column in named:
            if column not in target.fields:
                remedy = meant(column, target.fields, f"name a column of {relation.source}")
                yield Finding((*place, *step), f"{relation.source} has no column {column}", remedy)

    @cached_property
    def digest(self) -> str:
        """`sha256:` of the catalogue's canonical JSON."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def entry(self, name: str) -> Source | Public | None:
        """The entry of a source by its full name, or None."""
        return self.sources.get(name) or self.public.get(name)

    def table(self, holder: str, schema: str, table: str) -> tuple[str, Source | Public] | None:
        """The entry of a table, with its source name, or None: closed world."""
        name = f"{holder}:{schema}.{table}"
        entry = self.entry(name)
        return None if entry is None else (name, entry)

    @property
    def categories(self) -> frozenset[str]:
        """All categories in use."""
        return frozenset(field.category for source in self.sources.values() for field in source.fields.values())


def _of_relation(source: str, known: Collection[str]) -> str:
    """What to write for the source of a relation that is not in the catalogue; the tables of a schema begin alike."""
    tables = {name.rsplit(".", 1)[-1]: name for name in sorted(known) if " /" not in name}
    found = near(source.rsplit(".", 1)[-1], tables)
    declare = "declare it under sources, if it is a table of your database"
    return declare if found is None else f"did you mean {tables[found]}? If not, {declare}"


def _one_case(names: Iterable[str], place: tuple[str, ...] = ("fields",)) -> Iterator[Finding]:
    """Databases fold the case of names, each in its own way: two names must differ in more than case."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            yield Finding((*place, name), f"{name} and {other} differ only in case", "rename one of them")


def load(source: Path | Mapping[str, Any]) -> Catalogue:
    """The catalogue in a YAML or JSON file, or in data; ConfigError with place and remedy of all that is wrong."""
    if isinstance(source, Path):
        return strict.model(documents.read(source), Catalogue)
    return strict.model(Document("catalogue", source, {}), Catalogue)
