"""What became of a ticket: the unit from WORK_HISTORY, its outcome from the log of its resource."""

import asyncio
import contextlib
from collections.abc import Callable

from treeward.bus.interface import Bus, Since, Stored
from treeward.orchestrator.api.facts import Answered, Submitted
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.events import EventType
from treeward.supervision.pending import read_pending, said_by

SEARCH_S = 1.5
"""How long a resource's log is searched for an outcome."""
MARGIN_S = 5.0
"""How far before the submit the search begins: servers' clocks may differ by that much."""


async def submitted(bus: Bus, zone: str, ticket: int) -> Submitted | None:
    """A unit as it was accepted; None if neither WORK nor its history has it."""
    stored = await bus.get(streams.work(zone), ticket) or await bus.get(streams.work_history(zone), ticket)
    if stored is None:
        return None
    key = subjects.parse_work(stored.subject)[1]
    unit = read_pending(zone, key, ticket, stored.data, None, stored.time_s).unit
    if unit is None:
        return Submitted(key, "", stored.time_s)
    return Submitted(key, unit.operation, stored.time_s, said_by(unit))


async def accepted(bus: Bus, zone: str) -> tuple[int, int]:
    """The first and the last ticket that can still be told of."""
    history, work = await bus.state(streams.work_history(zone)), await bus.state(streams.work(zone))
    first = min((state.first for state in (history, work) if state is not None and state.messages), default=0)
    return first, max((state.last for state in (history, work) if state is not None), default=0)


async def outcome_of(bus: Bus, zone: str, key: str, ticket: int, submitted_s: float) -> Answered | None:
    """The event that answered a ticket; None if the log no longer has it, or it was not found within 1.5 s."""
    found: list[Answered] = []

    def deliver(stored: Stored, done: asyncio.Event) -> None:
        event = codec.event_of(stored.data)
        if event is not None and event.is_outcome and event.ticket == ticket:
            found.append(Answered(stored.position, event, stored.time_s))
            done.set()

    await _search(bus, zone, subjects.log_of_resource(zone, key), Since(submitted_s - MARGIN_S), deliver)
    return found[0] if found else None


async def last_completed(bus: Bus, zone: str, key: str, operation: str) -> Answered | None:
    """The last time that an operation of a resource was completed; None as above."""
    found: list[Answered] = []

    def deliver(stored: Stored, _done: asyncio.Event) -> None:
        event = codec.event_of(stored.data)
        if event is not None and event.operation == operation:
            found[:] = [Answered(stored.position, event, stored.time_s)]

    await _search(bus, zone, subjects.log(zone, key, EventType.COMPLETED), 1, deliver)
    return found[0] if found else None


async def _search(
    bus: Bus, zone: str, subject: str, start: int | Since, deliver: Callable[[Stored, asyncio.Event], None]
) -> None:
    """Read a subject of a log to its end, or until `deliver` sets the event, or for 1.5 s."""
    done = asyncio.Event()
    reader = await bus.read(
        streams.log(zone),
        subject,
        start,
        lambda stored: deliver(stored, done),
        on_lost=done.set,
        on_caught_up=done.set,
    )
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEARCH_S):
                await done.wait()
    finally:
        await reader.close()
