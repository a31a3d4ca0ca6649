"""Strict models of what people write, and what does not fit them in plain words, with file, line and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple, Self, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from guard.documents import Document, Place, characters
from guard.errors import ConfigError, Problem
from guard.names import meant

K = TypeVar("K")
V = TypeVar("V")
M = TypeVar("M", bound=BaseModel)


def _text_of_one_reading(text: str) -> str:
    for message, _ in characters(text):
        raise ValueError(message)
    return text


Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_text_of_one_reading)]
"""A name that people write: in Unicode NFC, without invisible characters, at most 128 characters."""

FrozenMap: TypeAlias = Annotated[
    Mapping[K, V], AfterValidator(lambda mapping: MappingProxyType(dict(mapping))), PlainSerializer(dict)
]
"""A mapping that does not change: pydantic's `frozen` alone protects only the attribute."""


class Finding(NamedTuple):
    """Something wrong at a place relative to the model that found it."""

    place: Place
    message: str
    remedy: str


class Inconsistent(ValueError):
    """What a model's own checks found; pydantic carries it to `problems`, which gives each finding its line."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(finding.message for finding in self.findings))


class Strict(BaseModel):
    """A document or a part of one: nothing is converted, unknown keys are errors, nothing changes."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    def findings(self) -> Iterable[Finding]:
        """What is wrong with the parts together, where each by itself fits."""
        return ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        found = list(self.findings())
        if found:
            raise Inconsistent(found)
        return self


def model(document: Document, kind: type[M], context: Mapping[str, Any] | None = None) -> M:
    """The document as a model; ConfigError with file, line and remedy of all that does not fit."""
    try:
        return kind.model_validate(_tuples(document.data), context=dict(context or {}))
    except ValidationError as error:
        raise ConfigError(problems(error, document, kind)) from None


def _tuples(value: Any) -> Any:
    """The data with tuples in place of lists: models hold no list, since what is configured does not change."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def problems(error: ValidationError, document: Document, kind: type[BaseModel]) -> list[Problem]:
    """What pydantic found, each with file, line, a plain message and a remedy, in order of place."""
    found: list[Problem] = []
    for detail in error.errors(include_url=False, include_input=True):
        place = detail["loc"]
        if detail["type"] == "union_tag_invalid":
            # pydantic points at the whole part; what is wrong is its tag.
            place = (*place, str(detail.get("ctx", {}).get("discriminator")).strip("'"))
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, Inconsistent):
            found += [document.problem((*place, *one.place), one.message, one.remedy) for one in cause.findings]
        else:
            found.append(document.problem(place, *_plainly(detail, _steps(document, place), kind)))
    return sorted(set(found), key=lambda problem: (problem.line, problem.message))


def _steps(document: Document, place: Place) -> list[str]:
    """The steps of a place that stand in the document, and a last one that is missing there; not pydantic's own."""
    steps: Place = ()
    for number, step in enumerate(place, 1):
        if (*steps, step) in document.lines or (number == len(place) and step != "[key]"):
            steps = (*steps, step)
    return [str(step) for step in steps]


def _plainly(detail: Mapping[str, Any], steps: list[str], kind: type[BaseModel]) -> tuple[str, str]:
    """Message and remedy of one of pydantic's errors."""
    last, said, keys = steps[-1] if steps else "", str(detail["msg"]), _keys(kind)
    such = _such(kind, last)
    words: dict[str, Any] = {"class_name": None, **detail.get("ctx", {})}
    words |= {
        "name": ".".join(steps) or "the document",
        "last": last,
        "input": _short(detail["input"]),
        "said": said[:1].lower() + said[1:],
        "add": f"write {last}: {such}" if such else f"add the key {last}",
        "more": f": write {last}: {such}" if such else "",
        "keys": ", ".join(keys.get(words["class_name"], ())),
        "meant": meant(last, {key for of in keys.values() for key in of}, "remove it"),
    }
    message, remedy = _WORDS.get(detail["type"], (_OTHERWISE, "correct the value"))
    return message.format_map(words), remedy.format_map(words)


def _keys(kind: type[BaseModel]) -> dict[str, list[str]]:
    """The keys of a model and of those inside it, by the names of the models."""
    return {name: list(one.get("properties", ())) for name, one in _models(kind).items()}


def _such(kind: type[BaseModel], key: str) -> str:
    """What may stand under a key, as the first of the models that has it shows; nothing where none does."""
    shown = [one.get("properties", {}).get(key, {}).get("examples", ()) for one in _models(kind).values()]
    return next((str(examples[0]) for examples in shown if examples), "")


def _models(kind: type[BaseModel]) -> dict[str, Any]:
    """The schemas of a model and of those inside it, by the names of the models."""
    schema = kind.model_json_schema()
    return {kind.__name__: schema, **schema.get("$defs", {})}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


_OTHERWISE: Final = "{name}: {said}"

_WORDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "missing": ("{name} is missing", "{add}"),
        "extra_forbidden": ("{name} is not a key that guard knows", "{meant}"),
        "value_error": ("{name}: {error}", "correct the value {input}"),
        "literal_error": ("{name} is {input}", "write {expected}"),
        "model_type": ("{name} is {input}", "write a mapping with the keys {keys}"),
        "union_tag_invalid": ("{name}: {tag} is none of the known kinds", "write {expected_tags}"),
        "union_tag_not_found": ("{name} does not say its kind", "add the key {discriminator}"),
        "string_type": (_OTHERWISE, "write text, in quotes if it could be read as something else"),
        "int_type": (_OTHERWISE, "write a whole number without quotes"),
        "float_type": (_OTHERWISE, "write a number without quotes"),
        "bool_type": (_OTHERWISE, "write true or false"),
        "dict_type": (_OTHERWISE, "write a mapping: key: value"),
        "tuple_type": (_OTHERWISE, "write a list: [a, b]"),
        "list_type": (_OTHERWISE, "write a list: [a, b]"),
        "string_pattern_mismatch": (_OTHERWISE, "write it in the expected form"),
        "string_too_short": (_OTHERWISE, "write at least one character"),
        "string_too_long": (_OTHERWISE, "shorten it"),
        "too_short": (_OTHERWISE, "give at least one{more}"),
        "greater_than_equal": (_OTHERWISE, "raise it to the bound"),
        "less_than_equal": (_OTHERWISE, "lower it to the bound"),
    }
)
"""Message and remedy by the type of pydantic's error; others are told in its own words."""
