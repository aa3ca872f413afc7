"""What a replay came to: the common judgement of its zones, its own checks, and its figures."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from treeward.cli.replay.books import Call, DeviceBooks, overcommitted
from treeward.cli.replay.records import Records
from treeward.runtime.judge import Books, Rule, Violation, judge

NEEDS_A_DEVICE = frozenset({Rule.COMPLETED_WITHOUT_EFFECT, Rule.DANGLING})
"""Rules that say nothing without the device's side."""

Quantiles = dict[str, float | int]


@dataclass(slots=True)
class Verdict:
    """The judgement. Every entry of `violations` must be 0."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    found: list[Violation] = field(default_factory=list)
    """Those of the common judgement, with what it takes to find them in the books."""
    seconds: float = 0.0
    units_per_s: float = 0.0
    queue_s: dict[str, Quantiles] = field(default_factory=dict)
    """Submit to first call, by action."""
    completion_s: dict[str, Quantiles] = field(default_factory=dict)
    """Submit to outcome in the log, by action."""

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.violations.values())

    def by_name(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "fine": self.fine,
            "outcomes": {action: dict(counts) for action, counts in self.outcomes.items()},
            "violations": self.violations,
            "found": [violation._asdict() for violation in self.found[:100]],
            "seconds": round(self.seconds, 3),
            "units_per_s": round(self.units_per_s, 1),
            "queue_s": self.queue_s,
            "completion_s": self.completion_s,
        }


def decide_verdict(records: Records, books: Books, device: DeviceBooks | None) -> Verdict:
    """Judge the zones of a replay as they are now; `device` None: nobody named the device's books.

    The whole of the zones is judged, also what others did there before and meanwhile.
    """
    verdict = Verdict()
    for unit in records.units:
        outcome = unit.answer.event.type.value if unit.answer else "unanswered" if unit.ticket else "not accepted"
        verdict.outcomes.setdefault(unit.action, Counter())[outcome] += 1
    rules = [rule for rule in Rule if device is not None or rule not in NEEDS_A_DEVICE]
    judgement = judge(books)
    verdict.found = [violation for violation in judgement.violations if violation.rule in rules]
    verdict.violations = {rule.value: judgement.count(rule) for rule in rules}
    verdict.violations["not_accepted"] = sum(unit.error is not None for unit in records.units)
    verdict.violations["accepted_and_lost"] = _lost(records, books)
    verdict.violations["submitted_out_of_order"] = _out_of_order(records)
    if device is not None:
        verdict.violations["overcommitted_hosts"] = len(overcommitted(device))
    _measure(verdict, records, device)
    return verdict


def _lost(records: Records, books: Books) -> int:
    """Units with a receipt that the history of WORK has not, or has for another resource."""
    history = {(unit.zone, unit.ticket): unit.key for unit in books.submitted}
    return sum(history.get(name) != unit.key for name, unit in records.by_ticket.items())


def _out_of_order(records: Records) -> int:
    """Units of a resource whose tickets are not in the order in which they were sent."""
    highest: dict[tuple[str, str], int] = {}
    count = 0
    for unit in records.units:
        if unit.ticket is not None:
            count += unit.ticket < highest.get((unit.zone, unit.key), 0)
            highest[unit.zone, unit.key] = unit.ticket
    return count


def first_calls(device: DeviceBooks | None) -> dict[tuple[str, int], Call]:
    """The first call of each ticket, by (zone, ticket)."""
    first: dict[tuple[str, int], Call] = {}
    for call in device.calls if device is not None else ():
        first.setdefault((call.zone, call.ticket), call)
    return first


def _measure(verdict: Verdict, records: Records, device: DeviceBooks | None) -> None:
    called = first_calls(device)
    queued: dict[str, list[float]] = {}
    completed: dict[str, list[float]] = {}
    ends = [unit.sent_s for unit in records.units]
    for name, unit in records.by_ticket.items():
        if name in called:
            queued.setdefault(unit.action, []).append(called[name].started_s - unit.sent_s)
        if unit.answer is not None:
            completed.setdefault(unit.action, []).append(unit.answer.stored_s - unit.sent_s)
            ends.append(unit.answer.stored_s)
    verdict.queue_s = {action: quantiles(values) for action, values in queued.items()}
    verdict.completion_s = {action: quantiles(values) for action, values in completed.items()}
    verdict.seconds = max(ends) - min(ends) if ends else 0.0
    verdict.units_per_s = records.answered / verdict.seconds if verdict.seconds > 0 else 0.0


def quantiles(values: Sequence[float]) -> Quantiles:
    """p50 and p99 by nearest rank, the highest, and how many there are."""
    ordered = sorted(values)
    count = len(ordered)

    def rank(percent: int) -> float:
        return round(ordered[max(0, -(-count * percent // 100) - 1)], 6)

    return {"p50": rank(50), "p99": rank(99), "max": round(ordered[-1], 6), "count": count}
