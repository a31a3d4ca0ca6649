"""What a holder declares: which tables, columns and JSON fields hold which category of whom.

A source is named `holder:schema.table` or `holder:METHOD /path`. Per source the catalogue says who the
rows are about (`subjects`), how an actor may stand to them (`relations`), which columns policy may speak
of (`facts`), and the category of each field. What is not in the catalogue does not exist for guard: a
statement that names it is refused, a request field is dropped.

The catalogue is closed: sensitivity, masks and legal class of a category are policy data, not declared here.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from guard.model import Item, Role


def _nfc(text: str) -> str:
    if not unicodedata.is_normalized("NFC", text):
        raise ValueError("not in Unicode NFC")
    if any(unicodedata.category(character).startswith("C") for character in text):
        raise ValueError("holds a control or invisible character")
    return text


Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_nfc)]
SourceName: TypeAlias = Annotated[Name, Field(pattern=r"^[^\s:.]+:\S.*$")]
FieldType: TypeAlias = Literal["text", "integer", "number", "boolean", "date", "timestamp", "json", "binary"]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Subject(_Strict):
    """The column that names a person the row is about. NULL in an optional one: no such person."""

    column: Name
    optional: bool = False


def _subject(raw: Any) -> Any:
    return {"column": raw} if isinstance(raw, str) else raw


class Relation(_Strict):
    """An actor stands to a person: a row of `source` with the person in `subject`, the actor in `actor`, and `where`."""

    source: SourceName
    subject: Name
    actor: Name
    where: dict[Name, str | int | bool] = {}


class FieldEntry(_Strict):
    """A column or a JSON pointer (RFC 6901): its category and its type."""

    category: Name
    type: FieldType = "text"


class Source(_Strict):
    """A source that holds personal data."""

    subjects: dict[Name, Annotated[Subject, BeforeValidator(_subject)]] = Field(min_length=1)
    relations: dict[Name, Relation] = {}
    facts: dict[Name, Name] = {}
    fields: dict[Name, FieldEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _closed(self) -> Source:
        for what, column in (
            *((f"subject {name}", subject.column) for name, subject in self.subjects.items()),
            *((f"fact {name}", column) for name, column in self.facts.items()),
        ):
            if column not in self.fields:
                raise ValueError(f"{what} names the column {column}, which is not among the fields")
        if next(iter(self.subjects.values())).optional:
            raise ValueError("the first subject cannot be optional: a row about nobody is hidden")
        return self

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


class Public(_Strict):
    """A source declared to hold no personal data: who says so, why, and which columns it has."""

    reason: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    fields: dict[Name, FieldType] = Field(min_length=1)


class Catalogue(_Strict):
    """The whole catalogue of a holder."""

    version: Annotated[str, Field(min_length=1)]
    sources: dict[SourceName, Source]
    public: dict[SourceName, Public] = {}

    @model_validator(mode="after")
    def _consistent(self) -> Catalogue:
        both = self.sources.keys() & self.public.keys()
        if both:
            raise ValueError(f"{sorted(both)[0]} is declared both personal and public")
        for name, source in self.sources.items():
            for label, relation in source.relations.items():
                target = self.sources.get(relation.source) or self.public.get(relation.source)
                if target is None:
                    raise ValueError(f"relation {label} of {name} names the unknown source {relation.source}")
                for column in (relation.subject, relation.actor, *relation.where):
                    if column not in target.fields:
                        raise ValueError(f"relation {label} of {name} names {column}, which {relation.source} does not have")
        return self

    @property
    def digest(self) -> str:
        """`sha256:` of the catalogue's canonical JSON."""
        return "sha256:" + hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def table(self, holder: str, schema: str, table: str) -> tuple[str, Source | Public] | None:
        """The entry of a table, with its source name, or None: closed world."""
        name = f"{holder}:{schema}.{table}"
        entry: Source | Public | None = self.sources.get(name) or self.public.get(name)
        return None if entry is None else (name, entry)


def load(raw: Mapping[str, Any]) -> Catalogue:
    """A catalogue from parsed YAML; pydantic.ValidationError says what is wrong and where."""
    return Catalogue.model_validate(raw)
