"""Every resource of a zone in short, read on demand: for the tree and for lists, not a fold that is always there.

The bucket is read once (one entry for each resource), then the log from where the bucket ends: an entry that is
replaced while it is read has a higher position there (PROTOCOL H10). While questions keep coming, only what the log
has beyond is read; 10 s after the last one the snapshot is thrown away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from treeward.bus.interface import NoSuchZoneError, Reader, Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event, EventType
from treeward.supervision.knowledge import pod_of
from treeward.supervision.placement import NOTHING, Demand, demand_of

FRESH_S = 1.0
"""A younger snapshot is used as it is."""
KEEP_S = 10.0
BEHIND_MAX = 20_000
"""Events beyond a snapshot; with more of them reading the bucket anew is cheaper."""
RESOURCES_MAX = 200_000
"""Of one zone; what is beyond is not counted, and the answer says so."""
READ_S = 3.0
"""What has not been read by then is not counted either."""
BRANCHES = frozenset({"zone", "pod", "host"})


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
    complete: bool = True
    read_s: float = 0.0

    def apply(self, position: int, event: Event) -> None:
        """Take an event in; an older one than is known changes nothing."""
        known = self.entries.get(event.key)
        if known is not None and known.position >= position:
            return
        if event.type is EventType.FORGOTTEN:
            self.entries.pop(event.key, None)
        elif known is not None or len(self.entries) < RESOURCES_MAX:
            self.entries[event.key] = entry_of(position, event)
        else:
            self.complete = False


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

    def __init__(self, context: Context) -> None:
        self._context = context
        self._snapshots: dict[str, Snapshot] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def of(self, zone: str) -> Snapshot:
        """A snapshot at most 1 s old. Raises NoSuchZoneError, BusUnavailableError; cancelled, nothing is kept."""
        async with self._locks.setdefault(zone, asyncio.Lock()):
            clock = self._context.clock
            known = self._snapshots.pop(zone, None)
            if known is None or clock.monotonic_s() - known.read_s > FRESH_S:
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
        if known is not None and known.complete and known.position <= state.last < known.position + BEHIND_MAX:
            snapshot = known
        else:
            snapshot = Snapshot()
        try:
            async with asyncio.timeout(READ_S):
                if snapshot is not known:
                    await self._read_bucket(zone, snapshot)
                if snapshot.position < state.last:
                    await self._read_log(zone, snapshot, state.last)
        except TimeoutError:
            snapshot.complete = False
        return snapshot

    async def _read_bucket(self, zone: str, snapshot: Snapshot) -> None:
        def deliver(stored: Stored) -> None:
            position = codec.log_position_of(stored)
            snapshot.position = max(snapshot.position, position)
            event = codec.event_of(stored.data)
            if event is not None:
                snapshot.apply(position, event)

        await self._read_all(streams.state(zone), streams.state_subject(zone, "*.*"), 1, deliver)

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
