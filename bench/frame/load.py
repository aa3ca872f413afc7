"""The client: submits units and waits for their outcomes, as an outside program does.

Two loads. `closed`: a number of units in flight on each resource, the next as soon as one is answered, as fast as it
goes. `open_`: at a rate, whatever happens; latencies then count from when a unit was due (see `histogram`).
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bench.frame.histogram import Schedule
from bench.frame.wire import Wire

QUIET_S = 30.0
CREATE = b'{"operation":"create","spec":{"cpus":0.001,"memory_mib":1}}'
CHANGE = b'{"operation":"resize","spec":{"memory_mib":1}}'
OUTCOMES = (b"completed", b"failed", b"cancelled", b"expired", b"superseded", b"rejected")


class StuckError(Exception):
    """No unit was answered for a long time."""


@dataclass(slots=True)
class Window:
    """What happened in one stretch of time."""

    seconds: float
    units: int
    latencies_s: list[float]

    @property
    def per_s(self) -> float:
        return self.units / self.seconds


@dataclass(slots=True)
class Client:
    """One connection that submits to one zone; `submit` and `event` are the prefixes of its subjects."""

    wire: Wire
    submit: str
    event: str
    latencies_s: list[float] = field(default_factory=list)
    outcomes: dict[bytes, int] = field(default_factory=dict)
    receipts: int = 0
    submitted: int = 0
    answered: int = 0
    refused: list[bytes] = field(default_factory=list)
    keep_latencies: bool = True
    on_outcome: Callable[[bytes, float], None] | None = None
    """Told the id of each resource that was answered, and when."""
    _pending: dict[bytes, deque[float]] = field(default_factory=dict)
    _inbox: str = ""

    _numbers = itertools.count(1)

    @classmethod
    async def connect(cls, url: str, zone: str, *, floor: bool = False) -> "Client":
        """A client of a zone, or of the floor."""
        wire = await Wire.connect(url)
        if floor:
            client = cls(wire, "floor.work.", "floor.event.*.*")
        else:
            client = cls(wire, f"tw.work.{zone}.vm.", f"tw.event.{zone}.vm.*.*")
        client._inbox = f"_INBOX.bench-{id(client)}-{next(cls._numbers)}"
        wire.subscribe(client._inbox, client._receipt)
        wire.subscribe(client.event, client._event)
        return client

    def send(self, name: str, body: bytes, due_s: float) -> None:
        """Submit a unit that was due at this time."""
        self.submitted += 1
        key = name.encode()
        queue = self._pending.get(key)
        if queue is None:
            queue = self._pending[key] = deque()
        queue.append(due_s)
        self.wire.publish(self.submit + name, body, self._inbox)

    def _receipt(self, _subject: bytes, _reply: bytes, data: bytes) -> None:
        self.receipts += 1
        if b'"error"' in data or not data:
            self.refused.append(data)

    def _event(self, subject: bytes, _reply: bytes, _data: bytes) -> None:
        _, name, type_ = subject.rsplit(b".", 2)
        if type_ not in OUTCOMES:
            return
        now_s = perf_counter()
        queue = self._pending.get(name)
        if not queue:
            return  # of a unit that another client submitted
        self.answered += 1
        self.outcomes[type_] = self.outcomes.get(type_, 0) + 1
        due_s = queue.popleft()
        if self.keep_latencies:
            self.latencies_s.append(now_s - due_s)
        if self.on_outcome is not None:
            self.on_outcome(name, now_s)

    def close(self) -> None:
        self.wire.close()

    def check(self) -> None:
        """Every unit has its receipt and was completed; raises AssertionError."""
        assert not self.refused, self.refused[:3]
        assert self.receipts == self.submitted == self.answered, (self.receipts, self.submitted, self.answered)
        assert set(self.outcomes) <= {b"completed"}, self.outcomes

    # --- loads ---------------------------------------------------------------------------------------------------

    async def each(self, names: Iterable[str], body: bytes, in_flight: int = 2000) -> float:
        """One unit for each of these resources, so many at once; returns the seconds it took."""
        begun_s = perf_counter()
        waiting = iter(names)
        before = self.on_outcome

        def send_next(_name: bytes = b"", now_s: float = begun_s) -> None:
            name = next(waiting, None)
            if name is not None:
                self.send(name, body, now_s)

        self.on_outcome = send_next
        for _ in range(in_flight):
            send_next()
        await self.settled()
        self.on_outcome = before
        return perf_counter() - begun_s

    async def closed(
        self, names: Sequence[str], body: bytes, seconds: float, *, depth: int = 1, settle_s: float = 0.5
    ) -> Window:
        """As fast as it goes: `depth` units in flight on each resource; counts what is answered after `settle_s`."""
        begin_s = perf_counter() + settle_s
        end_s = begin_s + seconds
        first = last = 0
        self.latencies_s = []

        def again(name: bytes, now_s: float) -> None:
            nonlocal first, last
            if now_s < begin_s:
                first = self.answered
            elif now_s < end_s:
                last = self.answered
            if now_s < end_s:
                self.send(name.decode(), body, now_s)

        self.on_outcome = again
        begun_s, before = perf_counter(), self.answered
        for _ in range(depth):
            for name in names:
                self.send(name, body, perf_counter())
        await self.settled()
        self.on_outcome = None
        if last - first > depth * len(names):
            return Window(seconds, last - first, self.latencies_s)
        # Too slow for a window: everything counts, from the first submit to the last answer.
        return Window(perf_counter() - begun_s, self.answered - before, self.latencies_s)

    async def open_(self, names: Iterable[str], body: bytes, per_s: float, count: int) -> Window:
        """At a rate: `count` units, one for each name in turn (an endless iterable of names)."""
        begun_s = perf_counter()
        schedule = Schedule(begun_s, per_s, count)
        following = iter(names)
        self.latencies_s = []
        while not schedule.over:
            for due_s in schedule.due(perf_counter()):
                self.send(next(following), body, due_s)
            await asyncio.sleep(0.001)
        await self.settled()
        return Window(perf_counter() - begun_s, count, self.latencies_s)

    async def settled(self, quiet_s: float = QUIET_S) -> None:
        """Return when every unit submitted has been answered; raises StuckError after a long silence."""
        seen, quiet_since_s = -1, perf_counter()
        while self.answered < self.submitted or self.receipts < self.submitted:
            assert not self.refused, self.refused[:3]
            assert not self.wire.lost.done(), "the connection to NATS was lost"
            if self.answered + self.receipts != seen:
                seen, quiet_since_s = self.answered + self.receipts, perf_counter()
            elif perf_counter() - quiet_since_s > quiet_s:
                raise StuckError(f"{self.submitted - self.answered} units are not answered")
            await asyncio.sleep(0.002)


def ids(count: int, prefix: str = "v") -> list[str]:
    """Names of resources."""
    return [f"{prefix}{number}" for number in range(count)]
