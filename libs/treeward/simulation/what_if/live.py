"""The live state of a zone as values: what its streams hold, who is there, and the limits that hold.

Read through `Reading`, which has no way to publish, submit or append; what is made of it has no way to the bus at all.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from treeward.bus.interface import NoSuchZoneError, Reader, Since, Start, Stored, StreamState, Subscription
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.presence import Heartbeat
from treeward.supervision.limits import Limits

READ_S = 20.0
WORK_UNITS_MAX = 100_000
"""What WORK holds beyond is not rehearsed: the answer would come too late to be of use."""


class Reading(Protocol):
    """The part of the bus that only looks (`bus.interface.Bus` has it)."""

    async def read(
        self,
        stream: str,
        subject_filter: str,
        start: int | Start | Since,
        deliver: Callable[[Stored], None],
        *,
        on_lost: Callable[[], None],
        on_caught_up: Callable[[], None] | None = None,
        purged_is_fine: bool = False,
    ) -> Reader:
        """See `bus.interface.Bus.read`."""
        ...

    async def state(self, stream: str) -> StreamState | None:
        """See `bus.interface.Bus.state`."""
        ...

    async def subscribe(
        self, subject: str, deliver: Callable[[str, bytes, Mapping[str, str] | None], None]
    ) -> Subscription:
        """See `bus.interface.Bus.subscribe`."""
        ...


@dataclass(frozen=True, slots=True)
class ZoneStreams:
    """What the streams of one zone hold, as far as the services read it. Positions are the live ones."""

    zone: str
    log: tuple[Stored, ...]
    """The last event of each resource, and the last claims, in order of position."""
    log_last: int
    bucket: tuple[Stored, ...]
    work: tuple[Stored, ...]
    work_first: int
    work_last: int


@dataclass(frozen=True, slots=True)
class Live:
    """A snapshot of a zone and of root."""

    zone: str
    now_s: float
    root: ZoneStreams
    streams: ZoneStreams
    instances: tuple[Heartbeat, ...]
    limits: Limits


async def read_live(bus: Reading, zone: str, limits: Limits, now_s: Callable[[], float]) -> Live:
    """Look at everything; raises NoSuchZoneError, TimeoutError. Whoever is silent for `suspicion_s` is not there."""
    heard: dict[str, Heartbeat] = {}

    def hear(_subject: str, data: bytes, _headers: Mapping[str, str] | None) -> None:
        heartbeat = codec.heartbeat_of(data)
        if heartbeat is not None:
            heard[heartbeat.instance] = heartbeat

    subscription = await bus.subscribe("tw.presence.*.*", hear)
    try:
        async with asyncio.timeout(READ_S):
            await asyncio.sleep(limits.suspicion_s)
            root, streams_ = await _read_zone(bus, ROOT), await _read_zone(bus, zone)
    finally:
        await subscription.close()
    present = (heartbeat for heartbeat in heard.values() if not heartbeat.leaving)
    instances = tuple(sorted(present, key=lambda heartbeat: (heartbeat.service, heartbeat.instance)))
    return Live(zone, now_s(), root, streams_, instances, limits)


async def _read_zone(bus: Reading, zone: str) -> ZoneStreams:
    """The bucket in its order, the log from where that ends, the claims, then WORK (as PROTOCOL table 5 wants it)."""
    state = await bus.state(streams.log(zone))
    if state is None:
        raise NoSuchZoneError(f"no stream {streams.log(zone)}")
    bucket = await _all(bus, streams.state(zone), streams.state_subject(zone, "*.*"), 1)
    lasts: dict[str, Stored] = {}
    for entry in bucket:
        event, position = codec.event_of(entry.data), codec.log_position_of(entry)
        if event is not None:
            subject = subjects.log(zone, event.key, event.type.value)
            lasts[event.key] = Stored(position, subject, entry.data, None, entry.time_s)
    read_up_to = max((stored.position for stored in lasts.values()), default=0)
    for stored in await _all(bus, streams.log(zone), subjects.log_of_zone(zone), read_up_to + 1):
        event = codec.event_of(stored.data)
        if event is not None:
            lasts[event.key] = stored
    claims = await _all(bus, streams.log(zone), subjects.claims_of_zone_and_pods(zone), Start.LAST_PER_SUBJECT)
    log = {stored.position: stored for stored in (*lasts.values(), *claims)}
    work_state = await bus.state(streams.work(zone))
    work = await _all(bus, streams.work(zone), subjects.all_work_of_zone(zone), 1)
    return ZoneStreams(
        zone=zone,
        log=tuple(log[position] for position in sorted(log)),
        log_last=max(state.last, *log) if log else state.last,
        bucket=tuple(bucket),
        work=tuple(work[:WORK_UNITS_MAX]),
        work_first=work_state.first if work_state is not None else 1,
        work_last=work_state.last if work_state is not None else 0,
    )


async def _all(bus: Reading, stream: str, subject: str, start: int | Start) -> list[Stored]:
    """Everything that is stored now."""
    found: list[Stored] = []
    done = asyncio.Event()
    reader = await bus.read(
        stream, subject, start, found.append, on_lost=done.set, on_caught_up=done.set, purged_is_fine=True
    )
    try:
        await done.wait()
    finally:
        await reader.close()
    return found
