"""What root's owner does for the streams of all zones: makes what is missing, and a mailbox without leader anew.

Mailboxes are in memory. If two of the three servers that have copies of one are restarted one soon after the other, and
the second stays away, NATS elects no leader for it: only the votes of all three could show that nothing newer exists.
For a mailbox that care is worth nothing, since whatever was in it is sent again from WORK. So it is deleted and made
again, empty: dispatchers see a stream with another time of creation and send again, owners read it from its beginning.

None of this needs the guard of a claim. An owner of root that was replaced and does not know it may delete a mailbox
that its successor has just made: once more everything in it is sent again, and processes drop what they know (DESIGN
3.4). It cannot go on doing so: it deletes only what it has itself seen without a leader for the whole patience.
"""

import asyncio
from collections.abc import Callable, Iterable

from treeward.bus.interface import BusError, BusUnavailableError
from treeward.runtime.context import Context
from treeward.runtime.presence import can_claim
from treeward.runtime.tasks import Tasks
from treeward.schemas import streams
from treeward.telemetry import names

KEEP_S = 30.0
WATCH_S = 1.0
RETRY_S = 0.5


class ZoneStreams:
    """Looks after the streams of the zones that `zones` names, until `close`; each zone by one task at a time."""

    def __init__(self, context: Context, zones: Callable[[], Iterable[str]]) -> None:
        self.context = context
        self._zones = zones
        self._tasks = Tasks()
        self._keeping: set[str] = set()
        """Zones whose streams are being looked after."""
        self._watching: set[str] = set()
        """Zones whose mailbox is being asked for its leader."""
        self._leaderless_s: dict[str, float] = {}
        """Zone -> since when its mailbox has had no leader, while its log had one."""

    def begin(self) -> None:
        """Look after everything from now on, and at once."""
        self._tasks.spawn(self._keep_for_ever())
        self._tasks.spawn(self._watch_for_ever())

    def close(self) -> None:
        """Stop at once; streams made so far stay."""
        self._tasks.close()

    def look_after_all(self) -> None:
        """Servers that come back may have lost what was in memory: the mailboxes, whose content is sent again."""
        for zone in self._zones():
            self._look_after(zone)

    async def keep(self, zone: str) -> None:
        """Make what is missing of a zone's streams, and say so; tried again while the bus is away."""
        try:
            made = await self.make(zone)
        except BusError as error:
            self.context.log.error("cannot make what is missing of a zone's streams", zone=zone, reason=str(error))
            return
        if made:
            self.context.log.warning("made what was missing of a zone's streams", zone=zone, streams=list(made))

    async def make(self, zone: str) -> tuple[str, ...]:
        """Make what is missing of a zone's streams, and return their names; tried again while the bus is away.

        Raises BusError if the server will not, however often it is asked.
        """
        while True:
            try:
                return await self.context.bus.provision(zone, self.context.settings.retention())
            except BusUnavailableError as error:
                self.context.log.warning(
                    "cannot ask for a zone's streams and tries again", zone=zone, reason=str(error)
                )
                await asyncio.sleep(RETRY_S)

    async def _keep_for_ever(self) -> None:
        """A stream may vanish while our own link stays: nobody else makes it again."""
        while True:
            await asyncio.sleep(KEEP_S)
            if self.context.bus.connected:
                self.look_after_all()

    def _look_after(self, zone: str) -> None:
        """Once at a time: without a quorum it may take hours, and then all would ask at once."""
        if zone not in self._keeping:
            self._keeping.add(zone)
            self._tasks.spawn(self._keep_once(zone), name=f"streams of {zone}")

    async def _keep_once(self, zone: str) -> None:
        try:
            await self.keep(zone)
        finally:
            self._keeping.discard(zone)

    async def _watch_for_ever(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            if not self.context.bus.connected:
                self._leaderless_s.clear()  # who cannot ask knows nothing
                continue
            zones = tuple(self._zones())
            self._leaderless_s = {zone: since_s for zone, since_s in self._leaderless_s.items() if zone in zones}
            for zone in zones:
                if zone not in self._watching:
                    self._watching.add(zone)
                    self._tasks.spawn(self._watch(zone), name=f"mailbox of {zone}")

    async def _watch(self, zone: str) -> None:
        """Ask a zone's mailbox for its leader once; make it anew if it has had none for too long."""
        try:
            asked_s = self.context.now_s()
            try:
                state = await self.context.bus.state(streams.mailbox(zone))
            except BusUnavailableError:
                # A log with a leader and a majority says that the cluster is fine: the fault is the mailbox's own.
                if not await can_claim(self.context, zone):
                    self._leaderless_s.pop(zone, None)
                    return
                since_s = self._leaderless_s.setdefault(zone, asked_s)
                if self.context.now_s() - since_s >= self.context.settings.mailbox_leaderless_s:
                    await self._make_anew(zone)
                return
            self._leaderless_s.pop(zone, None)
            if state is None:
                self._look_after(zone)
        except BusError as error:
            self.context.log.warning(
                "cannot ask a mailbox for its leader and tries again", zone=zone, reason=str(error)
            )
        finally:
            self._watching.discard(zone)

    async def _make_anew(self, zone: str) -> None:
        since_s = self._leaderless_s.pop(zone)
        await self.context.bus.make_mailbox_anew(zone, self.context.settings.retention())
        self.context.metrics.counter(names.MAILBOXES_MADE_ANEW, zone).inc()
        self.context.log.warning(
            "made a mailbox anew that had no leader; what was in it is sent again",
            zone=zone,
            leaderless_s=round(self.context.now_s() - since_s, 1),
        )
