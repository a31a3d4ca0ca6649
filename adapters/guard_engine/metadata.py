"""The words of a policy's rules, read from Rego METADATA.

A rule of law is described once, beside the Rego that implements it::

    # METADATA
    # title: sensitive data needs separate consent
    # custom:
    #   rule: PI-19
    #   clause: PIPL 29; NDSR 22(2)
    #   en: Sensitive personal data needs a separate consent.
    #   zh: 处理敏感个人信息须取得单独同意。
    #   title_zh: 敏感个人信息的单独同意

`title`, its short name, and `title_zh` may be left out. Further blocks may carry `rule: PI-19` alone, as a reference.
`guard_engine.build` compares what is read here with what the real `opa inspect --annotations` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from guard.errors import ConfigError, Problem
from guard.messages import Message

_WORDS: Final = ("clause", "en", "zh")


def rules(sources: Mapping[str, bytes]) -> dict[str, Message]:
    """Rule id to its words, from the METADATA of all Rego files (name to text); ConfigError lists what is wrong."""
    found: dict[str, Message] = {}
    problems: list[Problem] = []
    referred: dict[str, tuple[str, int]] = {}
    for name, source in sorted(sources.items()):
        for line, block in _blocks(source.decode("utf-8")):
            try:
                described = _described(block)
            except ValueError as error:
                problems.append(Problem(name, line, f"METADATA: {error}", "write custom: rule, clause, en, zh as text"))
                continue
            if described is None:
                continue
            rule, message = described
            referred.setdefault(rule, (name, line))
            if message is not None and found.setdefault(rule, message) != message:
                problems.append(
                    Problem(name, line, f"METADATA: {rule} is described twice, differently", "describe it once")
                )
    problems += [
        Problem(name, line, f"METADATA: {rule} is described nowhere", "add clause, en and zh to one of its rules")
        for rule, (name, line) in referred.items()
        if rule not in found and not problems
    ]
    if problems:
        raise ConfigError(problems)
    return dict(sorted(found.items()))


def described(block: Mapping[str, Any]) -> tuple[str, Message | None] | None:
    """A rule and its words from one METADATA block; None if it speaks of no rule."""
    custom = block.get("custom") or {}
    if not isinstance(custom, Mapping):
        raise ValueError("custom is not a mapping")  # noqa: TRY004 (a wrong document)
    if not {"rule", *_WORDS} & custom.keys():
        return None
    rule = custom.get("rule")
    if not isinstance(rule, str) or not rule:
        raise ValueError("custom.rule is not a rule id")
    words = [custom.get(word) for word in _WORDS]
    if not any(word is not None for word in words):
        return rule, None
    texts = [word for word in words if isinstance(word, str) and word]
    if len(texts) != len(_WORDS):
        raise ValueError(f"{rule} lacks one of clause, en, zh")
    names = [block.get("title", ""), custom.get("title_zh", "")]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{rule} has a title that is no text")
    return rule, Message(*texts, *names)


def _described(block: str) -> tuple[str, Message | None] | None:
    try:
        parsed = yaml.safe_load(block)
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML ({' '.join(str(error).split())})") from None
    if parsed is not None and not isinstance(parsed, dict):
        raise ValueError("not a YAML mapping")
    return described(parsed or {})


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """Each METADATA block as its first line and its YAML: up to the first line that is no comment."""
    block: list[str] | None = None
    start = 0
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        comment = line.strip()
        if block is None:
            if comment.removeprefix("#").strip() == "METADATA" and comment.startswith("#"):
                block, start = [], number
        elif comment.startswith("#"):
            block.append(comment[1:].removeprefix(" "))
        else:
            yield start, "\n".join(block)
            block = None
