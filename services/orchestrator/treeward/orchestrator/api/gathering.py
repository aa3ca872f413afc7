"""Gathers the facts for one answer: from the live log, from the dispatcher, from owners, from heartbeats.

In an order that keeps the answer honest: the dispatcher first, the log behind it, the owner last. So a unit that was
answered meanwhile is known to be, and what is in hand is never older than the event that it is told with. Whoever does
not answer within 0.5 s is left out, and the answer says so.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from treeward.bus.interface import NoSuchZoneError, Start, Stored
from treeward.orchestrator.api.facts import NOBODY, UNHEARD, Branch, Claim, Facts, Last, OwnerSays
from treeward.orchestrator.api.presences import Presences
from treeward.orchestrator.describe import Held, Question, QueueHeld, UnitHeld
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, ZONE_PARTITION
from treeward.schemas.events import Event
from treeward.supervision.knowledge import pod_of
from treeward.supervision.pending import read_pending

ASK_S = 0.5
"""How long a dispatcher or an owner may take to answer before the answer is given without it."""
AT_ONCE = 64
"""Reads of one question that are on their way at the same time."""


class Gathering:
    """The facts of one question about one zone; claims that were read are remembered for as long as it is answered."""

    def __init__(self, context: Context, presences: Presences, zone: str) -> None:
        self.context = context
        self.zone = zone
        self.log_position = 0
        self._presences = presences
        self._claims: dict[str | None, Claim | None] = {}
        self._claims_lock = asyncio.Lock()
        self._places = asyncio.Semaphore(AT_ONCE)

    async def begin(self) -> None:
        """Ask the log how far it is: all that is told is from there or later. Raises NoSuchZoneError."""
        state = await self.context.bus.state(streams.log(self.zone))
        if state is None:
            raise NoSuchZoneError(f"no stream {streams.log(self.zone)}")
        self.log_position = state.last

    async def held(self, question: Question) -> Held | None:
        """What the zone's dispatcher holds; None: no answer in time."""
        subject = subjects.owner_api("queued", self.zone, "dispatcher")
        body = question.model_dump_json(exclude_defaults=True).encode()
        answer = await self.context.bus.request(subject, body, timeout_s=ASK_S)
        try:
            held = Held.model_validate_json(answer) if answer is not None else None
        except ValidationError:
            return None
        if held is not None:
            await self._fill_in(held.queues)
        return held

    async def facts_of(self, key: str, held: Held | None, *, always_ask: bool = False) -> Facts:
        """All about one resource; its owner is asked only if something may be in hand, or `always_ask`."""
        last = await self.last(key)
        pod = pod_of(last.event) if last is not None else None
        claim = await self.claim_of(pod)
        queue = held.queue_of(key) if held is not None else None
        sent = queue is not None and any(unit.sent for unit in queue.units)
        asked = always_ask or sent or held is None
        says = await self._ask_owner(key, pod, claim) if asked else None
        return Facts(
            zone=self.zone,
            key=key,
            now_s=self.context.now_s(),
            last=last,
            owner=self.branch(pod, claim),
            held=held,
            says=says,
            owner_asked=asked,
            log_position=self.log_position,
            limits=self.context.limits,
        )

    async def facts_of_all(self, keys: Sequence[str], held: Held | None) -> list[Facts]:
        """The same of many."""
        return await asyncio.gather(*(self.facts_of(key, held) for key in keys))

    async def last(self, key: str) -> Last | None:
        """The last event of a resource: from the log; from the bucket if it has aged out there."""
        bus, zone = self.context.bus, self.zone
        async with self._places:
            stored = await bus.last(streams.log(zone), subjects.log_of_resource(zone, key), at_least=self.log_position)
            if stored is not None:
                event = codec.event_of(stored.data)
                return Last(stored.position, event, stored.time_s) if event is not None else None
            entry = await bus.last(streams.state(zone), streams.state_subject(zone, key))
        event = codec.event_of(entry.data) if entry is not None else None
        if entry is None or event is None:
            return None
        return Last(codec.log_position_of(entry), event, entry.time_s, "bucket")

    async def claim_of(self, pod: str | None) -> Claim | None:
        """The last claim of a pod, or of the zone."""
        async with self._claims_lock:
            if pod not in self._claims:
                self._claims[pod] = await self._read_claim(pod)
            return self._claims[pod]

    async def claims(self) -> dict[str | None, Claim | None]:
        """The last claims of the zone (None) and of all its pods."""
        done = asyncio.Event()

        def deliver(stored: Stored) -> None:
            event = codec.event_of(stored.data)
            if event is not None:
                pod = None if event.kind == "zone" else event.id
                self._claims[pod] = _claim_of(event, stored)

        reader = await self.context.bus.read(
            streams.log(self.zone),
            subjects.claims_of_zone_and_pods(self.zone),
            Start.LAST_PER_SUBJECT,
            deliver,
            on_lost=done.set,
            on_caught_up=done.set,
        )
        try:
            await done.wait()
        finally:
            await reader.close()
        return self._claims

    def branch(self, pod: str | None, claim: Claim | None) -> Branch:
        """A branch alone, without any resource: who owns it and whether it is there."""
        presence = self._presences.of(claim.owner) if claim is not None else UNHEARD
        return Branch(self.zone if pod is None else f"{self.zone}.{pod}", claim, presence)

    async def itself(self, key: str) -> Branch:
        """The branch that a key names: a pod of the zone, or a zone of root; else `NOBODY`."""
        kind, _, id_ = key.partition(".")
        if kind == "pod":
            return self.branch(id_, await self.claim_of(id_))
        if (self.zone, kind) != (ROOT, "zone"):
            return NOBODY
        zone = Gathering(self.context, self._presences, id_)
        with contextlib.suppress(NoSuchZoneError):  # it was created just now, or its streams are lost
            await zone.begin()
            return zone.branch(None, await zone.claim_of(None))
        return zone.branch(None, None)

    async def _read_claim(self, pod: str | None) -> Claim | None:
        zone = self.zone
        subject = subjects.claim_of_zone(zone) if pod is None else subjects.claim_of_pod(zone, pod)
        stored = await self.context.bus.last(streams.log(zone), subject, at_least=self.log_position)
        event = codec.event_of(stored.data) if stored is not None else None
        return _claim_of(event, stored) if stored is not None and event is not None else None

    async def _ask_owner(self, key: str, pod: str | None, claim: Claim | None) -> OwnerSays | None:
        subject = subjects.owner_api("explain", self.zone, pod or ZONE_PARTITION)
        says = OwnerSays.parse(await self.context.bus.request(subject, key.encode(), timeout_s=ASK_S))
        # One that was replaced and does not know it yet may still answer: what it has in hand is void.
        return says if says is not None and claim is not None and says.epoch == claim.epoch else None

    async def _fill_in(self, queues: Iterable[QueueHeld]) -> None:
        """Read the bodies that the dispatcher does not keep in memory, so that each unit has its operation."""
        missing = [(queue, unit) for queue in queues for unit in queue.units if unit.submitted_s is None]
        await asyncio.gather(*(self._fill(queue, unit) for queue, unit in missing))

    async def _fill(self, queue: QueueHeld, unit: UnitHeld) -> None:
        async with self._places:
            stored = await self.context.bus.get(streams.work(self.zone), unit.ticket)
        if stored is None:
            return
        unit.submitted_s = stored.time_s
        pending = read_pending(self.zone, queue.key, unit.ticket, stored.data, None, stored.time_s)
        if pending.unit is not None:
            unit.operation, unit.deadline_s = pending.unit.operation, pending.deadline_s
            unit.tenant, unit.reason, unit.attempts_max = (
                pending.unit.tenant,
                pending.unit.reason,
                pending.unit.attempts_max,
            )


def _claim_of(event: Event, stored: Stored) -> Claim:
    quarantined = (event.reason or "no reason given") if event.quarantined and event.owner is None else None
    return Claim(event.owner, stored.position, stored.time_s, quarantined, event.paused, event.draining, event.reason)
