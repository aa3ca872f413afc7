"""What a run has broken: the judge's rules, and every receipt that a client ever got."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.faults.load import Receipt

from treeward.bus.interface import Stored
from treeward.runtime.judge import Books, DeviceCall, Judgement, Logged, Rule, Violation

RECEIPT_LOST = "receipt_lost"
"""A client was told that a unit was accepted, and the history has another one there, or none."""

PROMISES = {
    "serial": (Rule.OVERLAP, Rule.DOUBLED_EFFECT),
    "in order": (Rule.ORDER,),
    "answered once": (Rule.ANSWERED_TWICE, Rule.ANSWERED_UNKNOWN),
    "nothing answered otherwise takes effect": (Rule.EFFECT_WITHOUT_COMPLETED, Rule.COMPLETED_WITHOUT_EFFECT),
    "no accepted unit is lost": (RECEIPT_LOST,),
    "answered in the end": (Rule.UNANSWERED,),
    "nothing dangles": (Rule.DANGLING,),
}
"""Promise > what breaks it."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation, with every row of the books that is about its resource and ticket."""

    rule: str
    zone: str
    key: str
    ticket: int | None
    what: str
    rows: list[dict[str, Any]]


def judge_receipts(receipts: Iterable[Receipt], history: Sequence[Stored]) -> list[Violation]:
    """Every receipt must be in the history: this subject, this body, this message id, under this ticket."""
    accepted = {(stored.subject.split(".")[2], stored.position): stored for stored in history}
    broken = []
    for receipt in receipts:
        stored = accepted.get((receipt.zone, receipt.ticket))
        problem = None
        if stored is None:
            problem = "the history has nothing there"
        elif stored.subject != f"tw.work.{receipt.zone}.{receipt.key}":
            problem = f"the history has {stored.subject} there"
        elif stored.data != receipt.body or (stored.headers or {}).get("Nats-Msg-Id") != receipt.message_id:
            problem = "the history has another unit there"
        if problem is not None:
            broken.append((receipt, problem))
    return [
        Violation(RECEIPT_LOST, receipt.zone, receipt.key, receipt.ticket, problem)  # type: ignore[arg-type]
        for receipt, problem in broken
    ]


def with_rows(violations: Sequence[Violation], books: Books) -> list[Broken]:
    """The violations with what the books say about each, in the order in which it happened."""
    wanted = {(violation.zone, violation.key) for violation in violations}
    log: dict[tuple[str, str], list[Logged]] = {}
    calls: dict[tuple[str, str], list[DeviceCall]] = {}
    for row in books.log:
        if (row.event.zone, row.event.key) in wanted:
            log.setdefault((row.event.zone, row.event.key), []).append(row)
    for call in books.calls:
        if call.address in wanted:
            calls.setdefault(call.address, []).append(call)
    return [_with_rows(violation, log, calls) for violation in violations]


def _with_rows(
    violation: Violation, log: dict[tuple[str, str], list[Logged]], calls: dict[tuple[str, str], list[DeviceCall]]
) -> Broken:
    address, ticket = (violation.zone, violation.key), violation.ticket
    near = range(ticket - 50, ticket + 50) if ticket is not None else None
    rows: list[dict[str, Any]] = [
        {
            "at_s": row.at_s,
            "log": row.position,
            **row.event.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
        }
        for row in log.get(address, [])
        if near is None or row.event.ticket is None or row.event.ticket in near
    ]
    rows += [
        {"at_s": call.started_at, "call": call.id, **call._asdict()}
        for call in calls.get(address, [])
        if near is None or call.ticket is None or call.ticket in near
    ]
    rows.sort(key=lambda row: float(row["at_s"]))
    return Broken(str(violation.rule), violation.zone, violation.key, ticket, violation.what, rows[-40:])


def by_promise(judgement: Judgement, receipts: Sequence[Violation]) -> dict[str, int]:
    """How often each promise was broken."""
    every = [*judgement.violations, *receipts]
    return {promise: sum(violation.rule in rules for violation in every) for promise, rules in PROMISES.items()}
