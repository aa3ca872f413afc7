"""Judges a run by its books: what was submitted, what the log says, and what the devices did.

Pure: it is given rows that somebody has read (`runtime.books` reads them from a data centre) and returns figures and
violations. The promises are those of DESIGN section 1; a violation of any is a defect, whatever was killed meanwhile.
The device's rows are its own, so that no error of ours can hide itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from treeward.runtime.book_rows import Books, DeviceCall, DeviceResource, Logged, Submitted
from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.events import EventType, Verdict
from treeward.schemas.specs import NOT_FOR_THE_DEVICE

__all__ = [
    "Books", "DeviceCall", "DeviceResource", "Logged", "Submitted",
    "Judgement", "Rule", "Takeover", "Violation", "judge",
]  # fmt: skip

RAN = frozenset({"applied", "refused", "failed", "broken_off", "in_progress"})
"""Outcomes of calls that the device began; it answered the others from memory or turned them away."""
STALE = frozenset({"fenced", "older"})
"""Outcomes of requests that the device refused since their sender had been replaced."""


class Rule(StrEnum):
    """What must hold; a violation names the rule that it breaks."""

    ANSWERED_TWICE = "answered_twice"
    UNANSWERED = "unanswered"
    ANSWERED_UNKNOWN = "answered_unknown"
    """An outcome for a ticket that nobody submitted, or for another resource than its own."""
    ORDER = "order"
    """Outcomes or effects of one resource out of ticket order, or an effect of a life that had been replaced."""
    DOUBLED_EFFECT = "doubled_effect"
    OVERLAP = "overlap"
    """Two calls of one resource in progress at the same time."""
    EFFECT_WITHOUT_COMPLETED = "effect_without_completed"
    COMPLETED_WITHOUT_EFFECT = "completed_without_effect"
    DANGLING = "dangling"
    """On a device without definition in the log, or the reverse."""


class Violation(NamedTuple):
    """A broken promise, with what it takes to find it in the books."""

    rule: Rule
    zone: str
    key: str
    ticket: int | None
    what: str


class Takeover(NamedTuple):
    """A branch that was claimed again: `ready_after_s` until the first process was Ready there; None: none was."""

    branch: str
    epoch: int
    at_s: float
    owner_before: str | None
    owner: str | None
    reason: str | None
    ready_after_s: float | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """Figures, takeovers and violations of a run."""

    submitted: int
    outcomes: dict[str, int]
    calls: int
    """Calls that the device began."""
    effects: int
    remembered: int
    """Repeated calls that the device answered from memory."""
    stale: int
    """Requests of replaced owners that the device refused."""
    resources: int
    takeovers: list[Takeover]
    violations: list[Violation]

    def count(self, rule: Rule) -> int:
        """How often a rule was broken."""
        return sum(violation.rule is rule for violation in self.violations)


Answers = dict[tuple[str, int], list[Logged]]


def judge(books: Books) -> Judgement:
    """Count, and find every violation; the order of the violations is that of the rules."""
    log = sorted(books.log, key=lambda row: (row.event.zone, row.position))
    answers: Answers = defaultdict(list)
    for row in log:
        if row.event.is_outcome and row.event.ticket is not None:
            answers[row.event.zone, row.event.ticket].append(row)
    violations = [
        *_answers(books.submitted, answers),
        *_order_of_answers(log),
        *_order_of_effects(books.calls),
        *_doubled(books.calls),
        *_overlaps(books.calls),
        *_effects_and_answers(books.calls, answers),
        *_dangling(books.submitted, answers, log, books.resources),
    ]
    return Judgement(
        submitted=len(books.submitted),
        outcomes=dict(Counter(row.event.type.value for rows in answers.values() for row in rows[:1])),
        calls=sum(call.ticket is not None and call.outcome in RAN for call in books.calls),
        effects=sum(call.effect for call in books.calls if call.ticket is not None),
        remembered=sum(call.outcome == "remembered" for call in books.calls),
        stale=sum(call.outcome in STALE for call in books.calls),
        resources=len(books.resources),
        takeovers=list(_takeovers(log)),
        violations=violations,
    )


def _answers(submitted: Sequence[Submitted], answers: Answers) -> Iterator[Violation]:
    """Every accepted unit reaches exactly one outcome, and nothing else does."""
    keys = {(unit.zone, unit.ticket): unit.key for unit in submitted}
    for (zone, ticket), rows in answers.items():
        first = rows[0].event
        if len(rows) > 1:
            where = ", ".join(f"{row.event.type} at {row.position}" for row in rows)
            yield Violation(Rule.ANSWERED_TWICE, zone, first.key, ticket, where)
        key = keys.get((zone, ticket))
        if key is None:
            yield Violation(Rule.ANSWERED_UNKNOWN, zone, first.key, ticket, f"{first.type}, but was never submitted")
        elif key != first.key:
            yield Violation(
                Rule.ANSWERED_UNKNOWN, zone, first.key, ticket, f"{first.type}, but was submitted for {key}"
            )
    for unit in submitted:
        if (unit.zone, unit.ticket) not in answers:
            yield Violation(Rule.UNANSWERED, unit.zone, unit.key, unit.ticket, "has no outcome")


def _order_of_answers(log: Sequence[Logged]) -> Iterator[Violation]:
    highest: dict[tuple[str, str], int] = {}
    for row in log:
        event = row.event
        if not event.is_outcome or event.ticket is None:
            continue
        before = highest.get((event.zone, event.key), 0)
        if event.ticket < before:
            text = f"{event.type} at {row.position}, after ticket {before}"
            yield Violation(Rule.ORDER, event.zone, event.key, event.ticket, text)
        highest[event.zone, event.key] = max(before, event.ticket)


def _order_of_effects(calls: Sequence[DeviceCall]) -> Iterator[Violation]:
    highest: dict[tuple[str, str], tuple[int, int]] = {}
    effects = [call for call in calls if call.effect and call.life is not None]
    for call in sorted(effects, key=lambda call: (call.effect_number or 0, call.id)):
        ticket, life = highest.get(call.address, (0, 0))
        if call.ticket is not None and call.ticket < ticket:
            text = f"took effect by call {call.id}, after ticket {ticket}"
            yield Violation(Rule.ORDER, *call.address, call.ticket, text)
        if (call.life or 0) < life:
            text = f"took effect by call {call.id} of life {call.life}, after life {life}"
            yield Violation(Rule.ORDER, *call.address, call.ticket, text)
        highest[call.address] = max(ticket, call.ticket or 0), max(life, call.life or 0)


def _doubled(calls: Sequence[DeviceCall]) -> Iterator[Violation]:
    effects: dict[tuple[str, str, int], list[int]] = defaultdict(list)
    for call in calls:
        if call.effect and call.ticket is not None:
            effects[(*call.address, call.ticket)].append(call.id)
    for (zone, key, ticket), ids in effects.items():
        if len(ids) > 1:
            text = f"took effect {len(ids)} times, by calls {', '.join(map(str, ids))}"
            yield Violation(Rule.DOUBLED_EFFECT, zone, key, ticket, text)


def _overlaps(calls: Sequence[DeviceCall]) -> Iterator[Violation]:
    last: dict[tuple[str, str], DeviceCall] = {}
    ran = [call for call in calls if call.ticket is not None and call.outcome in RAN]
    for call in sorted(ran, key=lambda call: (call.started_at, call.id)):
        before = last.get(call.address)
        if before is not None and (before.ended_at is None or call.started_at < before.ended_at):
            text = f"call {call.id} began while call {before.id} (ticket {before.ticket}) was in progress"
            yield Violation(Rule.OVERLAP, *call.address, call.ticket, text)
            if before.ended_at is None or (call.ended_at is not None and call.ended_at < before.ended_at):
                continue  # the longer one is what later calls can still overlap
        last[call.address] = call


def _effects_and_answers(calls: Sequence[DeviceCall], answers: Answers) -> Iterator[Violation]:
    """What took effect is completed, and what is completed took effect."""
    effective: set[tuple[str, int]] = set()
    for call in calls:
        if not call.effect or call.ticket is None:
            continue
        effective.add((call.zone, call.ticket))
        rows = answers.get((call.zone, call.ticket))
        if rows and rows[0].event.type is not EventType.COMPLETED and not _admits(rows[0], call):
            text = f"took effect by call {call.id}, and was answered {rows[0].event.type}"
            yield Violation(Rule.EFFECT_WITHOUT_COMPLETED, *call.address, call.ticket, text)
    for (zone, ticket), rows in answers.items():
        event = rows[0].event
        if event.type is not EventType.COMPLETED or event.kind in SUPERVISED_KINDS:
            continue
        if event.operation not in NOT_FOR_THE_DEVICE and (zone, ticket) not in effective:
            text = f"{event.operation} is completed, and no call of it took effect"
            yield Violation(Rule.COMPLETED_WITHOUT_EFFECT, zone, event.key, ticket, text)


def _admits(answer: Logged, call: DeviceCall) -> bool:
    """Whether the outcome says that it may have begun, and the effect was not later than the outcome."""
    ended_at = call.ended_at
    return answer.event.verdict is Verdict.MAYBE_STARTED and ended_at is not None and ended_at <= answer.at_s


def _dangling(
    submitted: Sequence[Submitted], answers: Answers, log: Sequence[Logged], resources: Iterable[DeviceResource]
) -> Iterator[Violation]:
    """What is in doubt is not judged: its unit is unanswered, which is a violation of its own."""
    doubtful = {(unit.zone, unit.key) for unit in submitted if (unit.zone, unit.ticket) not in answers}
    defined: set[tuple[str, str]] = set()
    for row in log:
        event = row.event
        if event.kind in SUPERVISED_KINDS:
            continue
        taken_away = event.drift is not None and not event.drift.exists
        if event.definition is not None and not event.removed and not taken_away:
            defined.add((event.zone, event.key))
        else:
            defined.discard((event.zone, event.key))
    existing = {(resource.zone, resource.key): resource.state for resource in resources}
    for zone, key in sorted(existing.keys() - defined - doubtful):
        text = f"is {existing[zone, key]} on the device, and the log has no definition"
        yield Violation(Rule.DANGLING, zone, key, None, text)
    for zone, key in sorted(defined - existing.keys() - doubtful):
        yield Violation(Rule.DANGLING, zone, key, None, "is defined in the log, and the device has nothing")


def _takeovers(log: Sequence[Logged]) -> Iterator[Takeover]:
    """Every claim but the first of a branch."""
    owners: dict[str, str | None] = {}
    for index, row in enumerate(log):
        event = row.event
        if event.type is not EventType.CLAIMED:
            continue
        branch = event.zone if event.kind == "zone" else f"{event.zone}.{event.id}"
        if branch in owners:
            ready_s = None if event.kind == "zone" else _ready_s(log, index)
            ready_after_s = None if ready_s is None else ready_s - row.at_s
            before = owners[branch]
            yield Takeover(branch, row.position, row.at_s, before, event.owner, event.reason, ready_after_s)
        owners[branch] = event.owner


def _ready_s(log: Sequence[Logged], index: int) -> float | None:
    """When the first process of a pod was Ready after the claim at `index`."""
    claim = log[index].event
    for row in log[index + 1 :]:
        event = row.event
        if event.zone != claim.zone or (event.type is EventType.CLAIMED and event.key == claim.key):
            return None
        if event.type is EventType.READY and event.pod == claim.id:
            return row.at_s
    return None
