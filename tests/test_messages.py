"""The guard's own refusals in words: a sentence in each language for every id that code can say, and for no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from guard import messages, wire
from guard.messages import Message, Messages
from guard.model import Consent, ConsentNeeded, Reason, Remedy

ROOT = Path(messages.__file__).parent
FILES = ["messages", "remedies"]


def told(name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    return json.loads((ROOT / f"{name}.json").read_text(encoding="utf-8"), object_pairs_hook=list)


def test_every_id_that_code_says_has_words_and_every_other_is_gone() -> None:
    said = re.compile(r"\bGUARD-[A-Z]+(?:-[A-Z]+)*\b(?!-)")
    code = [path for folder in (ROOT, ROOT.parent / "adapters") for path in folder.rglob("*.py")]
    used = {rule for path in code for rule in said.findall(path.read_text(encoding="utf-8"))}
    # The ways in which an engine's answer is no strict JSON are told by their kind.
    used |= {f"GUARD-DECISION-{kind}" for kind in get_args(get_type_hints(wire.NotStrict.__init__)["kind"])}
    assert used == set(messages.own())


@pytest.mark.parametrize("name", FILES)
def test_ids_are_sorted_and_none_stands_twice(name: str) -> None:
    ids = [one for one, _ in told(name)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("name", FILES)
def test_each_has_a_sentence_in_both_languages(name: str) -> None:
    for one, words in told(name):
        assert [lang for lang, _ in words] == ["en", "zh"], one
        assert all(sentence.strip() for _, sentence in words), one


def test_every_kind_of_remedy_has_words_and_no_other() -> None:
    kinds = {one.partition(".")[0] for one, _ in told("remedies")}
    assert kinds == set(Remedy.__struct_fields__) - {"consent"}, "which consent is composed"
    parts = {part for one, _ in told("remedies") for _, _, part in [one.partition(".")] if part}
    assert parts <= set(Consent.__struct_fields__)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_each_remedy_says_what_it_names(lang: str) -> None:
    consent = ConsentNeeded(separate=True, written=True, category="income")
    for remedy, said in [
        (Remedy(consent=consent), ["income", *(["单独、书面"] if lang == "zh" else ["separate written consent"])]),
        (Remedy(relation="assigned_case"), ["assigned_case"]),
        (Remedy(purposes=("a1", "b2")), ["a1, b2"]),
        (Remedy(bases=("a1", "b2")), ["a1, b2"]),
        (Remedy(record=("bundled", "zzz")), ["bundled: false", "zzz"]),
        (Remedy(omit=True), [""]),
    ]:
        sentence = messages.OWN.remedy(Reason(rule="X-01", remedy=remedy), lang)
        assert sentence, remedy
        assert all(one in sentence for one in said)
        assert "{" not in sentence
    assert messages.OWN.remedy(Reason(rule="X-01", remedy=Remedy()), lang) == ""


def test_a_bundle_cannot_reword_a_refusal_of_the_guards_own() -> None:
    told = Messages({"GUARD-ABSENT": Message(clause="PIPL 13", en="All is well.", zh="一切正常。")})
    assert told.sentence("GUARD-ABSENT") == "GUARD-ABSENT (guard): No such person, or not permitted."
