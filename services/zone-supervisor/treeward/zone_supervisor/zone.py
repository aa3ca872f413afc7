"""One zone, owned in one epoch: the fold of unplaced addresses, and the supervision of its pods.

In order: the pods' claims and definitions (few, and all that adoption needs), then the mailbox, then the fold of who
is where, which only allocation waits for. Healthy pods are adopted: their owners never notice.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence

from treeward.bus.interface import BusError, Start, Stored, Subscription
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
from treeward.schemas.address import ZONE_PARTITION
from treeward.schemas.events import EventType
from treeward.schemas.places import PlaceSaid
from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision import effects
from treeward.supervision.appeal import Appeal
from treeward.supervision.children import Children
from treeward.supervision.effects import Effect
from treeward.supervision.policies import restart_policy
from treeward.supervision.self_suspicion import Escalation
from treeward.supervision.zone_owner import ZoneOwner
from treeward.telemetry import names

WATCH_WORK_S = 5.0


class ZoneInCharge:
    """A zone while this instance owns it."""

    def __init__(
        self,
        context: Context,
        claim: Claimed,
        gave_up: Callable[[str, bool], None],
        orphans: Callable[[], Collection[Holding]],
    ) -> None:
        """`orphans` tells for which pods this instance acts itself, since nobody else could take them."""
        self.zone = claim.branch
        self.context = context
        self._orphans = orphans
        self.owner = ZoneOwner(self.zone, claim.epoch, context.limits)
        self.children = Children(
            context.limits,
            context.now_s(),
            prefer_local=context.settings.claim_policy == "local",
            last_resort=context.instance,
        )
        self._watch = ChildWatch(context, self.zone, self.children)
        self._policies = claim.event.policies
        period_s = restart_policy(context.limits, "zone", (self._policies,)).period_s
        self._appeal = Appeal(asked_before=claim.event.attempts > 0, patience_s=period_s)
        self.owner.pods.zone_closed = claim.event.draining
        self._gave_up = gave_up
        self._loop = OwnerLoop(
            context,
            self.owner,
            zone=self.zone,
            partition=ZONE_PARTITION,
            claim_subject=subjects.claim_of_zone(self.zone),
            claimed_s=claim.stored_s,
            gave_up=gave_up,
            perform=self._perform,
        )
        self._readers = Readers(context.bus, self._on_lost)
        self._subscriptions: list[Subscription] = []
        self._folded_up_to = 0
        self._tasks = Tasks()

    async def start(self) -> None:
        """Learn the pods, then take units; the fold of who is where goes on in the background."""
        pods_known = asyncio.Event()
        pods = subjects.log_of_resource(self.zone, "pod.*")
        log, last = streams.log(self.zone), Start.LAST_PER_SUBJECT
        await self._readers.read(log, pods, last, self._on_pod_event, pods_known.set)
        await self._watch.listen("pod-agent", self._on_heartbeat)
        await caught_up(pods_known, f"the pods of {self.zone}")
        await self._loop.start()
        self._subscriptions.append(await serve_explain(self.context, self.zone, ZONE_PARTITION, self.describe))
        self._subscriptions.append(
            await self.context.bus.serve(subjects.owner_api("place", self.zone, ZONE_PARTITION), self._find_place)
        )
        self._tasks.spawn(self._supervise(), name=f"supervision of {self.zone}")
        self._tasks.spawn(self._watch_work(), name=f"work of {self.zone}")
        self._tasks.spawn(self._fold(), name=f"fold of {self.zone}")
        metrics = self.context.metrics
        metrics.gauge(names.ROWS, self.zone, ZONE_PARTITION).follow(lambda: len(self.owner.rows))
        metrics.gauge(names.HOSTS_ISOLATED, self.zone).follow(self.owner.where.places.isolated)

    async def _fold(self) -> None:
        """The bucket in its order, and from where that ends the log: what was replaced meanwhile comes there (H10)."""
        bucket_read = asyncio.Event()
        entries = streams.state_subject(self.zone, "*.*")
        try:
            bucket = await self._readers.read(
                streams.state(self.zone), entries, 1, self._on_entry, bucket_read.set, purged_is_fine=True
            )
            await bucket_read.wait()
            await bucket.close()
            all_events = subjects.log_of_zone(self.zone)
            await self._readers.read(
                streams.log(self.zone), all_events, self._folded_up_to + 1, self._on_log, self._on_folded
            )
        except BusError as error:
            self._gave_up(f"cannot read who is where: {error}", False)

    def _on_lost(self) -> None:
        if not self._loop.closed:
            self._gave_up("the log no longer has what comes next", False)

    def _perform(self, effect: Effect) -> None:
        assert isinstance(effect, effects.Submit), f"a zone does not {effect}"
        self._tasks.spawn(self._submit(effect))

    async def _submit(self, unit: effects.Submit) -> None:
        subject = subjects.work(self.zone, unit.key)
        try:
            await self.context.bus.submit(subject, unit.body.encode(), message_id=unit.message_id, timeout_s=30.0)
        except BusError as error:
            self._gave_up(f"could not submit a unit of its own: {error}", False)

    # --- what is read --------------------------------------------------------------------------------------------

    def _on_pod_event(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is None:
            return
        now_s = self.context.now_s()
        branch = f"{self.zone}.{event.id}"
        self.owner.on_event(stored.position, event, now_s)
        if self.owner.pods.is_defined(event.id):
            self.children.on_defined(branch, now_s)
        else:
            self.children.on_removed(branch)
        self.children.escalations.on_quarantined(branch, event.quarantined)
        said = (event.policies, self._policies)
        self.children.escalations.policies[branch] = restart_policy(self.context.limits, "pod", said)
        if event.type is EventType.CLAIMED:
            self.children.on_claimed(branch, event.owner, stored.position, now_s, isolated=event.isolated)
        elif event.isolated:
            self.children.on_isolated(branch)

    def _on_entry(self, stored: Stored) -> None:
        """There may be a million of these: what stands where it is, as nearly all do, is read at a lower price."""
        position = codec.log_position_of(stored)
        self._folded_up_to = max(self._folded_up_to, position)
        standing = codec.standing_of(stored.data)
        if standing is not None and self.owner.on_standing(position, standing):
            return
        event = codec.event_of(stored.data)
        if event is not None and event.kind != "pod":
            self.owner.on_event(position, event, self.context.now_s())

    def _on_log(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None and event.kind != "pod":
            self.owner.on_event(stored.position, event, self.context.now_s())
            self._loop.carry_out()

    def _on_folded(self) -> None:
        self.owner.on_fold_complete()
        self._loop.carry_out()
        self.context.log.info(
            "knows who is where",
            zone=self.zone,
            hosts=len(self.owner.where.places.hosts),
            placed=len(self.owner.where.places.placed),
        )

    def _on_heartbeat(self, heartbeat: Heartbeat, now_s: float) -> None:
        if heartbeat.zone in (None, self.zone):
            self.children.on_heartbeat(heartbeat, now_s)

    async def _watch_work(self) -> None:
        """What WORK no longer holds can be forgotten."""
        while True:
            await asyncio.sleep(WATCH_WORK_S)
            try:
                state = await self.context.bus.state(streams.work(self.zone))
            except BusError:
                continue  # asked again soon; nothing waits for it
            if state is not None and self.owner.fold_complete:
                self.owner.on_work_first(state.first, self.context.now_s())
                self._loop.carry_out()

    # --- who owns the pods ---------------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        while not self._loop.closed:
            await self._watch.turn()
            self.children.on_own(self._orphans(), self.context.now_s())
            claims = await self._watch.decide(self._is_new)
            now_s = self.context.now_s()
            for branch, reason in self._beyond_help(now_s):
                pod = branch.partition(".")[2]
                if pod not in self.owner.pods.claims_on_their_way and self.owner.pods.is_defined(pod):
                    self.owner.quarantine_pod(pod, reason, now_s)
                    self.children.escalations.on_quarantined(branch, True)
                    self.context.log.error("a pod is quarantined", branch=branch, reason=reason)
                    self.context.metrics.counter(names.QUARANTINES, self.zone, "pod").inc()
            for claim in claims:
                if self._is_new(claim):  # else it was quarantined just now
                    self.owner.claim_pod(claim.branch.partition(".")[2], claim.instance, claim.reason, now_s)
                    self._watch.tell(claim)
            self._loop.carry_out()

    def _beyond_help(self, now_s: float) -> Sequence[tuple[str, str]]:
        """The pods that are to be quarantined now; if it is most of them, root is asked first."""
        before = self._appeal.escalation
        escalations = self.children.escalations
        pods = len(self.children.branches.keys() - escalations.quarantined)
        troubled = escalations.troubled(now_s)
        found = self._appeal.decide(escalations.hopeless(), troubled=troubled, pods=pods, now_s=now_s)
        if before is None and self._appeal.escalation is not None:
            reason = self._appeal.escalation.reason
            self.context.log.warning("cannot help most of its pods, and asks root", zone=self.zone, reason=reason)
        return found

    @property
    def escalation(self) -> Escalation | None:
        """What it asks of root; it goes on meanwhile."""
        return self._appeal.escalation

    def describe(self, key: str, now_s: float) -> dict[str, object]:
        """What its owner knows of a resource; of a pod also what is done about its asking for help."""
        kind, _, pod = key.partition(".")
        help_ = self.children.describe_help(f"{self.zone}.{pod}", now_s) if kind == "pod" else None
        if help_ is not None and help_["hopeless"]:
            help_ |= {"quarantine_in_s": self._appeal.quarantine_in_s(now_s) or 0.0}
        return self.owner.describe(key, now_s) | {"help": help_}

    def _is_new(self, claim: effects.ClaimBranch) -> bool:
        pod = claim.branch.partition(".")[2]
        return pod not in self.owner.pods.claims_on_their_way and self.owner.pods.is_defined(pod)

    async def _find_place(self, _subject: str, body: bytes) -> bytes:
        """A pod's owner asks where something could go."""
        asked = codec.place_asked_of(body)
        said = self.owner.find_place(asked, self.context.now_s()) if asked is not None else PlaceSaid()
        return said.model_dump_json().encode()

    # --- the end -------------------------------------------------------------------------------------------------

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
        await self._watch.close()
        await self._readers.close()
        for subscription in self._subscriptions:
            await subscription.close()
        self.context.metrics.forget(names.ROWS, self.zone, ZONE_PARTITION)
        self.context.metrics.forget(names.HOSTS_ISOLATED, self.zone)
