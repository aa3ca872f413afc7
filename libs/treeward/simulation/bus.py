"""One program's connection to the in-memory bus: `interface.Bus`, with what a real connection does to questions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from treeward.bus.interface import (
    AppendResult,
    BusError,
    BusUnavailableError,
    Draft,
    Guard,
    Receipt,
    Since,
    Start,
    Stored,
    StreamState,
)
from treeward.schemas import streams
from treeward.schemas.streams import Retention
from treeward.simulation.appender import SimulatedAppender
from treeward.simulation.link import Link
from treeward.simulation.reader import SimulatedReader
from treeward.simulation.server import EPOCH_S, BusServer, Service, Subscriber, UnansweredError

T = TypeVar("T")
TIMEOUT_S = 5.0
ATTEMPT_S = 1.0
RETRY_S = 0.1


class _Subscription:
    def __init__(self, end: Callable[[], None]) -> None:
        self._end = end

    async def close(self) -> None:
        """Deliver nothing from now on."""
        self._end()


class SimulatedBus:
    """What a program sees of the bus; made by the simulation, dead with its program."""

    def __init__(self, server: BusServer, link: Link, name: str) -> None:
        self.server = server
        self.link = link
        self.name = name
        self._numbers = 0

    @property
    def connected(self) -> bool:
        """Whether the connection is up, as far as the program has noticed."""
        return self.link.connected

    def on_connection(self, changed: Callable[[bool], None]) -> _Subscription:
        """Call `changed(connected)` whenever the connection is lost or back, until what is returned is closed."""
        self.link.listeners.append(changed)
        return _Subscription(lambda: self.link.listeners.remove(changed))

    async def close(self) -> None:
        """End the connection; what was sent before still arrives."""
        self.link.sever()

    async def provision(self, zone: str, retention: Retention) -> tuple[str, ...]:
        """Make what is missing of a zone's streams."""
        return await self._ask(lambda: self.server.provision(zone, retention))

    async def make_mailbox_anew(self, zone: str, _retention: Retention) -> None:
        """Delete a zone's mailbox and make it again, empty."""
        await self._ask(lambda: self.server.make_mailbox_anew(streams.mailbox(zone)))

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
    ) -> SimulatedReader:
        """Read a stream; see `interface.Bus.read`."""
        await self._ask(lambda: self.server.stream(stream))
        reader = SimulatedReader(
            self.server,
            self.link,
            stream,
            subject_filter,
            start,
            deliver,
            on_lost=on_lost,
            on_caught_up=on_caught_up,
            purged_is_fine=purged_is_fine,
        )
        reader.begin()
        return reader

    def appender(self, stream: str, guard: Guard) -> SimulatedAppender:
        """An appender for an owner's events."""
        self._numbers += 1
        return SimulatedAppender(self.server, self.link, stream, guard, f"{self.name}-{self._numbers}")

    async def append_expecting(self, stream: str, draft: Draft, *, subject: str, position: int) -> AppendResult:
        """Append one message if the last sequence of `subject` is `position`."""
        future: asyncio.Future[AppendResult] = asyncio.get_running_loop().create_future()
        appender = self.appender(stream, Guard(subject, position))
        try:
            appender.append([draft], lambda result: None if future.done() else future.set_result(result))
            return await future
        finally:
            appender.close()

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Core publish; dropped while disconnected."""
        if self.link.minority_since_s is not None:
            if self.link.connected:
                self.server.publish_in_minority(subject, data, headers)
        else:
            self.link.up(lambda: self.server.publish(subject, data, headers))

    async def submit(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        timeout_s: float = 5.0,
    ) -> Receipt:
        """Publish into a WORK stream and wait for the receipt, under one message id."""
        self._numbers += 1
        identity = message_id or f"{self.name}-{self._numbers}"
        return await self._ask(
            lambda: self.server.submit(subject, data, headers, identity),
            timeout_s=timeout_s,
            lose_answer=lambda: self.server.trouble.lose_answer,
        )

    async def last(self, stream: str, subject_filter: str, *, at_least: int = 0) -> Stored | None:
        """The last message on a subject or wildcard, from a replica that has position `at_least`.

        A replica that is cut off from the others has of a log what it had then, and says so.
        """
        link = self.link
        if link.minority_since_s is not None and link.connected and stream.startswith("LOG_"):
            found = self.server.stream(stream).last_as_of(subject_filter, link.minority_has.get(stream, 0))
            if at_least == 0 or (found is not None and found.position >= at_least):
                return found
        return await self._ask(lambda: self.server.last(stream, subject_filter, at_least))

    async def get(self, stream: str, position: int) -> Stored | None:
        """The message at a position; None if it is gone."""
        return await self._ask(lambda: self.server.stream(stream).messages.get(position))

    async def state(self, stream: str) -> StreamState | None:
        """What the stream's leader says; None: there is no such stream."""

        def look() -> StreamState | None:
            return self.server.stream(stream).state() if stream in self.server.streams else None

        if self.link.minority_since_s is None or not self.link.connected or stream in self.server.leaderless:
            return await self._ask(look)
        found = look()
        age_s = self.server.now_s() - EPOCH_S - self.link.minority_since_s
        return found._replace(majority_age_s=age_s) if found is not None else None

    async def purge(self, stream: str, *, below: int, subject: str | None = None) -> None:
        """Remove everything below position `below`, or only what is on `subject`."""
        await self._ask(lambda: self.server.purge(stream, below, subject))

    async def subscribe(
        self, subject: str, deliver: Callable[[str, bytes, Mapping[str, str] | None], None]
    ) -> _Subscription:
        """Core subscription."""
        subscriber = Subscriber(subject, self.link, deliver)
        ended = False

        def begin() -> None:
            if not ended:  # else it was taken back while it was on its way
                self.server.subscribers[subscriber] = None

        def back(connected: bool) -> None:
            if connected:
                self.link.up(begin)

        self.link.up(begin)
        self.link.listeners.append(back)

        def end() -> None:
            nonlocal ended
            ended = True
            self.server.subscribers.pop(subscriber, None)
            self.link.listeners.remove(back)

        return _Subscription(end)

    async def serve(self, subject: str, answer: Callable[[str, bytes], Awaitable[bytes]]) -> _Subscription:
        """Answer requests on a subject."""
        service = Service(subject, self.link, answer)
        ended = False

        def begin() -> None:
            if not ended:
                self.server.services[service] = None

        def back(connected: bool) -> None:
            if connected:
                self.link.up(begin)

        self.link.up(begin)
        self.link.listeners.append(back)

        def end() -> None:
            nonlocal ended
            ended = True
            self.server.services.pop(service, None)
            self.link.listeners.remove(back)

        return _Subscription(end)

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes | None:
        """Ask; None if nobody listens or nobody answered in time."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bytes | None] = loop.create_future()

        def resolve(answer: bytes | None) -> None:
            if not future.done():
                future.set_result(answer)

        def arrive() -> None:
            service = next(
                (each for each in self.server.services if each.subject == subject and not each.link.severed), None
            )
            if service is None:
                self.link.down(lambda: resolve(None))
                return

            async def reply() -> None:
                answer = await service.answer(subject, data)
                service.link.up(lambda: self.link.down(lambda: resolve(answer)))

            service.link.down(lambda: _spawn(reply()))

        self.link.up(arrive)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None

    async def _ask(
        self, question: Callable[[], T], *, timeout_s: float = TIMEOUT_S, lose_answer: Callable[[], float] | None = None
    ) -> T:
        """Ask the server until it answers; raises what the question raises, and BusUnavailableError in the end."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + timeout_s
        while (left_s := give_up_s - loop.time()) > 0:
            future: asyncio.Future[T] = loop.create_future()
            self.link.up(lambda future=future: self._answer(question, future, lose_answer))  # type: ignore[misc]
            try:
                async with asyncio.timeout(min(ATTEMPT_S, left_s)):
                    return await future
            except TimeoutError:
                await asyncio.sleep(min(RETRY_S, max(0.0, give_up_s - loop.time())))
        raise BusUnavailableError(f"no answer within {timeout_s} s")

    def _answer(
        self, question: Callable[[], T], future: "asyncio.Future[T]", lose_answer: Callable[[], float] | None
    ) -> None:
        """At the server: answer, or lose the question or the answer."""
        chance, trouble = self.server.chance, self.server.trouble
        if trouble.unavailable and chance.random() < trouble.unavailable:
            return
        try:
            result = question()
        except UnansweredError:
            return
        except BusError as error:
            self.link.down(lambda error=error: None if future.done() else future.set_exception(error))  # type: ignore[misc]
            return
        if lose_answer is not None and chance.random() < lose_answer():
            return
        self.link.down(lambda: None if future.done() else future.set_result(result))


def _spawn(work: Awaitable[None]) -> None:
    async def run() -> None:
        await work

    asyncio.get_running_loop().create_task(run())
