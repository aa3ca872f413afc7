"""Every resource of a zone in short, read on demand: for the tree and for lists, not a fold that is always there.

The bucket is read once (one entry for each resource), then the log from where the bucket ends: an entry that is
replaced while it is read has a higher position there (PROTOCOL H10). While questions keep coming, only what the log
has beyond is read; 10 s after the last one the snapshot is thrown away. A zone that is too large to be read within one
question is read on by the next ones, and the answers say that they are not complete.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from treeward.bus.interface import NoSuchZoneError, Reader, Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event, EventType
from treeward.supervision.knowledge import pod_of
from treeward.supervision.need import NOTHING, Demand, demand_of

KEEP_S = 10.0
BEHIND_MAX = 20_000
"""Events beyond a snapshot; with more of them reading the bucket anew is cheaper."""
BRANCHES = frozenset({"zone", "pod", "host"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a snapshot may cost."""

    fresh_s: float = 1.0
    """A younger one is used as it is."""
    read_s: float = 3.0
    """How long one question reads; the next one goes on from there."""
    resources_max: int = 200_000
    """Of one zone; what is beyond is not counted, and the answer says so."""


BOUNDS = Bounds()


class Entry(NamedTuple):
    """What is kept of a resource. `event` only of zones, pods and hosts, which are few."""

    kind: str
    position: int
    type: EventType
    pod: str | None
    host: str | None
    exists: bool
    paused: bool
    quarantined: bool
    demand: Demand
    event: Event | None


@dataclass(slots=True)
class Snapshot:
    """The resources of a zone by key, as of `position` of its log."""

    entries: dict[str, Entry] = field(default_factory=dict)
    position: int = 0
    read_s: float = 0.0
    bucket_position: int = 0
    """How far the bucket has been read."""
    bucket_read: bool = False
    """Whether that is all of it."""
    caught_up: bool = False
    """Whether the log has been read to where it ended when the last question came."""
    too_many: bool = False
    resources_max: int = BOUNDS.resources_max

    @property
    def complete(self) -> bool:
        """Whether it holds every resource of the zone."""
        return self.bucket_read and self.caught_up and not self.too_many

    def apply(self, position: int, event: Event) -> None:
        """Take an event in; an older one than is known changes nothing."""
        known = self.entries.get(event.key)
        if known is not None and known.position >= position:
            return
        if event.type is EventType.FORGOTTEN:
            self.entries.pop(event.key, None)
        elif known is not None or len(self.entries) < self.resources_max:
            self.entries[event.key] = entry_of(position, event)
        else:
            self.too_many = True


def entry_of(position: int, event: Event) -> Entry:
    """What is kept of an event."""
    pod = pod_of(event)
    spec = event.definition or event.reserves
    return Entry(
        kind=event.kind,
        position=position,
        type=event.type,
        pod=pod,
        host=event.host if pod is not None else None,
        exists=event.definition is not None or (event.existed and not event.removed),
        paused=event.paused,
        quarantined=event.quarantined,
        demand=demand_of(event.kind, spec) if pod is not None else NOTHING,
        event=event if event.kind in BRANCHES else None,
    )


class Snapshots:
    """The snapshots of zones that were asked for lately. Questions for one zone wait for the same reading."""

    def __init__(self, context: Context, bounds: Bounds = BOUNDS) -> None:
        self._context = context
        self._bounds = bounds
        self._snapshots: dict[str, Snapshot] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def of(self, zone: str) -> Snapshot:
        """A snapshot that is fresh. Raises NoSuchZoneError, BusUnavailableError; cancelled, nothing is kept."""
        async with self._locks.setdefault(zone, asyncio.Lock()):
            clock = self._context.clock
            known = self._snapshots.pop(zone, None)
            if known is None or clock.monotonic_s() - known.read_s > self._bounds.fresh_s:
                known = await self._read(zone, known)
                known.read_s = clock.monotonic_s()
            self._snapshots[zone] = known
            asyncio.get_running_loop().call_later(KEEP_S, self._forget, zone, known, known.read_s)
            return known

    def _forget(self, zone: str, snapshot: Snapshot, read_s: float) -> None:
        """Throw it away unless it was read anew or is being read."""
        if self._snapshots.get(zone) is snapshot and snapshot.read_s == read_s:
            del self._snapshots[zone]

    async def _read(self, zone: str, known: Snapshot | None) -> Snapshot:
        state = await self._context.bus.state(streams.log(zone))
        if state is None:
            raise NoSuchZoneError(f"no stream {streams.log(zone)}")
        usable = known is not None and (
            not known.bucket_read or known.position <= state.last < known.position + BEHIND_MAX
        )
        snapshot = known if known is not None and usable else Snapshot(resources_max=self._bounds.resources_max)
        snapshot.caught_up = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._bounds.read_s):
                if not snapshot.bucket_read:
                    await self._read_bucket(zone, snapshot)
                if snapshot.position < state.last:
                    await self._read_log(zone, snapshot, state.last)
                snapshot.caught_up = True
        return snapshot

    async def _read_bucket(self, zone: str, snapshot: Snapshot) -> None:
        def deliver(stored: Stored) -> None:
            snapshot.bucket_position = stored.position
            position = codec.log_position_of(stored)
            snapshot.position = max(snapshot.position, position)
            event = codec.event_of(stored.data)
            if event is not None:
                snapshot.apply(position, event)

        subject = streams.state_subject(zone, "*.*")
        await self._read_all(streams.state(zone), subject, snapshot.bucket_position + 1, deliver)
        snapshot.bucket_read = True

    async def _read_log(self, zone: str, snapshot: Snapshot, up_to: int) -> None:
        def deliver(stored: Stored) -> None:
            snapshot.position = stored.position
            event = codec.event_of(stored.data)
            if event is not None:
                snapshot.apply(stored.position, event)

        await self._read_all(streams.log(zone), subjects.log_of_zone(zone), snapshot.position + 1, deliver)
        snapshot.position = max(snapshot.position, up_to)

    async def _read_all(self, stream: str, subject: str, start: int, deliver: Callable[[Stored], None]) -> None:
        """Deliver everything that is stored now; a gap counts as the end, since what is beyond comes from the log."""
        done = asyncio.Event()
        reader: Reader = await self._context.bus.read(
            stream, subject, start, deliver, on_lost=done.set, on_caught_up=done.set, purged_is_fine=True
        )
        try:
            await done.wait()
        finally:
            await reader.close()
