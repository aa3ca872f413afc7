"""What is known of one resource, made from facts: the process, its unanswered units, and whether one is in doubt."""

from datetime import UTC, datetime

from treeward.orchestrator.api.facts import Branch, Facts, Last
from treeward.orchestrator.describe import QueueHeld, UnitHeld
from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.api.parts import ProcessState, Silent
from treeward.schemas.api.queued import QueuedUnit, Stage
from treeward.schemas.api.state import Doubt, ResourceState
from treeward.schemas.api.tree import Owner
from treeward.schemas.events import EventType, Verdict
from treeward.schemas.waits import Budget, Help, Steered
from treeward.supervision.drift import standing_drift
from treeward.supervision.knowledge import began_at, pod_of

_INITIALIZED = frozenset({EventType.CLAIMED, EventType.PLACED, EventType.RELEASED})
_CRASHED = frozenset({EventType.CRASHED, EventType.QUARANTINED})


def at(time_s: float | None) -> datetime | None:
    """Unix seconds as a time with its zone."""
    return None if time_s is None else datetime.fromtimestamp(time_s, UTC)


def process_of(last: Last, epoch: int) -> ProcessState:
    """How far the process is, given the epoch of its branch."""
    event = last.event
    exists = event.definition is not None or event.existed
    placed = pod_of(event) is not None
    return process_in(event.kind, event.type, last.position, epoch, placed=placed, exists=exists)


def process_in(kind: str, type_: EventType, position: int, epoch: int, *, placed: bool, exists: bool) -> ProcessState:
    """The same from its parts. A claim behind the last event began a new life, which waits for its first unit."""
    if kind in SUPERVISED_KINDS:
        return ProcessState.READY if exists else ProcessState.NONE
    if not placed:
        return ProcessState.INITIALIZED if exists else ProcessState.NONE
    if type_ in _CRASHED:
        return ProcessState.CRASHED
    if type_ in _INITIALIZED or epoch > position:
        return ProcessState.INITIALIZED
    return ProcessState.READY


def doubt_of(facts: Facts) -> Doubt | None:
    """The unit whose effect nobody can know now; None only if there is none as far as anybody has said.

    A unit is in doubt while it is called; after a crash with it in hand, until its outcome; and when the owner that
    may have called it was replaced, or does not answer.
    """
    says, last = facts.says, facts.last
    if says is not None and says.phase == "called" and says.ticket is not None:
        return Doubt(
            ticket=says.ticket, operation=says.operation, attempts=says.attempts, since=_since(facts, says.called_s)
        )
    head = next((unit for unit in units_of(facts) if unit.ticket > facts.answered), None)
    if last is not None and last.event.verdict is Verdict.MAYBE_STARTED and not last.event.is_outcome:
        event = last.event
        ticket = event.ticket or (head.ticket if head is not None else 0)
        return Doubt(
            ticket=ticket, operation=event.operation, verdict=event.verdict, attempts=event.attempts, since=event.at
        )
    if head is None or head.mark is not None or not _may_have_been_called(facts, head):
        return None
    return Doubt(
        ticket=head.ticket,
        operation=head.operation or None,
        verdict=Verdict.MAYBE_STARTED,
        attempts=head.attempts,
        since=at(facts.life_began_s),
    )


def _may_have_been_called(facts: Facts, head: UnitHeld) -> bool:
    """Whether an owner that cannot be asked (any more) may have called the first unit."""
    if facts.pod is None or facts.last is None:
        return False  # only the owner of a pod calls a device
    if facts.says is not None and facts.says.phase in ("ready", "committing"):
        return False  # the device has accepted this life, and said what became of the unit
    if facts.queue is not None and _is_kept_back(facts.queue, head):
        return False
    began_s = facts.life_began_s
    if began_s is not None and head.submitted_s is not None and head.submitted_s < began_s:
        return True
    return facts.owner_asked and facts.says is None and head.sent


def _since(facts: Facts, duration_s: float | None) -> datetime | None:
    return None if duration_s is None else at(facts.now_s - duration_s)


def units_of(facts: Facts) -> list[UnitHeld]:
    """The unanswered units; what the last event says to be answered has only not reached the dispatcher yet."""
    queue = facts.queue
    return [unit for unit in queue.units if unit.ticket > facts.answered] if queue is not None else []


def stage_of(facts: Facts, unit: UnitHeld) -> Stage:
    """Where an unanswered unit is."""
    if facts.says is not None and facts.says.ticket == unit.ticket:
        return Stage.IN_HAND
    return stage_in(facts.queue, unit)


def stage_in(queue: QueueHeld | None, unit: UnitHeld) -> Stage:
    """Where it is as far as its dispatcher knows."""
    if unit.sent:
        return Stage.SENT
    held = queue is not None and (queue.held_by_zone or _is_kept_back(queue, unit))
    return Stage.HELD if unit.mark is None and held else Stage.QUEUED


def _is_kept_back(queue: QueueHeld, unit: UnitHeld) -> bool:
    """Whether no dispatcher has ever sent it: it is behind a pause, or waits for others to be settled.

    A pause of the zone is not in the order of its tickets, so what it holds may have been sent before.
    """
    pauses = (queue.held_by, queue.held_by_pod)
    return bool(unit.after) or any(pause is not None and unit.ticket > pause for pause in pauses)


def queued_unit(unit: UnitHeld, stage: Stage) -> QueuedUnit:
    """The unit as it is answered."""
    return QueuedUnit(
        ticket=unit.ticket,
        operation=unit.operation,
        stage=stage,
        submitted_at=at(unit.submitted_s),
        deadline=at(unit.deadline_s),
        after=unit.after,
        mark=unit.mark,
        attempts=unit.attempts,
        tenant=unit.tenant,
        reason=unit.reason,
    )


def steered_of(facts: Facts) -> list[Steered]:
    """Who holds it back, as it is answered."""
    return [
        Steered(
            address=each.address,
            operation=each.operation,
            ticket=each.ticket,
            since=at(each.since_s),
            reason=each.reason,
        )
        for each in facts.steered
    ]


def budget_of(facts: Facts) -> Budget | None:
    """What its process may still be restarted; None: it has none, or its owner did not say."""
    says = facts.says
    if says is None or says.restarts_max is None:
        return None
    return Budget(
        restarts=says.crashes,
        restarts_max=says.restarts_max,
        restart_period_s=says.restart_period_s,
        line_place=says.line_place,
        line_of=says.line_of,
        restarts_per_s=says.restarts_per_s,
    )


def help_of(facts: Facts) -> list[Help]:
    """Who has asked for help above it, as it is answered."""
    return [
        Help(
            branch=each.branch,
            reason=each.reason,
            since=at(each.since_s),
            claim_at=at(each.claim_s),
            quarantine_at=at(each.quarantine_s),
        )
        for each in facts.asking
    ]


def owner_of(branch: Branch) -> Owner:
    """Who acts for a branch, and whether it is there."""
    claim, presence = branch.claim, branch.presence
    return Owner(
        instance=claim.owner if claim is not None else None,
        epoch=branch.epoch,
        since=at(claim.claimed_s) if claim is not None else None,
        name=presence.name,
        presence=presence.state,
        heard_s=presence.heard_s,
    )


def state_of(facts: Facts) -> ResourceState | None:
    """All that is known of a resource; None: the zone has never heard of it."""
    last, queue = facts.last, facts.queue
    units = units_of(facts)
    if last is None and not units:
        return None
    kind, _, id_ = facts.key.partition(".")
    state = ResourceState(
        zone=facts.zone,
        kind=kind,
        id=id_,
        exists=False,
        owner=facts.claim.owner if facts.claim is not None else None,
        epoch=facts.claim.epoch if facts.claim is not None else None,
        queued=[queued_unit(unit, stage_of(facts, unit)) for unit in units],
        queued_units=queue.units_in_all - (len(queue.units) - len(units)) if queue is not None else 0,
        doubt=doubt_of(facts),
        silent=silent_of(facts),
    )
    if last is None:
        return state
    event = last.event
    return state.model_copy(
        update={
            "exists": event.definition is not None,
            "definition": event.definition,
            "observed": event.observed,
            "drift": standing_drift(event),
            "policies": event.policies,
            "process": process_of(last, facts.owner.epoch),
            "paused": event.paused,
            "quarantined": event.quarantined,
            "pod": facts.pod,
            "host": event.host if facts.pod is not None else None,
            "life": max(began_at(event, last.position), facts.owner.epoch),
            "answered": event.answered,
            "event": event.type,
            "position": last.position,
            "at": at(last.stored_s),
            "age_s": max(0.0, facts.now_s - last.stored_s),
            "source": last.source,
            "reason": event.reason,
        }
    )


def silent_of(facts: Facts) -> Silent:
    """Who was asked and did not answer."""
    silent: Silent = []
    if facts.held is None:
        silent.append("dispatcher")
    if facts.owner_asked and facts.says is None:
        silent.append("owner")
    return silent
