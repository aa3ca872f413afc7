"""What became of a ticket: the unit from WORK_HISTORY, its outcome from the log of its resource."""

import asyncio

from treeward.bus.interface import Bus, Since, Stored
from treeward.orchestrator.api.facts import Answered, Submitted
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.supervision.pending import read_pending

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
    return Submitted(key, unit.operation if unit is not None else "", stored.time_s)


async def accepted(bus: Bus, zone: str) -> tuple[int, int]:
    """The first and the last ticket that can still be told of."""
    history, work = await bus.state(streams.work_history(zone)), await bus.state(streams.work(zone))
    first = min((state.first for state in (history, work) if state is not None and state.messages), default=0)
    return first, max((state.last for state in (history, work) if state is not None), default=0)


async def outcome_of(bus: Bus, zone: str, key: str, ticket: int, submitted_s: float) -> Answered | None:
    """The event that answered a ticket; None if the log no longer has it, or it was not found within 1.5 s."""
    found: asyncio.Future[Answered | None] = asyncio.get_running_loop().create_future()

    def deliver(stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None and event.is_outcome and event.ticket == ticket and not found.done():
            found.set_result(Answered(stored.position, event, stored.time_s))

    def end() -> None:
        if not found.done():
            found.set_result(None)

    reader = await bus.read(
        streams.log(zone),
        subjects.log_of_resource(zone, key),
        Since(submitted_s - MARGIN_S),
        deliver,
        on_lost=end,
        on_caught_up=end,
    )
    try:
        async with asyncio.timeout(SEARCH_S):
            return await found
    except TimeoutError:
        return None
    finally:
        await reader.close()
