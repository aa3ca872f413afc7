"""An orchestrator: its share of the zones to dispatch for, and its chance at root.

Zones are dealt to the live orchestrators by rendezvous hashing; when views differ for a moment, a zone has two
dispatchers or none, and neither hurts. Root's claim is the only contended one: the log lets exactly one win.
"""

import asyncio
from collections.abc import Callable
from importlib.metadata import version

from treeward.bus.interface import AppendResult, BusError, InDoubt, NoSuchZoneError, Reader, Refused, Start, Stored
from treeward.orchestrator.dispatching import Dispatching
from treeward.orchestrator.root import RootInCharge
from treeward.runtime import codec
from treeward.runtime.branches import Branches, Claimed, begun, hand_over
from treeward.runtime.context import Context
from treeward.runtime.control import obey
from treeward.runtime.last_events import caught_up
from treeward.runtime.presence import Presence, can_claim, listen, listen_to_closed
from treeward.runtime.tasks import unless_stopping
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.events import Event, EventType
from treeward.schemas.presence import Heartbeat
from treeward.supervision.children import Children
from treeward.supervision.effects import Cause
from treeward.supervision.election import rendezvous
from treeward.supervision.events import at
from treeward.telemetry import names

DEAL_S = 0.2
PATIENCE = 3
"""So many suspicions long a root without owner waits for the one that all see as next; then anybody claims it."""
HAND_OFF_S = 3.0
"""Root's log has so long to store the claim of a hand-off: less than whoever asked waits for our answer."""


class Orchestrator:
    """One instance of the orchestration tier."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.peers = Children(context.limits, context.now_s(), prefer_local=False)
        self.branches = Branches(context, "root", self._begin_root, lambda: self.presence.beat())
        self.presence = Presence(context, "orchestrator", version("treeward"), self.branches.holdings)
        self.dispatching: dict[str, tuple[Dispatching, asyncio.Task[None]]] = {}
        self._zones: set[str] = set()
        self._orphaned_since_s: float | None = None
        self._lost = asyncio.Event()
        context.metrics.gauge(names.ZONES_DEALT).follow(lambda: len(self.dispatching))

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop; then dispatchers just end, and root is left to another."""
        reader = await unless_stopping(stopping, self._follow_root())
        self.context.bus.on_connection(self._on_connection)
        await self.branches.follow()
        await listen(self.context, "orchestrator", self._on_heartbeat)
        await listen_to_closed(self.context, self.peers.on_closed)
        await obey(self.context, stopping, {"hand_off_root": self._hand_off_root})
        async with asyncio.TaskGroup() as group:
            duties = [group.create_task(self.presence.run()), group.create_task(self.branches.run())]
            while not stopping.is_set():
                if self._lost.is_set():
                    self._lost.clear()
                    reader = await unless_stopping(stopping, self._follow_root())
                await self._contend()  # first: whoever was away itself has to know that before it believes others dead
                await self._deal()
                await asyncio.sleep(DEAL_S)
            for zone in list(self.dispatching):
                await self._stop_dispatching(zone)
            await hand_over(self.context, self.presence.leave, self.branches)
            for duty in duties:
                duty.cancel()
        await reader.close()

    async def _follow_root(self) -> Reader:
        """Which zones there are, and who owns root."""
        while True:
            try:
                known = asyncio.Event()
                reader = await self.context.bus.read(
                    streams.log(ROOT),
                    subjects.log_of_zone(ROOT),
                    Start.LAST_PER_SUBJECT,
                    self._on_root_event,
                    on_lost=self._lost.set,
                    on_caught_up=known.set,
                )
                await caught_up(known, "the log of root")
                return reader
            except NoSuchZoneError:
                self.context.log.warning("root has no streams yet: run `treeward provision` once")
            except BusError as error:
                self.context.log.warning("cannot read the log of root and tries again", reason=str(error))
            await asyncio.sleep(1.0)

    def _on_root_event(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is None:
            if stored.subject == subjects.claim_of_zone(ROOT):  # it fences the owner, whoever wrote it
                self.peers.on_claimed(ROOT, None, stored.position, self.context.now_s())
            return
        if event.id == ROOT:
            if event.type is EventType.CLAIMED:
                self.peers.on_claimed(ROOT, event.owner, stored.position, self.context.now_s())
        elif event.definition is not None:
            self._zones.add(event.id)
        else:
            self._zones.discard(event.id)

    def _on_heartbeat(self, heartbeat: Heartbeat, now_s: float) -> None:
        self.peers.on_heartbeat(heartbeat, now_s)

    def _on_connection(self, connected: bool) -> None:
        if connected:
            for dispatching, _ in self.dispatching.values():
                dispatching.send_again("the connection to NATS was lost")

    # --- dispatchers ---------------------------------------------------------------------------------------------

    async def _deal(self) -> None:
        """Start and stop dispatchers so that each zone has that of the orchestrator which it is dealt to.

        We count as alive whatever we have heard of ourselves: an orchestrator too busy to hear its own heartbeat would
        otherwise stop what it does, read everything again, and be busier still. Cut off, all stays as it is.
        """
        if not self.context.bus.connected:
            return
        alive = {*self.peers.alive(self.context.now_s()), self.context.instance}
        for zone in (*sorted(self._zones), ROOT):
            mine = rendezvous(zone, alive) == self.context.instance
            if mine and zone not in self.dispatching:
                dispatching = Dispatching(self.context, zone)
                self.dispatching[zone] = (
                    dispatching,
                    asyncio.create_task(dispatching.run(), name=f"dispatcher of {zone}"),
                )
            elif not mine and zone in self.dispatching:
                await self._stop_dispatching(zone)
        for zone, (_, task) in self.dispatching.items():
            if task.done():
                task.result()
                raise AssertionError(f"the dispatcher of {zone} ended")
        for zone in [zone for zone in self.dispatching if zone not in self._zones and zone != ROOT]:
            await self._stop_dispatching(zone)

    async def _stop_dispatching(self, zone: str) -> None:
        _, task = self.dispatching.pop(zone)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    # --- root ----------------------------------------------------------------------------------------------------

    async def _contend(self) -> None:
        """Root is claimed by the orchestrators themselves, with the previous claim expected: exactly one wins."""
        if not self.context.bus.connected:
            return  # we hear nobody, so it is not they who are silent
        now_s = self.context.now_s()
        self.peers.on_defined(ROOT, now_s)
        claims = self.peers.decide(now_s)
        if not claims:
            self._orphaned_since_s = None
            return
        claim = claims[0]
        if self._orphaned_since_s is None:
            self._orphaned_since_s = now_s
        impatient = now_s - self._orphaned_since_s > PATIENCE * self.context.limits.suspicion_s
        if claim.instance == self.context.instance or impatient:
            if not await can_claim(self.context, ROOT):
                self.peers.suspect_itself(self.context.now_s())
                return
            try:
                await self._claim_root(self.context.instance, claim.cause, claim.reason)
            except BusError as error:
                self.context.log.warning("could not claim root and tries again", reason=str(error))

    async def _claim_root(self, instance: str, cause: Cause, reason: str) -> AppendResult:
        """Claim root if nobody has since the claim that we know; raises BusError. Cancelled, it is claimed or not.

        If it was refused somebody was quicker, and if it is in doubt nobody knows: the log will tell.
        """
        now_s = self.context.now_s()
        branch = self.peers.branches[ROOT]
        event = Event(
            type=EventType.CLAIMED,
            zone=ROOT,
            kind="zone",
            id=ROOT,
            life=branch.epoch,
            at=at(now_s),
            owner=instance,
            reason=reason,
        )
        draft = codec.draft_of(event, instance=self.context.instance, trace=None)
        subject = subjects.claim_of_zone(ROOT)
        result = await self.context.bus.append_expecting(
            streams.log(ROOT), draft, subject=subject, position=branch.epoch
        )
        if isinstance(result, int):
            self.peers.on_claimed(ROOT, instance, result, now_s)
            self.context.log.warning("claims root", owner=instance, epoch=result, reason=reason)
            self.context.metrics.counter(names.TAKEOVERS, ROOT, "root", cause.value).inc()
        return result

    async def _hand_off_root(self) -> str:
        """Claim root for another orchestrator: nothing crashes, and nobody had to name a master before."""
        if ROOT not in self.branches.held:
            raise ValueError(f"{self.context.instance} does not own root; {self.peers.branches[ROOT].owner} does")
        others = [name for name in self.peers.alive(self.context.now_s()) if name != self.context.instance]
        successor = rendezvous(ROOT, others)
        if successor is None:
            raise ValueError("there is no other orchestrator to hand root off to")
        try:
            async with asyncio.timeout(HAND_OFF_S):
                result = await self._claim_root(successor, Cause.HANDED_OFF, f"handed off by {self.context.instance}")
        except TimeoutError:
            result = InDoubt(f"its log did not answer within {HAND_OFF_S:g} s")
        except BusError as error:
            result = InDoubt(str(error))
        if isinstance(result, Refused):
            advice = (
                "somebody else has claimed it meanwhile" if result.fenced else "ask again when its log takes claims"
            )
            raise ValueError(f"root is not handed off to {successor}: {result.description}; {advice}")
        if isinstance(result, InDoubt):
            raise ValueError(
                f"nobody knows whether root is claimed for {successor}: {result.reason}; "
                "`treeward tree` tells whose it is; if it did not change, ask again"
            )
        return f"root is claimed for {successor}"

    async def _begin_root(self, claim: Claimed, gave_up: Callable[[str, bool], None]) -> RootInCharge:
        return await begun(RootInCharge(self.context, claim, gave_up))
