"""Root, owned in one epoch: zones are its children; it makes their streams and claims them for zone supervisors."""

import asyncio
from collections.abc import Callable
from typing import Any

from treeward.bus.interface import BusError, Refused, Start, Stored, Subscription
from treeward.orchestrator.zone_streams import ZoneStreams
from treeward.runtime import codec
from treeward.runtime.answering import serve_explain
from treeward.runtime.branches import Claimed
from treeward.runtime.child_watch import ChildWatch
from treeward.runtime.context import Context
from treeward.runtime.last_events import caught_up
from treeward.runtime.owner_loop import OwnerLoop
from treeward.runtime.readers import Readers
from treeward.runtime.tasks import Tasks
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, ZONE_PARTITION
from treeward.schemas.events import Event, EventType
from treeward.supervision import effects
from treeward.supervision.children import Children
from treeward.supervision.effects import Effect
from treeward.supervision.events import at
from treeward.supervision.policies import restart_policy
from treeward.supervision.root_owner import RootOwner
from treeward.telemetry import names


class RootInCharge:
    """Root while this instance owns it."""

    def __init__(self, context: Context, claim: Claimed, gave_up: Callable[[str, bool], None]) -> None:
        self.context = context
        self.epoch = claim.epoch
        self.owner = RootOwner(ROOT, claim.epoch, context.limits)
        self.children = Children(context.limits, context.now_s())
        self._watch = ChildWatch(context, ROOT, self.children)
        self._gave_up = gave_up
        self._zones: dict[str, Event] = {}
        self._claiming: set[str] = set()
        self._claimed: dict[str, dict[str, Any]] = {}
        """What the last claim of each zone says that holds for it."""
        self._tasks = Tasks()
        self._streams = ZoneStreams(context, self._defined)
        self._readers = Readers(context.bus, self._on_lost)
        self._subscriptions: list[Subscription] = []
        self._loop = OwnerLoop(
            context,
            self.owner,
            zone=ROOT,
            partition=ZONE_PARTITION,
            claim_subject=subjects.claim_of_zone(ROOT),
            claimed_s=claim.stored_s,
            gave_up=gave_up,
            perform=self._perform,
        )

    async def start(self) -> None:
        """Learn the zones, then take units and supervise."""
        self._streams.begin()  # first: what follows waits for root's own mailbox, which may have no leader
        await self._streams.keep(ROOT)
        self._subscriptions.append(self.context.bus.on_connection(self._on_connection))
        self.owner.on_fold_complete()
        known = asyncio.Event()
        log, last = streams.log(ROOT), Start.LAST_PER_SUBJECT
        await self._readers.read(log, subjects.log_of_zone(ROOT), last, self._on_event, known.set)
        await self._watch.listen("zone-supervisor", self.children.on_heartbeat)
        await caught_up(known, "the log of root")
        await self._loop.start()
        self._subscriptions.append(await serve_explain(self.context, ROOT, ZONE_PARTITION, self.describe))
        self._tasks.spawn(self._supervise())

    def describe(self, key: str, now_s: float) -> dict[str, object]:
        """What its owner knows of a zone, and what is done about its asking for help."""
        return self.owner.describe(key, now_s) | {"help": self.children.describe_help(key.partition(".")[2], now_s)}

    def _on_lost(self) -> None:
        self._gave_up("the log of root no longer has what comes next", False)

    def _on_event(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is None or event.id == ROOT:
            return
        before = self._zones.get(event.id)
        self._zones[event.id] = event
        self.children.escalations.policies[event.id] = restart_policy(self.context.limits, "zone", (event.policies,))
        if event.definition is None:
            self.children.on_removed(event.id)
        elif before is None or before.definition is None:
            self._tasks.spawn(self._learn_claim(event.id))
        self._compare(event.id)

    def _compare(self, zone: str) -> None:
        """Whoever acts below reads in a zone's claim what holds for it: it is renewed when that is something else."""
        branch, event = self.children.branches.get(zone), self._zones.get(zone)
        if branch is not None and event is not None and zone in self._claimed:
            changed = _said(event) != self._claimed[zone]
            branch.renew = "it was paused, drained, resumed or configured" if changed else None

    def _on_connection(self, connected: bool) -> None:
        if connected and not self._loop.closed:
            self._streams.look_after_all()

    def _defined(self) -> tuple[str, ...]:
        return (ROOT, *(zone for zone, event in self._zones.items() if event.definition is not None))

    async def _learn_claim(self, zone: str) -> None:
        """Who owns a zone is said in its own log."""
        await self._streams.keep(zone)
        while True:
            try:
                last = await self.context.bus.last(streams.log(zone), subjects.claim_of_zone(zone))
                break
            except BusError as error:
                self.context.log.warning("cannot read who owns a zone and tries again", zone=zone, reason=str(error))
                await asyncio.sleep(0.5)
        now_s = self.context.now_s()
        if last is None:
            self.children.on_defined(zone, now_s)
            return
        # One that cannot be read has fenced the owner all the same: claim anew, behind its position.
        event = codec.event_of(last.data)
        owner, asked = (event.owner, event.attempts > 0) if event is not None else (None, False)
        self.children.on_claimed(zone, owner, last.position, now_s, asked=asked)
        self._claimed[zone] = _said(event)
        self._compare(zone)

    async def _supervise(self) -> None:
        while not self._loop.closed:
            await self._watch.turn()
            for claim in await self._watch.decide(lambda claim: claim.branch not in self._claiming):
                self._claiming.add(claim.branch)
                self._tasks.spawn(self._claim(claim))

    async def _claim(self, claim: effects.ClaimBranch) -> None:
        """Claim a zone in its own log, with the previous claim expected: a stale root changes nothing twice."""
        zone = claim.branch
        branch = self.children.branches[zone]
        definition = self._zones[zone].definition if zone in self._zones else None
        said = _said(self._zones.get(zone))
        event = Event(
            type=EventType.CLAIMED,
            zone=zone,
            kind="zone",
            id=zone,
            life=branch.epoch,
            at=at(self.context.now_s()),
            definition=definition,
            owner=claim.instance,
            reason=claim.reason,
            attempts=int(claim.asked),
            **said,
        )
        subject = subjects.claim_of_zone(zone)
        try:
            draft = codec.draft_of(event, instance=self.context.instance, trace=None)
            result = await self.context.bus.append_expecting(
                streams.log(zone), draft, subject=subject, position=branch.epoch
            )
            if isinstance(result, int):
                self.children.on_claimed(zone, claim.instance, result, self.context.now_s(), asked=claim.asked)
                self._claimed[zone] = said
                self._compare(zone)
                self._watch.tell(claim, epoch=result)
            else:
                await self._learn_claim(zone)
                if isinstance(result, Refused):
                    self._tell_refused(zone, branch.epoch, result)
        except BusError as error:
            self.context.log.warning("could not claim a zone and tries again", zone=zone, reason=str(error))
        finally:
            self._claiming.discard(zone)

    def _tell_refused(self, zone: str, expected: int, refused: Refused) -> None:
        """A claim of ours was stale: counted as of root, since it is root that may have another owner by now."""
        if refused.fenced:
            self.context.metrics.counter(names.APPENDS_REFUSED, ROOT).inc()
        now = self.children.branches.get(zone)
        self.context.log.warning(
            "the log refused a claim of a zone: somebody else has claimed it",
            zone=zone,
            epoch=self.epoch,
            expected_claim=expected,
            last_claim=now.epoch if now is not None else None,
            owner=now.owner if now is not None else None,
            reason=refused.description,
        )

    def _perform(self, effect: Effect) -> None:
        assert isinstance(effect, effects.Provision), f"root does not {effect}"
        self._tasks.spawn(self._provision(effect.zone))

    async def _provision(self, zone: str) -> None:
        problem = None
        try:
            await self._streams.make(zone)  # no answer for a while is no reason to fail whoever creates a zone
        except BusError as error:
            problem = str(error)
        self.owner.on_provisioned(zone, problem, self.context.now_s())
        self._loop.carry_out()

    @property
    def drained(self) -> bool:
        """Whether no append is on its way."""
        return self.owner.drained

    def stop_taking(self) -> None:
        """Take no further unit."""
        self.owner.stop_taking()

    async def close(self) -> None:
        """Stop at once."""
        await self._loop.close()
        self._tasks.close()
        self._streams.close()
        await self._watch.close()
        await self._readers.close()
        for subscription in self._subscriptions:
            await subscription.close()


def _said(event: Event | None) -> dict[str, Any]:
    """What holds for all of a zone: its log carries it in the claim, since nobody below may read root's log."""
    if event is None:
        return {"policies": None, "paused": False, "draining": False}
    return {"policies": event.policies, "paused": event.paused, "draining": event.draining}
