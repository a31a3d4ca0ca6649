"""Steps on the bank's tables: who reads what of whom, and that what is counted is what may be read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from guard.demo.people import APPLICANT, CHEN, FORM, LIN, PURPOSE, WITHDRAWING
from guard.demo.tour.holder import Answer, Holder, Played, Trace
from guard.demo.tour.step import Disagreement

READ_ONE: Final = (
    "SELECT full_name, id_number, mobile, loan_purpose, credit_amount, duration_in_month "
    "FROM application WHERE customer_id = ?"
)
READ_ALL: Final = "SELECT * FROM application ORDER BY application_id"
AGGREGATE: Final = (
    "SELECT loan_purpose, count(*) AS applications, sum(credit_amount) AS amount "
    "FROM application GROUP BY loan_purpose ORDER BY loan_purpose"
)
JOIN: Final = (
    "SELECT a.application_id, c.full_name, c.monthly_income, a.credit_amount "
    "FROM application AS a JOIN customer AS c ON c.customer_id = a.customer_id ORDER BY a.application_id"
)


def steps(bank: Holder) -> Iterator[Played]:
    """From one application to all of them."""
    one = (int(APPLICANT),)
    yield bank.tell("read-one", bank.ask(LIN, PURPOSE, READ_ONE, one, subject=APPLICANT))
    yield bank.tell("not-my-case", bank.ask(CHEN, PURPOSE, READ_ONE, one, subject=APPLICANT))
    yield bank.tell("no-purpose", bank.ask(LIN, None, READ_ONE, one))
    everything = bank.ask(LIN, PURPOSE, READ_ALL)
    there = bank.past("application", "1 = 1")
    cases = bank.past("loan_case", f"officer_id = '{LIN.id}' AND status = 'open'")
    yield bank.tell(
        "read-all",
        everything,
        message=f"Of {there:,} applications, {_persons(everything)}: those of the officer's {cases} open cases whose "
        "persons consent.",
        found={"applications": there, "open_cases": cases, "persons": _persons(everything)},
    )
    yield _aggregate(bank, everything)
    yield _join(bank, everything)
    yield _withdraw(bank, everything)


def _persons(answer: Answer) -> int:
    return len(set(answer.column("customer_id"))) if answer.columns else 0


def _aggregate(bank: Holder, everything: Answer) -> Played:
    """Groups are counted and summed here too, from the rows that read-all released."""
    answer = bank.ask(LIN, PURPOSE, AGGREGATE)
    if answer.refused is not None or everything.refused is not None:
        return bank.tell("aggregate", answer)
    groups: defaultdict[str | None, list[Any]] = defaultdict(list)
    amounts = everything.column("credit_amount")
    for purpose, amount in zip(everything.column("loan_purpose"), amounts, strict=True):
        groups[purpose].append(amount)
    counted = {purpose: (len(of), _sum(of)) for purpose, of in groups.items()}
    _same("aggregate", {row[0]: (row[1], row[2]) for row in answer.rows}, counted)
    total = _sum(amounts) or 0
    return bank.tell(
        "aggregate",
        answer,
        message=f"They add up to {len(amounts)} applications of {total:,}, as do the rows that read-all released.",
        found={"applications": len(amounts), "amount": total, "agrees_with": "read-all"},
        sample=len(answer.rows),
    )


def _join(bank: Holder, everything: Answer) -> Played:
    """The join has the applications, names and amounts of read-all, one by one."""
    answer = bank.ask(LIN, PURPOSE, JOIN)
    if answer.refused is not None or everything.refused is not None:
        return bank.tell("join", answer)
    shared = ("application_id", "full_name", "credit_amount")
    _same("join", *(set(_of(one, shared)) for one in (answer, everything)))
    return bank.tell(
        "join",
        answer,
        message=f"The same {len(answer.rows)} applications as in read-all, with the same names and amounts.",
        found={"applications": len(answer.rows), "agrees_with": "read-all"},
    )


def _withdraw(bank: Holder, before: Answer) -> Played:
    """One person withdraws; the next statement is the one of read-all."""
    ended = bank.guard.consents.withdraw_subject(WITHDRAWING, PURPOSE, by=FORM)
    after = bank.ask(LIN, PURPOSE, READ_ALL)
    seen = {str(one) for one in after.column("customer_id")} if after.columns else set()
    if WITHDRAWING in seen:
        raise Disagreement("withdraw: somebody who has withdrawn is still seen.")
    played = bank.tell(
        "withdraw",
        after,
        message=f"Person {WITHDRAWING} withdrew {ended} grants: {_persons(before)} persons before, "
        f"{_persons(after)} in the very next statement.",
        found={
            "withdrawn": WITHDRAWING,
            "grants": ended,
            "before": len(before.rows),
            "after": len(after.rows),
        },
    )
    trace = Trace(kind="consent", actor=FORM.id, subject=WITHDRAWING)
    return msgspec.structs.replace(played, traces=(trace, *played.traces))


def _of(answer: Answer, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    return zip(*(answer.column(name) for name in columns), strict=True)


def _sum(amounts: list[Any]) -> int | None:
    """As SQL sums: of nothing but NULL, NULL."""
    known = [int(one) for one in amounts if one is not None]
    return sum(known) if known else None


def _same(name: str, guarded: object, computed: object) -> None:
    if guarded != computed:
        raise Disagreement(f"{name}: the statement does not agree with the rows that may be read.")
