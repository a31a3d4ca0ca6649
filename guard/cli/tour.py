"""A step of the tour on the terminal: title, who and what, statements, outcome, rules, rows."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from guard.cli import show
from guard.cli.checks.contents import identity_number
from guard.demo.abridged import abridged
from guard.demo.tour import Step

_STYLE: Final = {"allowed": "green", "reduced": "yellow", "refused": "red", "held": "magenta", "detected": "cyan"}
_TITLE: Final = {
    "read-one": "A loan officer reads the application of an open case",
    "not-my-case": "A colleague without that case",
    "no-purpose": "The same officer, without a purpose",
    "read-all": "SELECT * over all applicants",
    "aggregate": "Counts and sums over all applicants",
    "join": "Two tables joined",
    "withdraw": "Somebody withdraws consent; then SELECT * again",
    "consent-lifetime": "A consent for life",
    "consent-forced": "A forced consent",
    "consent-bundled": "A bundled consent",
    "collect-extra-field": "A form that asks for more than the loan needs",
    "forbidden-category": "Religion and blood type at the credit agency",
    "export-held": "A bulk export",
    "export-self-approved": "Who asked approves it",
    "export-released": "Another person approves it",
    "export-again": "The same approval once more",
    "register-verified": "The register",
    "register-tampered": "One byte of it changed",
}
_LEGEND: Final = (
    "In short; --json has it whole. GRANT(c): the row's person has a live consent to this purpose that covers c."
)
_MARGIN: Final = 6


class Terminal:
    """Prints steps; what was said once in full is said in short the next time."""

    def __init__(self, dialect: str) -> None:
        self._dialect = dialect
        self._said: set[str] = set()
        self._ended: Counter[str] = Counter()

    def close(self) -> None:
        """What came of all."""
        counted = ", ".join(f"{number} {ended}" for ended, number in sorted(self._ended.items()))
        show.out.print()
        show.out.print(f"[bold]{self._ended.total()} steps, each a real call:[/] {counted}.")

    def print(self, step: Step) -> None:
        """One step."""
        self._ended[step.outcome] += 1
        style, detail = _STYLE[step.outcome], step.detail
        show.out.print()
        show.out.rule(f"[bold]{_TITLE[step.step]}[/]", align="left", style=style)
        show.out.print(show.plain(f"{detail.who}, {detail.what}"), style="dim")
        self._statements(step)
        entry = "" if detail.entry is None else f", register entry {show.entry(detail.shard, detail.entry)}"
        released = f"{show.counted(step.rows)}{entry}" if step.sql else entry.removeprefix(", ")
        show.out.print(Text.assemble((step.outcome.upper(), f"bold {style}"), f"  {released}"))
        if detail.message:
            show.out.print(Padding(show.plain(detail.message), (0, 0, 0, 2)))
        self._rules(step)
        if detail.sample:
            _rows(detail.columns, detail.sample, step.rows)

    def _statements(self, step: Step) -> None:
        for name, key in (("sent", "sent"), ("got", "arrived")):
            if key in step.detail.found:
                _beside(name, Text(", ".join(step.detail.found[key])))
        if step.sql is None:
            return
        _beside("wrote", self._once(step.sql.before))
        if step.sql.after is not None and step.rows:
            _beside("ran", self._once(abridged(step.sql.after, self._dialect)))
            if self._first("legend"):
                show.out.print(Padding(show.plain(_LEGEND), (0, 0, 0, _MARGIN)), style="dim")

    def _once(self, sql: str) -> Syntax | Text:
        if not self._first(sql):
            return Text("the same statement as above", style="dim")
        return Syntax(_wrapped(sql), "sql", background_color="default", theme="ansi_dark")

    def _rules(self, step: Step) -> None:
        """A refusal says why in full; what shaped a result is named, with its clause the first time."""
        detail = step.detail
        spoke = step.outcome in {"refused", "held"}
        known = [rule for rule in step.rules if not self._first(f"{rule} {spoke}")]
        for rule, clause in detail.clauses.items():
            if rule in known:
                continue
            said = f"{rule}  {clause}: {detail.sentences[rule]}" if spoke else line(f"{rule}  {clause}")
            show.out.print(Padding(show.plain(said), (0, 0, 0, 2)), style="dim")
        if known:
            show.out.print(Padding(Text(f"{', '.join(known)}: as above"), (0, 0, 0, 2)), style="dim")
        for remedy in detail.remedy:
            short = textwrap.shorten(remedy, 2 * show.out.width - 8, placeholder=" …")
            show.out.print(Padding(show.plain(f"→ {short}"), (0, 0, 0, 2)), style="green")

    def _first(self, what: str) -> bool:
        new = what not in self._said
        self._said.add(what)
        return new


def line(clauses: str) -> str:
    """As many of the clauses as a line holds, each whole. The first is always there, if need be over more lines."""
    whole, text = clauses.split("; "), clauses
    for kept in range(len(whole) - 1, 0, -1):
        if cell_len(text) <= show.out.width - 2:
            break
        text = "; ".join((*whole[:kept], "…"))
    return text


def _beside(name: str, what: Syntax | Text) -> None:
    """Something with its name in the margin."""
    grid = Table.grid()
    grid.add_column(style="dim", width=_MARGIN)
    grid.add_column()
    grid.add_row(name, what)
    show.out.print(grid)


def _wrapped(sql: str) -> str:
    """The statement in lines that fit; what goes on is indented more than what it belongs to."""
    lines: list[str] = []
    for line in sql.splitlines():
        deeper = " " * (len(line) - len(line.lstrip()) + 4)
        lines += textwrap.wrap(
            line,
            show.out.width - _MARGIN,
            subsequent_indent=deeper,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def _rows(columns: Sequence[str], sample: Sequence[Sequence[object]], rows: int) -> None:
    """The first rows; one alone stands upright, and no cell is cut: a mask cut short looks like a value.

    An identity number that came out whole, since its person consented to that, is not repeated here.
    """
    cells = [["" if value is None else str(value) for value in row] for row in sample]
    places = [place for place in range(len(columns)) if not any(identity_number(row[place]) for row in cells)]
    if len(sample) == 1:
        table = Table(box=None, pad_edge=False, show_header=False)
        for place in places:
            table.add_row(show.plain(columns[place]), show.plain(cells[0][place]))
    else:
        places = places[: max(3, show.out.width // 16)]
        table = show.table(*(columns[place] for place in places))
        for row in cells:
            table.add_row(*(show.plain(row[place]) for place in places))
    show.out.print(Padding(table, (0, 0, 0, 2)))
    left = []
    if rows > len(sample):
        left.append(f"{rows - len(sample)} more rows")
    if len(columns) > len(places):
        left.append(f"{len(columns) - len(places)} more columns")
    if left:
        show.out.print(f"  and {', '.join(left)}", style="dim")
