"""The guard's own refusals in words: a sentence in each language for every id that code can say, and for no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args, get_type_hints

from guard import messages, wire
from guard.messages import Message, Messages

ROOT = Path(messages.__file__).parent
TOLD = json.loads((ROOT / "messages.json").read_text(encoding="utf-8"), object_pairs_hook=list)


def test_every_id_that_code_says_has_words_and_every_other_is_gone() -> None:
    said = re.compile(r"\bGUARD-[A-Z]+(?:-[A-Z]+)*\b(?!-)")
    code = [path for folder in (ROOT, ROOT.parent / "adapters") for path in folder.rglob("*.py")]
    used = {rule for path in code for rule in said.findall(path.read_text(encoding="utf-8"))}
    # The ways in which an engine's answer is no strict JSON are told by their kind.
    used |= {f"GUARD-DECISION-{kind}" for kind in get_args(get_type_hints(wire.NotStrict.__init__)["kind"])}
    assert used == set(messages.own())


def test_ids_are_sorted_and_none_stands_twice() -> None:
    ids = [rule for rule, _ in TOLD]
    assert ids == sorted(set(ids))


def test_each_has_a_sentence_in_both_languages() -> None:
    for rule, words in TOLD:
        assert [lang for lang, _ in words] == ["en", "zh"], rule
        assert all(sentence.strip() for _, sentence in words), rule


def test_a_bundle_cannot_reword_a_refusal_of_the_guards_own() -> None:
    told = Messages({"GUARD-ABSENT": Message(clause="PIPL 13", en="All is well.", zh="一切正常。")})
    assert told.sentence("GUARD-ABSENT") == "GUARD-ABSENT (guard): No such person, or not permitted."
