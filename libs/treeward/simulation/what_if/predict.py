"""From a snapshot and a loss to a prediction: rehearse it, look at what the log said, ask why what waits waits."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from treeward.orchestrator.api.questions import Questions
from treeward.runtime import codec
from treeward.schemas import subjects
from treeward.schemas.api.explain import ExplainAnswer, ExplainRequest
from treeward.schemas.events import Event, EventType
from treeward.simulation.program import Program
from treeward.simulation.what_if.live import Live
from treeward.simulation.what_if.losses import Loss, last_events, loss_of, own_devices
from treeward.simulation.what_if.prediction import BranchLoss, Happening, Prediction, UnitFate, happening_of
from treeward.simulation.what_if.rehearsal import Rehearsal, unanswered
from treeward.supervision.knowledge import pod_of
from treeward.supervision.pending import read_pending

HORIZON_S = 120.0
CALL_S = 0.2
STEP_S = 0.5
EXPLAINED_MAX = 20
QUIET_S = 5.0
"""So long nothing must have happened before it counts as settled."""


def predict(
    live: Live, name: str, *, horizon_s: float = HORIZON_S, call_s: float = CALL_S, reported: bool = False
) -> Prediction:
    """What would crash, move, wait and fail, and for how long, if `name` were lost now. Raises UnknownLossError.

    `reported`: the servers report the closed connections at once, as of programs that crash; else silence tells.
    Deterministic for a snapshot. Changes nothing: all that it is given is a value. It runs a loop of its own, so call
    it from a thread without one (`asyncio.to_thread`).
    """
    loss = loss_of(live, name)
    rehearsal = Rehearsal(live, call_s=call_s)
    try:
        rehearsal.begin()
        called = rehearsal.called()
        rehearsal.lose(loss, reported=reported)
        settled_s = _look_ahead(rehearsal, horizon_s)
        noticed = "by the servers' report of its closed connection" if reported else "by its silence"
        assumed = (
            f"that it is gone is noticed {noticed}",
            f"devices that are left answer a call within {call_s:g} s, and what is lost stays lost",
            "every program has a device for pods that name none",
            "how often a process crashed before, and how long a restart has still to wait, is not known",
        )
        return _told(rehearsal, loss, called, horizon_s, settled_s, assumed)
    finally:
        rehearsal.close()


def _look_ahead(rehearsal: Rehearsal, horizon_s: float) -> float | None:
    """Until nothing is open and nothing has happened for a while; the time of the last thing that happened."""
    open_ = set(unanswered(rehearsal.live))
    passed_s = 0.0
    patience_s = QUIET_S + 2 * rehearsal.live.limits.suspicion_s
    while passed_s < horizon_s:
        rehearsal.run_for(STEP_S)
        passed_s += STEP_S
        last_s = rehearsal.said[-1][0] if rehearsal.said else 0.0
        left = open_ - {event.ticket for _, _, event in rehearsal.said if event.is_outcome and event.ticket}
        if not left and passed_s - last_s > patience_s:
            return last_s
    return None


def _told(
    rehearsal: Rehearsal,
    loss: Loss,
    called: set[int],
    horizon_s: float,
    settled_s: float | None,
    assumed: tuple[str, ...],
) -> Prediction:
    live = rehearsal.live
    events = [(after_s, event) for after_s, _, event in rehearsal.said]
    return Prediction(
        lost=loss.name,
        instances=loss.instances,
        zone=live.zone,
        position=live.streams.log_last,
        branches=tuple(_branches(rehearsal, loss)),
        out_of_reach=tuple(_out_of_reach(live, loss)),
        crash=_happenings(events, EventType.CRASHED),
        move=_happenings(events, EventType.PLACED),
        quarantine=_happenings(events, EventType.QUARANTINED),
        units=tuple(_fates(rehearsal, called)),
        horizon_s=horizon_s,
        settled_after_s=settled_s,
        assumed=assumed,
    )


def _happenings(events: Iterable[tuple[float, Event]], type_: EventType) -> tuple[Happening, ...]:
    return tuple(happening_of(after_s, event) for after_s, event in events if event.type is type_)


def _branches(rehearsal: Rehearsal, loss: Loss) -> Iterable[BranchLoss]:
    """Of each branch that a lost instance owned: the last claim for it that somebody acted on, or the last one."""
    live = rehearsal.live
    counts: dict[str, int] = {}
    for event in last_events(live).values():
        if event.kind not in ("zone", "pod") and event.definition is not None:
            pod = pod_of(event)
            branch = f"{live.zone}.{pod}" if pod is not None else live.zone
            counts[branch] = counts.get(branch, 0) + 1
    for stored in live.streams.log:
        claim = codec.event_of(stored.data)
        if claim is None or claim.type is not EventType.CLAIMED or claim.owner not in loss.instances:
            continue
        branch = live.zone if claim.kind == "zone" else f"{live.zone}.{claim.id}"
        later = [
            (after_s, said.position, event)
            for after_s, said, event in rehearsal.said
            if event.type is EventType.CLAIMED and event.key == claim.key
        ]
        acted = [each for each in later if (branch, each[1]) in rehearsal.server.acted_s]
        lost = BranchLoss(branch, claim.owner or "", None, None, None, None, counts.get(branch, 0))
        if later:
            after_s, position, event = (acted or later)[-1]
            acted_s = rehearsal.server.acted_s.get((branch, position))
            lost = replace(
                lost,
                next_owner=event.owner,
                claimed_after_s=after_s,
                acts_after_s=acted_s - rehearsal.lost_s if acted_s is not None else None,
                reason=event.reason,
            )
        yield lost


def _out_of_reach(live: Live, loss: Loss) -> Iterable[str]:
    pods = {pod for pod, device in own_devices(live).items() if device in loss.devices}
    for key, event in sorted(last_events(live).items()):
        pod = pod_of(event)
        if pod is not None and event.definition is not None and event.kind not in ("zone", "pod"):
            on_host = event.host in loss.hosts or (event.kind == "host" and event.id in loss.hosts)
            if on_host or pod in pods:
                yield key


def _fates(rehearsal: Rehearsal, called: set[int]) -> Iterable[UnitFate]:
    live = rehearsal.live
    outcomes = {event.ticket: (after_s, event) for after_s, _, event in rehearsal.said if event.is_outcome}
    operations = {stored.position: _operation(live.zone, stored.subject, stored.data) for stored in live.streams.work}
    explained = 0
    for ticket, key in sorted(unanswered(live).items()):
        after_s, event = outcomes.get(ticket, (None, None))
        why: tuple[str, ...] = ()
        if event is None and explained < EXPLAINED_MAX:
            explained += 1
            why = _why(rehearsal, ticket)
        yield UnitFate(
            ticket=ticket,
            key=key,
            operation=operations.get(ticket, ""),
            outcome=event.type.value if event is not None else None,
            after_s=after_s,
            reason=event.reason if event is not None else None,
            called=ticket in called,
            why=why,
        )


def _operation(zone: str, subject: str, data: bytes) -> str:
    unit = read_pending(zone, subjects.parse_work(subject)[1], 0, data, None, 0.0).unit
    return unit.operation if unit is not None else ""


def _why(rehearsal: Rehearsal, ticket: int) -> tuple[str, ...]:
    """What an orchestrator that is left would say of a unit that still waits."""
    for program, questions in rehearsal.questions.values():
        if program.alive:
            answer = _ask(rehearsal, program, questions, ticket)
            return tuple(answer.sentences[1:] or answer.sentences) if answer is not None else ()
    return ("no orchestrator is left: it is sent to nobody until there is one",)


def _ask(rehearsal: Rehearsal, program: Program, questions: Questions, ticket: int) -> ExplainAnswer | None:
    found: list[ExplainAnswer] = []

    async def ask() -> None:
        found.append(await questions.explain(rehearsal.live.zone, ExplainRequest(ticket=ticket)))

    def begin() -> None:
        program.tasks.append(asyncio.get_running_loop().create_task(ask()))

    program.call(begin)
    for _ in range(10):
        rehearsal.run_for(STEP_S)
        if found:
            return found[0]
    return None
