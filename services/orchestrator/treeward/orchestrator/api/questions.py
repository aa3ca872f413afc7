"""The questions: from a request to its answer. Nothing here waits for long: see `gathering`."""

import asyncio
import contextlib
from dataclasses import fields, replace
from heapq import nsmallest
from itertools import chain

from treeward.bus.interface import NoSuchZoneError
from treeward.orchestrator.api import history
from treeward.orchestrator.api.asking import with_asking
from treeward.orchestrator.api.explaining import explain, explain_unknown
from treeward.orchestrator.api.facts import Asked, Facts
from treeward.orchestrator.api.gathering import ASK_S, Gathering
from treeward.orchestrator.api.presences import Presences
from treeward.orchestrator.api.resource import owner_of, queued_unit, stage_in, state_of
from treeward.orchestrator.api.snapshot import Snapshot, Snapshots
from treeward.orchestrator.api.steered import with_steering
from treeward.orchestrator.api.tree import WAITING, branch_state, branches_of
from treeward.orchestrator.api.working import work_of
from treeward.orchestrator.describe import Held, Question
from treeward.runtime.context import Context
from treeward.schemas import address, streams
from treeward.schemas.address import ROOT
from treeward.schemas.api.explain import ExplainAnswer, ExplainRequest
from treeward.schemas.api.parts import ProcessState
from treeward.schemas.api.queued import QueuedAnswer, QueuedRequest, ResourceQueue
from treeward.schemas.api.state import StateAnswer, StateRequest
from treeward.schemas.api.tree import TreeAnswer, TreeRequest
from treeward.schemas.api.work import WorkAnswer, WorkRequest
from treeward.supervision.limits import Limits


class UnanswerableError(ValueError):
    """The question itself cannot be answered; the sentence says what to ask instead. Recovered by who asked."""


class Questions:
    """Answers about every zone that there is, whoever dispatches for it."""

    def __init__(self, context: Context, presences: Presences) -> None:
        self._context = context
        self._presences = presences
        self._snapshots = Snapshots(context)

    async def state(self, zone: str, request: StateRequest) -> StateAnswer:
        """One resource, or a page of the zone's, each from the live log."""
        gathering = await self._begin(zone)
        following, complete = None, True
        if request.key is not None:
            check_key(zone, request.key)
            keys = [request.key]
        else:
            waiting, snapshot = await asyncio.gather(
                gathering.held(Question(beyond=request.beyond, limit=request.limit)), self._snapshots.of(zone)
            )
            keys, following = page_of(zone, snapshot, request, waiting)
            complete = snapshot.complete
        held = await gathering.held(Question(keys=keys))
        facts = await gathering.facts_of_all(keys, held)
        found = [state for state in map(state_of, facts) if state is not None]
        return StateAnswer(resources=found, next=following, complete=complete, position=gathering.log_position)

    async def tree(self, zone: str, request: TreeRequest) -> TreeAnswer:
        """The supervision tree, from a snapshot at most 1 s old."""
        gathering = await self._begin(zone)
        held, snapshot, claims = await asyncio.gather(
            gathering.held(Question(limit=0, waiting=True)), self._snapshots.of(zone), gathering.claims()
        )
        owners = {pod: gathering.branch(pod, claim) for pod, claim in claims.items()}
        owner = owners.get(None) or gathering.branch(None, None)
        answer = TreeAnswer(
            zone=zone,
            state=branch_state(owner),
            owner=owner_of(owner),
            queued_units=held.units_in_all if held is not None else 0,
            limits=numbers_of(self._context.limits),
            complete=snapshot.complete,
            position=snapshot.position,
            silent=["dispatcher"] if held is None else [],
        )
        if zone == ROOT:
            defined = (key for key, entry in snapshot.entries.items() if entry.kind == "zone" and entry.exists)
            answer.zones = sorted(key.partition(".")[2] for key in defined)
            return answer
        pods = {pod: branch for pod, branch in owners.items() if pod is not None}
        answer.pods, answer.unplaced = branches_of(snapshot, pods, request.pod)
        for kind, number in (held.waiting if held is not None else {}).items():
            answer.unplaced.setdefault(kind, {})[WAITING] = number
        await self._describe_zone(answer)
        return answer

    async def _describe_zone(self, answer: TreeAnswer) -> None:
        """What root's log says of the zone: its definition, and whether it was paused."""
        last = None
        with contextlib.suppress(NoSuchZoneError):  # root's streams may have been lost while the zone goes on
            last = await Gathering(self._context, self._presences, ROOT).last(f"zone.{answer.zone}")
        if last is None:
            return
        event = last.event
        answer.labels = (event.definition or {}).get("labels") or {}
        answer.paused, answer.quarantined, answer.draining = event.paused, event.quarantined, event.draining
        if event.definition is None:
            answer.state = ProcessState.NONE

    async def explain(self, zone: str, request: ExplainRequest) -> ExplainAnswer:
        """Why a unit or a resource stands where it stands."""
        if request.key is None and request.ticket is None:
            raise UnanswerableError("explain: name a `ticket`, or a resource by its `key`")
        if request.key is not None:
            check_key(zone, request.key)
        gathering = await self._begin(zone)
        asked = Asked(ticket=request.ticket, key=request.key)
        if request.ticket is None:
            assert request.key is not None, "one of them is named"
            held = await gathering.held(Question(keys=[request.key]))
            return explain(await self._facts(gathering, request.key, held), await self._with_others(zone, asked, held))
        bus = self._context.bus
        held, submitted = await asyncio.gather(
            gathering.held(Question(ticket=request.ticket)), history.submitted(bus, zone, request.ticket)
        )
        key = (
            held.queues[0].key if held is not None and held.queues else submitted.key if submitted is not None else None
        )
        if key is None:
            first, last = await history.accepted(bus, zone)
            return explain_unknown(zone, Asked(ticket=request.ticket, accepted_first=first, accepted_last=last))
        facts = await self._facts(gathering, key, held)
        outcome = None
        if submitted is not None and request.ticket <= facts.answered:
            outcome = await history.outcome_of(bus, zone, key, request.ticket, submitted.stored_s)
        asked = Asked(ticket=request.ticket, key=request.key, submitted=submitted, outcome=outcome)
        return explain(facts, await self._with_others(zone, asked, held))

    async def _facts(self, gathering: Gathering, key: str, held: Held | None) -> Facts:
        facts = replace(await gathering.facts_of(key, held, always_ask=True), itself=await gathering.itself(key))
        facts = await with_steering(self._context.bus, facts, timeout_s=ASK_S)
        return await with_asking(self._context.bus, self._presences, facts, timeout_s=ASK_S)

    async def _with_others(self, zone: str, asked: Asked, held: Held | None) -> Asked:
        """Whose the tickets are that the first units wait for."""
        units = held.queues[0].units if held is not None and held.queues else []
        wanted = sorted({other for unit in units for other in unit.after})[:16]
        found = await asyncio.gather(*(history.submitted(self._context.bus, zone, other) for other in wanted))
        asked.others.update({other: unit.key for other, unit in zip(wanted, found, strict=True) if unit is not None})
        return asked

    async def queued(self, zone: str, request: QueuedRequest) -> QueuedAnswer:
        """What has no outcome yet, as the dispatcher holds it."""
        gathering = await self._begin(zone)
        if request.key is not None:
            check_key(zone, request.key)
            question = Question(keys=[request.key])
        else:
            question = Question(beyond=request.beyond, limit=request.limit)
        held = await gathering.held(question)
        if held is None:
            work = await self._context.bus.state(streams.work(zone))
            return QueuedAnswer(
                resources=[], units_in_all=work.messages if work is not None else 0, silent=["dispatcher"]
            )
        queues = [
            ResourceQueue(
                kind=queue.key.partition(".")[0],
                id=queue.key.partition(".")[2],
                pod=queue.pod,
                units=[queued_unit(unit, stage_in(queue, unit)) for unit in queue.units],
                units_in_all=queue.units_in_all,
            )
            for queue in held.queues
            if queue.units
        ]
        return QueuedAnswer(resources=queues, units_in_all=held.units_in_all, next=held.next)

    async def work(self, zone: str, request: WorkRequest) -> WorkAnswer:
        """The same with where each unit is: that takes the log and the owners, so it costs more than `queued`."""
        gathering = await self._begin(zone)
        if request.key is not None:
            check_key(zone, request.key)
            question = Question(keys=[request.key])
        else:
            question = Question(beyond=request.beyond, limit=request.limit)
        held = await gathering.held(question)
        if held is None:
            left = await self._context.bus.state(streams.work(zone))
            return WorkAnswer(units=[], units_in_all=left.messages if left is not None else 0, silent=["dispatcher"])
        facts = await gathering.facts_of_all([queue.key for queue in held.queues], held)
        return WorkAnswer(
            units=[unit for one in facts for unit in work_of(one, request)],
            units_in_all=held.units_in_all,
            silent=["owner"] if any(one.owner_asked and one.says is None for one in facts) else [],
            next=held.next,
        )

    async def _begin(self, zone: str) -> Gathering:
        gathering = Gathering(self._context, self._presences, zone)
        await gathering.begin()
        return gathering


def numbers_of(limits: Limits) -> dict[str, float]:
    """The limits that are numbers, by name."""
    told = ((each.name, getattr(limits, each.name)) for each in fields(limits))
    return {name: value for name, value in told if isinstance(value, int | float)}


def check_key(zone: str, key: str) -> None:
    """Raises UnanswerableError if no resource can have that address."""
    problem = address.problem_of(zone, key)
    if problem is not None:
        raise UnanswerableError(problem.replace("send this to tw.work.", "ask for "))


def page_of(zone: str, snapshot: Snapshot, request: StateRequest, waiting: Held | None) -> tuple[list[str], str | None]:
    """The keys of a page in order, and where the next begins; None: this was the last.

    What only waits has no event yet, so it comes from the dispatcher, whose own page may end earlier.
    """
    known = snapshot.entries
    queues = waiting.queues if waiting is not None else []
    end = waiting.next if waiting is not None else None
    places = chain(
        ((key, entry.pod) for key, entry in known.items()),
        ((queue.key, queue.pod) for queue in queues if queue.key not in known),
    )
    # A zone's own claims stand in its log, and it is a resource of root all the same.
    found = (
        key
        for key, pod in places
        if key > request.beyond
        and (end is None or key <= end)
        and request.kind in (None, key.partition(".")[0])
        and request.pod in (None, pod)
        and (key != f"zone.{ROOT}" if zone == ROOT else not key.startswith("zone."))
    )
    keys = nsmallest(request.limit + 1, found)
    page = keys[: request.limit]
    return page, page[-1] if len(keys) > len(page) else end
