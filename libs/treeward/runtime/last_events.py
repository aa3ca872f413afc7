"""Reading the last event of a resource: from the log, or from the bucket if it has aged out there."""

import asyncio
from collections.abc import Callable

from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from treeward.bus.interface import Bus, BusError, BusUnavailableError
from treeward.runtime import codec
from treeward.runtime.tasks import Tasks
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

CAUGHT_UP_S = 15.0
"""What an owner or dispatcher must read before it begins is little: longer than this, something is lost."""


async def last_event(bus: Bus, zone: str, key: str, *, at_least: int = 0) -> tuple[int, Event | None, float]:
    """`(position, event, stored_s)` of a resource's last event; `(0, None, 0.0)` if nothing was ever said of it.

    From a replica of the log that has position `at_least`. Raises what `Bus.last` raises.
    """
    stored = await bus.last(streams.log(zone), subjects.log_of_resource(zone, key), at_least=at_least)
    if stored is not None:
        return stored.position, codec.event_of(stored.data), stored.time_s
    entry = await bus.last(streams.state(zone), streams.state_subject(zone, key))
    if entry is None or not entry.data:
        return 0, None, 0.0
    return codec.log_position_of(entry), codec.event_of(entry.data), entry.time_s


async def caught_up(read: asyncio.Event, what: str) -> None:
    """Wait until a reader has delivered what was there; raises BusUnavailableError if that does not come in time."""
    try:
        async with asyncio.timeout(CAUGHT_UP_S):
            await read.wait()
    except TimeoutError:
        raise BusUnavailableError(f"{what} could not be read within {CAUGHT_UP_S:g} s") from None


class LastEvents:
    """Fetches for a fold: each ends in one call of `report`, retried without end while the bus is away."""

    def __init__(self, bus: Bus, zone: str, report: Callable[[str, int, Event | None], None]) -> None:
        self._bus = bus
        self._zone = zone
        self._report = report
        self._tasks = Tasks()

    def fetch(self, key: str, at_least: int) -> None:
        """Begin to fetch; nothing is reported after `close`."""
        self._tasks.spawn(self._fetch(key, at_least))

    async def _fetch(self, key: str, at_least: int) -> None:
        try:  # nearly always the first time: the machinery of trying again costs more than the question
            position, event, _ = await last_event(self._bus, self._zone, key, at_least=at_least)
        except BusError:
            position, event = await self._fetch_again(key, at_least)
        self._report(key, position, event)

    async def _fetch_again(self, key: str, at_least: int) -> tuple[int, Event | None]:
        position, event = 0, None
        async for attempt in AsyncRetrying(
            wait=wait_random_exponential(0.1, max=2.0), retry=retry_if_exception_type(BusError)
        ):
            with attempt:
                position, event, _ = await last_event(self._bus, self._zone, key, at_least=at_least)
        return position, event

    def close(self) -> None:
        """Report nothing from now on."""
        self._tasks.close()
