"""A reader on the in-memory bus: each message once, in order; when the connection is back it goes on where it was."""

from collections.abc import Callable

from treeward.bus.interface import Since, Start, Stored
from treeward.simulation.link import Link
from treeward.simulation.server import BusServer
from treeward.simulation.streams import Consumer


class SimulatedReader:
    """Reads one stream through one filter until closed; made by `SimulatedBus.read`."""

    def __init__(
        self,
        server: BusServer,
        link: Link,
        stream: str,
        subject_filter: str,
        start: int | Start | Since,
        deliver: Callable[[Stored], None],
        *,
        on_lost: Callable[[], None],
        on_caught_up: Callable[[], None] | None,
        purged_is_fine: bool,
    ) -> None:
        self.position = 0
        self._server = server
        self._link = link
        self._stream = server.streams[stream]
        self._filter = subject_filter
        self._opening: Start | Since | None = None if isinstance(start, int) else start
        self._never_lost = start is Start.NEW or isinstance(start, Since)
        self._deliver = deliver
        self._on_lost = on_lost
        self._on_caught_up = on_caught_up
        self._purged_is_fine = purged_is_fine
        self._created_s = self._stream.created_s
        self._target = 0
        self._consumer: Consumer | None = None
        self._paused = False
        self._kept: list[Stored] = []
        self._closed = False
        self._covered = start - 1 if isinstance(start, int) else 0
        self._first_time = True

    def begin(self) -> None:
        """Ask the server for a consumer."""
        stream = self._stream
        if self._opening is None:
            self._covered = max(self._covered, stream.first - 1)
        elif self._opening is Start.NEW:
            self._covered = stream.last
            self._opening = None
        self.position = self._covered
        last = stream.last_matching(self._filter)
        self._target = last.position if last is not None else 0
        self._link.listeners.append(self._change)
        self._link.up(self._make_consumer)

    def pause(self) -> None:
        """Deliver no more until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        kept, self._kept = self._kept, []
        for stored in kept:
            self._receive(stored)

    async def close(self) -> None:
        """Deliver nothing from now on."""
        self._end()

    def _end(self) -> None:
        self._closed = True
        if self._consumer is not None:
            self._stream.end(self._consumer)
        if self._change in self._link.listeners:
            self._link.listeners.remove(self._change)

    def _change(self, connected: bool) -> None:
        """The old consumer is of the old connection; a new one goes on behind what was delivered."""
        if self._consumer is not None:
            self._stream.end(self._consumer)
            self._consumer = None
        if connected:
            self._link.up(self._make_consumer)

    def _renew(self, consumer: Consumer) -> None:
        """The stream was deleted, and the consumer with it."""
        if consumer is self._consumer:
            self._consumer = None
            self._link.up(self._make_consumer)

    def _make_consumer(self) -> None:
        """At the server: check that nothing is missing, then send what there is and what comes."""
        if self._closed or self._consumer is not None:
            return
        waiting = self._server.leaderless.get(self._stream.spec.name)
        if waiting is not None:
            waiting.append(self._make_consumer)
            return
        if self._is_lost():
            self._link.down(self._lose)
            return
        consumer = Consumer(
            self._filter,
            lambda stored: self._link.down(lambda: self._arrive(consumer, stored)),
            lambda: self._link.down(lambda: self._renew(consumer)),
        )
        self._consumer = consumer
        start = self._opening if self._opening is not None else self._covered + 1
        for stored in self._stream.begin(start, consumer):
            consumer.send(stored)
        if self._on_caught_up is not None:
            self._link.down(lambda: self._catch_up(self._target))

    def _is_lost(self) -> bool:
        stream = self._stream
        first_time, self._first_time = self._first_time, False
        anew = stream.created_s != self._created_s or stream.last < self._covered
        if anew and self._never_lost:
            self._created_s, self._covered = stream.created_s, 0
        if self._never_lost or self._opening is not None:
            return False
        return anew or (not first_time and stream.first > self._covered + 1 and not self._purged_is_fine)

    def _arrive(self, consumer: Consumer, stored: Stored) -> None:
        if self._closed or consumer is not self._consumer:
            return
        if self._paused:
            self._kept.append(stored)
        else:
            self._receive(stored)

    def _receive(self, stored: Stored) -> None:
        if self._closed:
            return
        if not isinstance(self._opening, Since) or stored.position > self._covered:
            self.position = self._covered = stored.position
            self._opening = None
            self._deliver(stored)
            self._catch_up(stored.position)

    def _catch_up(self, position: int) -> None:
        if self._on_caught_up is not None and not self._closed and not self._kept and position >= self._target:
            caught_up, self._on_caught_up = self._on_caught_up, None
            caught_up()

    def _lose(self) -> None:
        if not self._closed:
            self._end()
            self._on_lost()
