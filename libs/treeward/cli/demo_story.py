"""What happened so far in the demo: every event of its zones, from their logs, and who asked for what."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from treeward.bus.interface import Stored
from treeward.bus.nats_bus import NatsBus
from treeward.cli.output import NO, CommandError
from treeward.runtime.judge import Logged
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event, EventType

Told = Callable[[Logged], None]


class Clients:
    """Some clients, each with a connection of its own; used as `async with`."""

    def __init__(self, url: str, count: int) -> None:
        self._url = url
        self._count = count
        self._stack = AsyncExitStack()
        self.buses: list[NatsBus] = []

    async def __aenter__(self) -> "Clients":
        for number in range(1, self._count + 1):
            bus = await NatsBus.connect(self._url, name=f"client-{number}", timeout_s=10.0)
            self._stack.push_async_callback(bus.close)
            self.buses.append(bus)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def submit(self, number: int, zone: str, key: str, body: bytes) -> int:
        """Let a client submit a unit; returns the ticket."""
        bus = self.buses[number % self._count]
        return (await bus.submit(subjects.work(zone, key), body, timeout_s=20.0)).ticket


class Story:
    """Follows the logs of zones; `told` hears each event as it comes."""

    def __init__(self, bus: NatsBus) -> None:
        self.log: list[Logged] = []
        self.answers: dict[tuple[str, int], Event] = {}
        self.outcomes: Counter[str] = Counter()
        self.told: Told = _silent
        self._bus = bus
        self._changed = asyncio.Event()
        self._lost = ""

    async def follow(self, zones: Sequence[str]) -> None:
        """Begin, with the first event of each log; it ends with the connection."""
        for zone in zones:
            await self._bus.read(
                streams.log(zone), subjects.log_of_zone(zone), 1, self._take, on_lost=partial(self._lose, zone)
            )

    async def until(self, condition: Callable[[], object], what: str, *, timeout_s: float = 30.0) -> None:
        """Wait until a condition on what happened holds; raises CommandError that says what did not come."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._lost:
                        raise CommandError(f"the log of zone {self._lost} cannot be followed", NO)
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise CommandError(f"within {timeout_s:g} s there was no {what}", NO) from None

    async def until_answered(self, tickets: Sequence[tuple[str, int]], *, timeout_s: float = 45.0) -> None:
        """Wait for the outcomes of (zone, ticket); raises CommandError that counts those that did not come."""
        missing = set(tickets)

        def answered() -> bool:
            missing.difference_update([one for one in missing if one in self.answers])
            return not missing

        try:
            await self.until(answered, "outcome", timeout_s=timeout_s)
        except CommandError:
            named = ", ".join(f"{zone}:{ticket}" for zone, ticket in sorted(missing)[:5])
            raise CommandError(f"{len(missing)} units have no outcome after {timeout_s:g} s: {named}", NO) from None

    def owner_of(self, zone: str, pod: str) -> str:
        """The instance that the last claim of a pod names."""
        claims = [row.event for row in self.log if row.event.zone == zone and row.event.key == f"pod.{pod}"]
        return next((event.owner for event in reversed(claims) if event.type is EventType.CLAIMED and event.owner), "")

    def pod_of(self, zone: str, key: str) -> str | None:
        """Where the last event of a resource says that it is."""
        return next(
            (row.event.pod for row in reversed(self.log) if (row.event.zone, row.event.key) == (zone, key)), None
        )

    def since(self, position: int, zone: str) -> list[Logged]:
        """What the log of a zone says behind a position."""
        return [row for row in self.log if row.event.zone == zone and row.position > position]

    def position(self, zone: str) -> int:
        """The last position read of a zone's log."""
        return max((row.position for row in self.log if row.event.zone == zone), default=0)

    def _take(self, stored: Stored) -> None:
        event = Event.model_validate_json(stored.data)
        row = Logged(stored.position, stored.time_s, event)
        self.log.append(row)
        if event.is_outcome and event.ticket is not None:
            self.answers.setdefault((event.zone, event.ticket), event)
            self.outcomes[event.type.value] += 1
        self.told(row)
        self._changed.set()

    def _lose(self, zone: str) -> None:
        self._lost = zone
        self._changed.set()


def _silent(_row: Logged) -> None:
    pass


def now_s() -> float:
    """Unix seconds, as the server stamps what it stores on the same machine."""
    return time.time()
