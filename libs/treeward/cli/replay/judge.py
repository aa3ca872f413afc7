"""Judges a replay: from what was submitted, what the logs and the history say, and what the device has written down."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from treeward.bus.interface import Bus, Stored
from treeward.cli.output import UNAVAILABLE, CommandError
from treeward.cli.replay.books import (
    Books,
    Call,
    doubled_effects,
    order_violations,
    overcommitted,
    overlapping_calls,
)
from treeward.cli.replay.records import Records, Submitted
from treeward.schemas import streams, subjects
from treeward.schemas.events import EventType

NEVER_EFFECTIVE = frozenset({EventType.CANCELLED, EventType.EXPIRED, EventType.SUPERSEDED, EventType.REJECTED})
HISTORY_S = 60.0


@dataclass(slots=True)
class Verdict:
    """The judgement. Every entry of `violations` must be 0."""

    outcomes: dict[str, Counter[str]] = field(default_factory=dict)
    violations: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    units_per_s: float = 0.0
    queue_s: dict[str, dict[str, float | int]] = field(default_factory=dict)
    """Submit to first call, by action."""
    completion_s: dict[str, dict[str, float | int]] = field(default_factory=dict)
    """Submit to outcome in the log, by action."""

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.violations.values())


def judge(records: Records, books: Books | None, history: dict[tuple[str, int], tuple[str, bytes]]) -> Verdict:
    """Count; `history` has subject and body of what the streams say was submitted, by (zone, ticket)."""
    verdict = Verdict()
    for unit in records.units:
        outcome = unit.answer.event.type.value if unit.answer else "unanswered" if unit.ticket else "not accepted"
        verdict.outcomes.setdefault(unit.action, Counter())[outcome] += 1
    verdict.violations = {
        "unanswered": len(records.open),
        "not_accepted": sum(unit.error is not None for unit in records.units),
        "answered_twice": records.answered_twice,
        "answered_out_of_order": records.answered_out_of_order,
        "submitted_and_not_in_the_history": _not_in(history, records),
    }
    if books is not None:
        verdict.violations |= _judge_books(records, books)
    _measure(verdict, records, _first_calls(books))
    return verdict


def _not_in(history: dict[tuple[str, int], tuple[str, bytes]], records: Records) -> int:
    return sum(
        history.get(name) != (subjects.work(unit.zone, unit.key), unit.body) for name, unit in records.by_ticket.items()
    )


def _judge_books(records: Records, books: Books) -> dict[str, int]:
    effects = Counter((call.zone, call.ticket) for call in books.calls if call.effect)
    too_late = without_effect = 0
    for name, unit in records.by_ticket.items():
        if unit.answer is None or unit.action == "cancel":
            continue
        outcome = unit.answer.event.type
        too_late += outcome in NEVER_EFFECTIVE and effects[name] > 0
        without_effect += outcome == EventType.COMPLETED and effects[name] == 0
    return {
        "order": order_violations(books),
        "doubled_effects": doubled_effects(books),
        "overlapping_calls": overlapping_calls(books),
        "effects_of_units_not_completed": too_late,
        "completed_without_effect": without_effect,
        "dangling": _dangling(records, books),
        "missing": _missing(records, books),
        "overcommitted_hosts": len(overcommitted(books)),
    }


def _last_completed(records: Records) -> dict[tuple[str, str], Submitted]:
    """The last unit of each resource that changed whether it exists."""
    last: dict[tuple[str, str], Submitted] = {}
    for unit in records.units:
        completed = unit.answer is not None and unit.answer.event.type == EventType.COMPLETED
        if completed and unit.action != "cancel":
            known = last.get((unit.zone, unit.key))
            if known is None or (known.ticket or 0) < (unit.ticket or 0):
                last[unit.zone, unit.key] = unit
    return last


def _dangling(records: Records, books: Books) -> int:
    """VMs of the replay that the device has although they should not be there: destroyed, half made, or hostless."""
    last = _last_completed(records)
    resources = {(unit.zone, unit.key) for unit in records.units}
    dangling = 0
    for resource in (books.present | books.partial) & resources:
        unit = last.get(resource)
        host = books.hosts_of[resource]
        hostless = host is not None and (resource[0], f"host.{host}") not in books.present
        dangling += unit is None or unit.action == "destroy" or resource in books.partial or hostless
    return dangling


def _missing(records: Records, books: Books) -> int:
    """VMs that were created and not destroyed, and that the device has not."""
    last = _last_completed(records)
    return sum(unit.action == "create" and resource not in books.present for resource, unit in last.items())


def _first_calls(books: Books | None) -> dict[tuple[str, int], Call]:
    first: dict[tuple[str, int], Call] = {}
    for call in books.calls if books is not None else ():
        first.setdefault((call.zone, call.ticket), call)
    return first


def _measure(verdict: Verdict, records: Records, first_calls: dict[tuple[str, int], Call]) -> None:
    queued: dict[str, list[float]] = {}
    completed: dict[str, list[float]] = {}
    ends = [unit.sent_s for unit in records.units]
    for name, unit in records.by_ticket.items():
        call = first_calls.get(name)
        if call is not None:
            queued.setdefault(unit.action, []).append(call.started_s - unit.sent_s)
        if unit.answer is not None:
            completed.setdefault(unit.action, []).append(unit.answer.stored_s - unit.sent_s)
            ends.append(unit.answer.stored_s)
    verdict.queue_s = {action: quantiles(values) for action, values in queued.items()}
    verdict.completion_s = {action: quantiles(values) for action, values in completed.items()}
    verdict.seconds = max(ends) - min(ends) if ends else 0.0
    verdict.units_per_s = records.answered / verdict.seconds if verdict.seconds > 0 else 0.0


def quantiles(values: Sequence[float]) -> dict[str, float | int]:
    """p50 and p99 by nearest rank, and how many there are."""
    ordered = sorted(values)
    count = len(ordered)

    def rank(percent: int) -> float:
        return round(ordered[max(0, -(-count * percent // 100) - 1)], 6)

    return {"p50": rank(50), "p99": rank(99), "max": round(ordered[-1], 6), "count": count}


def by_name(verdict: Verdict) -> dict[str, Any]:
    """As plain values."""
    return {
        "fine": verdict.fine,
        "outcomes": {action: dict(counts) for action, counts in verdict.outcomes.items()},
        "violations": verdict.violations,
        "seconds": round(verdict.seconds, 3),
        "units_per_s": round(verdict.units_per_s, 1),
        "queue_s": verdict.queue_s,
        "completion_s": verdict.completion_s,
    }


async def read_history(bus: Bus, records: Records) -> dict[tuple[str, int], tuple[str, bytes]]:
    """Subject and body of every unit of the replay's zones, from WORK's mirrors; waits until they have got that far."""
    history: dict[tuple[str, int], tuple[str, bytes]] = {}
    ranges: dict[str, tuple[int, int]] = {}
    for zone, ticket in records.by_ticket:
        low, high = ranges.get(zone, (ticket, ticket))
        ranges[zone] = (min(low, ticket), max(high, ticket))
    for zone, (low, high) in ranges.items():
        await _read_zone(bus, zone, low, high, history)
    return history


async def _read_zone(
    bus: Bus, zone: str, low: int, high: int, history: dict[tuple[str, int], tuple[str, bytes]]
) -> None:
    complete = asyncio.Event()

    def deliver(stored: Stored) -> None:
        history[zone, stored.position] = (stored.subject, stored.data)
        if stored.position >= high:
            complete.set()

    reader = await bus.read(
        streams.work_history(zone), subjects.work_of_zone(zone), low, deliver, on_lost=complete.set, purged_is_fine=True
    )
    try:
        async with asyncio.timeout(HISTORY_S):
            await complete.wait()
    except TimeoutError:
        text = f"{streams.work_history(zone)} has not got as far as ticket {high} within {HISTORY_S:g} s"
        raise CommandError(text, UNAVAILABLE) from None
    finally:
        await reader.close()
