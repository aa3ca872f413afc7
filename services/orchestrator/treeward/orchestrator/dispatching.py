"""The dispatcher of one zone at work: reads WORK and the log, sends, settles and purges (PROTOCOL table 5).

Start, restart and overlap with another dispatcher are one code path: read, then send. Nothing durable is kept.
"""

import asyncio

from treeward.bus.interface import BusError, NoSuchZoneError, Start, Stored, Subscription
from treeward.orchestrator.describe import describe_queues
from treeward.orchestrator.dispatch_telemetry import DispatchTelemetry
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.last_events import LastEvents, caught_up
from treeward.runtime.readers import Readers
from treeward.runtime.tasks import Tasks
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event
from treeward.supervision import effects
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Effect

TICK_S = 0.1
PURGE_S = 1.0
PURGE_UNITS = 1_000
IDLE_RESOURCES_MAX = 100_000
RETRY_S = 0.5
LEVEL_S = 0.01
WATCH_MAILBOX_S = 1.0
MAILBOX_AWAY_S = 1.0
"""A mailbox stream that takes so long to answer had no leader: what was sent meanwhile is gone."""
CALM_S = 5.0
"""Or it is only slow, under load: then sending all again must not become the load."""


class Dispatching:
    """Dispatches for a zone until closed. `run` returns only by cancellation; on a gap it begins anew by itself."""

    def __init__(self, context: Context, zone: str) -> None:
        self.context = context
        self.zone = zone
        self.telemetry = DispatchTelemetry(context, zone)
        self.fold = Dispatcher(zone, context.limits)
        self.caught_up = asyncio.Event()
        """Set once all that WORK held in the beginning has been read."""
        self._again = asyncio.Event()
        self._readers = Readers(context.bus, self._again.set)
        self._fetches = LastEvents(context.bus, zone, self._on_fetched)
        self._tasks = Tasks()
        self._purged_below = 0
        self._to_purge: dict[str, int] = {}
        """Resources of which everything below a ticket is answered, and is still in WORK."""
        self._serving: Subscription | None = None

    async def run(self) -> None:
        """Dispatch until cancelled; what was sent and not answered is sent again by whoever comes next."""
        self._serving = await self.context.bus.serve(
            subjects.owner_api("queued", self.zone, "dispatcher"), self._describe
        )
        try:
            while True:
                try:
                    await self._begin()
                    await self._serve_until_lost()
                except NoSuchZoneError:
                    self.context.log.warning("the zone has no streams yet", zone=self.zone)
                except BusError as error:
                    self.context.log.warning("dispatcher begins anew", zone=self.zone, reason=str(error))
                finally:
                    await self._drop()
                await asyncio.sleep(RETRY_S)
        finally:
            await self._serving.close()

    async def _begin(self) -> None:
        """Follow the log from its end, learn the claims, then WORK from its beginning: only now anything is sent."""
        bus = self.context.bus
        self._again.clear()
        self._readers = Readers(bus, self._again.set)
        self.caught_up.clear()
        self.fold = Dispatcher(self.zone, self.context.limits)
        self._to_purge = {}
        self.telemetry.follow(self.fold)
        self._fetches = LastEvents(bus, self.zone, self._on_fetched)
        state = await bus.state(streams.log(self.zone))
        if state is None:
            raise NoSuchZoneError(f"no stream {streams.log(self.zone)}")
        self.fold.log_read_up_to = state.last
        self.fold.catching_up = True
        self.telemetry.work_created_s = await self._work_created_s()
        log = streams.log(self.zone)
        await self._readers.read(log, subjects.log_of_zone(self.zone), state.last + 1, self._on_log)
        claims_read = asyncio.Event()
        of_claims = subjects.claims_of_zone_and_pods(self.zone)
        claims = await self._readers.read(log, of_claims, Start.LAST_PER_SUBJECT, self._on_claim, claims_read.set)
        await caught_up(claims_read, f"the claims of {self.zone}")
        await claims.close()
        # A claim that came meanwhile is known before the log was read up to it: nothing may be sent to its life (R3).
        while self.fold.log_read_up_to < self.fold.newest_claim and not self._again.is_set():
            await asyncio.sleep(LEVEL_S)
        for pod in list(self.fold.pod_epochs):
            self.fold.know_pod(pod)
        self._carry_out()
        await self._readers.read(
            streams.work(self.zone),
            subjects.all_work_of_zone(self.zone),
            1,
            self._on_work,
            self._on_caught_up,
            purged_is_fine=True,
        )
        self.context.log.info("dispatches", zone=self.zone, log_from=state.last + 1)

    async def _work_created_s(self) -> float:
        state = await self.context.bus.state(streams.work(self.zone))
        return state.created_s if state is not None else 0.0

    async def _serve_until_lost(self) -> None:
        self._tasks.spawn(self._purge_for_ever(), name=f"purge of {self.zone}")
        self._tasks.spawn(self._watch_mailbox(), name=f"mailboxes of {self.zone}")
        while not self._again.is_set():
            await asyncio.sleep(TICK_S)
            self.fold.tick(self.context.now_s())
            self._carry_out()
            self.fold.forget_idle(IDLE_RESOURCES_MAX)
        self.context.log.warning("a gap in what is read; begins anew", zone=self.zone)

    async def _drop(self) -> None:
        self._fetches.close()
        self._tasks.close()
        await self._readers.close()

    # --- what is read --------------------------------------------------------------------------------------------

    def _on_log(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None:
            self.fold.on_event(stored.position, event, self.context.now_s())
            self._carry_out(stored)

    def _on_claim(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None:
            self.fold.on_claim(stored.position, event, self.context.now_s())

    def _on_work(self, stored: Stored) -> None:
        self.telemetry.read.inc()
        self.fold.on_work(
            stored.position,
            stored.subject,
            stored.data,
            codec.trace_of(stored.headers),
            stored.time_s,
            self.context.now_s(),
        )
        self._carry_out()

    def _on_caught_up(self) -> None:
        self.caught_up.set()
        self.fold.on_caught_up(self.context.now_s())
        self._carry_out()

    def _on_fetched(self, key: str, position: int, event: Event | None) -> None:
        self.fold.on_fetched(key, position, event, self.context.now_s())
        self._carry_out()

    # --- what is done --------------------------------------------------------------------------------------------

    def _carry_out(self, cause: Stored | None = None) -> None:
        fold = self.fold
        while fold.effects:
            batch, fold.effects = fold.effects, []
            for effect in batch:
                self._perform(effect, cause)

    def _perform(self, effect: Effect, cause: Stored | None) -> None:
        match effect:
            case effects.Send(partition, key, message):
                if (trace := self.telemetry.sending(effect)) is not None:
                    message.trace = trace
                self.context.bus.publish(subjects.mailbox(self.zone, partition, key), codec.message_bytes(message))
            case effects.Settled():
                self.telemetry.settled(effect, cause)
            case effects.Fetch(key, at_least):
                self._fetches.fetch(key, at_least)
            case effects.ReadBody(ticket):
                self._tasks.spawn(self._read_body(ticket))
            case _:
                raise AssertionError(f"a dispatcher does not {effect}")

    async def _read_body(self, ticket: int) -> None:
        fold = self.fold
        while True:
            try:
                stored = await self.context.bus.get(streams.work(self.zone), ticket)
                break
            except BusError:
                await asyncio.sleep(RETRY_S)
        now_s = self.context.now_s()
        if stored is None:
            fold.on_body(ticket, None, None, 0.0, now_s)
        else:
            fold.on_body(ticket, stored.data, codec.trace_of(stored.headers), stored.time_s, now_s)
        self._carry_out()

    async def _purge_for_ever(self) -> None:
        """Forget what is answered, in bulk, and never beyond what the history holds: a mirror may stand still."""
        bus = self.context.bus
        while True:
            await asyncio.sleep(PURGE_S)
            await self._purge_above()
            below = self.fold.low_water()
            if below <= self._purged_below or (below - self._purged_below < PURGE_UNITS and self.fold.unanswered):
                continue
            try:
                history = await bus.state(streams.work_history(self.zone))
                below = min(below, history.last + 1 if history is not None else 0)
                if below > self._purged_below:
                    await bus.purge(streams.work(self.zone), below=below)
                    self._purged_below = below
            except BusError as error:
                self.context.log.warning("could not purge and tries again", zone=self.zone, reason=str(error))

    async def _purge_above(self) -> None:
        """Above a unit that stays unanswered, what is answered is forgotten resource by resource, if it is very much.

        What could not be purged is tried again with the next round; a dispatcher that begins anew counts anew.
        """
        bus = self.context.bus
        if self.fold.answered_above <= self.context.limits.answered_above_max and not self._to_purge:
            return
        try:
            history = await bus.state(streams.work_history(self.zone))
            if not self._to_purge:
                self._to_purge = self.fold.take_answered(history.last if history is not None else 0)
                self.context.log.warning(
                    "purges above a unit that stays unanswered", zone=self.zone, resources=len(self._to_purge)
                )
            while self._to_purge:
                key, below = next(iter(self._to_purge.items()))
                await bus.purge(streams.work(self.zone), below=below, subject=subjects.work(self.zone, key))
                del self._to_purge[key]
        except BusError as error:
            self.context.log.warning("could not purge and tries again", zone=self.zone, reason=str(error))

    def send_again(self, why: str) -> None:
        """Send again all that is not answered: mailbox messages are not acknowledged, and may just have been lost."""
        if self.fold.unanswered:
            self.context.log.warning("sends again", zone=self.zone, units=len(self.fold.unanswered), reason=why)
            self.fold.send_again(self.context.now_s())
            self._carry_out()

    async def _watch_mailbox(self) -> None:
        """Notice that the mailbox stream was away: nobody else tells, and the slow sending again is for the rest.

        One that was made anew may have more in it than the old one had: it says when it was made.
        """
        last, created_s, calm_until_s = 0, None, 0.0
        while True:
            await asyncio.sleep(WATCH_MAILBOX_S)
            begun_s = self.context.now_s()
            try:
                state = await self.context.bus.state(streams.mailbox(self.zone))
                while state is None:
                    await asyncio.sleep(RETRY_S)
                    state = await self.context.bus.state(streams.mailbox(self.zone))
            except BusError:
                last = -1  # whatever it says next, it was away
                continue
            now_s = self.context.now_s()
            slow = now_s - begun_s > MAILBOX_AWAY_S and now_s > calm_until_s
            anew = state.last < last or created_s not in (None, state.created_s)
            if last == -1 or anew or slow:
                calm_until_s = now_s + CALM_S
                self.send_again("the mailbox stream was away")
            last, created_s = state.last, state.created_s

    async def _describe(self, _subject: str, body: bytes) -> bytes:
        return describe_queues(self.fold, body, self.caught_up.is_set())
