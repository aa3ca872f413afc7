"""Submits many units at once and keeps their order.

Units are sent in the order of `send`, on one connection, without waiting for each other's receipts; only a unit for a
resource that still has one without a receipt waits for that. So if a receipt is lost and its unit is sent again, it can
arrive behind later units of other resources, never behind one of its own.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

from treeward.bus.interface import Bus, BusError, Receipt
from treeward.schemas import subjects

IN_FLIGHT_MAX = 512
SUBMIT_S = 60.0
"""How long a submit is repeated; well below the duplicate window of 120 s, in which a repeat is recognized."""

Done = Callable[["Draft", Receipt | BusError], None]


class Draft(NamedTuple):
    """A unit that is to be submitted."""

    zone: str
    key: str
    body: bytes
    message_id: str | None = None
    headers: Mapping[str, str] | None = None


class Pipeline:
    """Used as `async with`: leaving it waits for every receipt. Cancelled, what was sent may or may not be stored."""

    def __init__(self, bus: Bus, done: Done, *, in_flight_max: int = IN_FLIGHT_MAX, submit_s: float = SUBMIT_S) -> None:
        self._bus = bus
        self._done = done
        self._room = asyncio.Semaphore(in_flight_max)
        self._submit_s = submit_s
        self._open: dict[tuple[str, str], asyncio.Event] = {}
        self._tasks = asyncio.TaskGroup()

    async def __aenter__(self) -> "Pipeline":
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def send(self, draft: Draft) -> None:
        """Send a unit when there is room and its resource has every receipt; `done` is told what came of it."""
        await self.receipts_of(draft.zone, draft.key)
        await self._room.acquire()
        received = asyncio.Event()
        self._open[draft.zone, draft.key] = received
        self._tasks.create_task(self._submit(draft, received))

    async def receipts_of(self, zone: str, key: str) -> None:
        """Return when nothing that was sent for the resource is without a receipt (or an error)."""
        received = self._open.get((zone, key))
        if received is not None:
            await received.wait()

    async def _submit(self, draft: Draft, received: asyncio.Event) -> None:
        result: Receipt | BusError
        try:
            result = await self._bus.submit(
                subjects.work(draft.zone, draft.key), draft.body,
                headers=draft.headers, message_id=draft.message_id, timeout_s=self._submit_s,
            )  # fmt: skip
        except BusError as error:
            result = error
        finally:
            self._room.release()
            received.set()
            if self._open.get((draft.zone, draft.key)) is received:
                del self._open[draft.zone, draft.key]
        self._done(draft, result)
