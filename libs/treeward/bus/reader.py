"""A reader: every message of a stream once, in order and without gaps, whatever happens to server and link.

It keeps nothing at the server but an ephemeral consumer without acknowledgements, in memory, and trusts that consumer
only while its sequence numbers are contiguous. In doubt (a gap, a lost link, silence, a deleted consumer) it drops the
consumer and makes a new one behind the last position it knows, on a subject of its own, so that nothing of the old one
can come in between. A pull is a plain publish that asks for many messages; it is topped up when half of it is used.

The covered position is what the reader knows to have seen or to be of no interest: the last delivered, or a higher one
that the consumer says it has looked at. It makes a reader of a rare subject survive the ageing of the rest.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from nats.nuid import NUID

from treeward.bus.connection import Connection
from treeward.bus.interface import BusError, BusUnavailableError, NoSuchZoneError, Since, Start, Stored, StreamState
from treeward.bus.requests import STREAM_NOT_FOUND, api_error
from treeward.bus.streams import Streams
from treeward.bus.wire import LazyHeaders, parse_delivery, parse_headers, parse_status

CREDIT: Final = 512
"""Messages that may be on their way: at 64 KiB each still less than the server holds for a slow client (64 MiB)."""
PULL_S: Final = 60.0
HEARTBEAT_S: Final = 1.0
SILENCE_S: Final = 3.0
"""Without message or heartbeat for so long the consumer is taken for dead."""
INACTIVE_S: Final = 15.0
"""The server forgets a consumer that nobody has pulled from for so long."""
RETRY_S: Final = 0.25
logger = logging.getLogger(__name__)
_NS: Final = 1_000_000_000
_RETURNED: Final = frozenset({404, 408})


class StreamReader:
    """Reads one stream through one filter until closed; made by `NatsBus.read`."""

    def __init__(
        self,
        connection: Connection,
        streams: Streams,
        stream: str,
        subject_filter: str,
        deliver: Callable[[Stored], None],
        *,
        on_lost: Callable[[], None],
        on_caught_up: Callable[[], None] | None,
        purged_is_fine: bool,
    ) -> None:
        self.position = 0
        self._connection = connection
        self._streams = streams
        self._stream = stream
        self._filter = subject_filter
        self._deliver = deliver
        self._on_lost = on_lost
        self._on_caught_up = on_caught_up
        self._purged_is_fine = purged_is_fine
        self._never_lost = False
        self._opening: dict[str, Any] | None = None
        """How the first consumer begins, if not at a position; after the first message everything behind it will do."""
        self._covered = 0
        self._created_s = 0.0
        self._target = 0
        """Position of the last message that must be delivered before we have caught up."""
        self._consumer = ""
        self._sid: int | None = None
        self._sequence = 0
        self._credit = 0
        self._heard_s = 0.0
        self._silent = False
        self._paused = False
        self._paused_at_s = 0.0
        self._closed = False
        self._renewed_s = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._ticker: int | None = None

    async def begin(self, start: int | Start | Since) -> None:
        """Make the first consumer; raises NoSuchZoneError or BusUnavailableError."""
        state = await self._state()
        self._created_s = state.created_s
        if self._on_caught_up is not None:
            last = await self._streams.leader_get(self._stream, {"last_by_subj": self._filter})
            self._target = 0 if last is None else last.position
        if start is Start.NEW:
            self._never_lost = True
            self._covered = state.last
        elif start is Start.LAST_PER_SUBJECT:
            self._opening = {"deliver_policy": "last_per_subject"}
        elif isinstance(start, Since):
            self._never_lost = True
            # A float of seconds is coarser than the server's clock: rather a message too many than one too few.
            at = datetime.fromtimestamp(start.time_s - 1e-6, UTC).isoformat()
            self._opening = {"deliver_policy": "by_start_time", "opt_start_time": at}
        else:
            assert isinstance(start, int)
            self._covered = max(start, state.first, 1) - 1
        self.position = self._covered
        if state.last < self._covered:
            asyncio.get_running_loop().call_soon(self._lose)
            return
        await self._make_consumer()
        self._connection.on_change(self._change)
        self._ticker = self._connection.every_tick(self._tick)
        if self._covered >= self._target:
            asyncio.get_running_loop().call_soon(self._catch_up)

    # The interface

    def pause(self) -> None:
        """Ask for no more until `resume`; what is on its way is still delivered."""
        self._paused = True
        self._paused_at_s = asyncio.get_running_loop().time()

    def resume(self) -> None:
        """Ask again; after a longer pause behind a check that nothing has aged out meanwhile."""
        if self._paused:
            self._paused = False
            if asyncio.get_running_loop().time() - self._paused_at_s > SILENCE_S:
                self._renew()
            else:
                self._pull()

    async def close(self) -> None:
        """Deliver nothing from now on."""
        self._close()

    # Messages

    def _receive(self, subject: str, reply: bytes, data: bytes, header_block: bytes | None) -> None:
        self._silent = False
        if not reply:
            self._receive_status(header_block)
            return
        position, sequence, time_ns = parse_delivery(reply)
        if sequence != self._sequence + 1:
            self._renew()
            return
        self._sequence = sequence
        self._credit -= 1
        self.position = self._covered = position
        self._opening = None
        headers = LazyHeaders(header_block) if header_block else None
        self._deliver(Stored(position, subject, data, headers, time_ns / _NS))
        if self._credit <= CREDIT // 2 and not self._paused:
            self._pull()
        if self._on_caught_up is not None and position >= self._target:
            self._catch_up()

    def _receive_status(self, header_block: bytes | None) -> None:
        status, description = parse_status(header_block)
        headers = parse_headers(header_block) or {}
        if status == 100:
            if int(headers.get("Nats-Last-Consumer", self._sequence)) != self._sequence:
                self._renew()  # what we miss was sent before this heartbeat
                return
            self._covered = max(self._covered, int(headers.get("Nats-Last-Stream", 0)))
            self._opening = None
            if self._on_caught_up is not None and self._covered >= self._target:
                self._catch_up()
        elif status in _RETURNED or (status == 409 and "Nats-Pending-Messages" in headers and not _is_end(description)):
            self._credit -= int(headers.get("Nats-Pending-Messages", self._credit))
            self._pull()
        else:
            self._renew()

    def _pull(self) -> None:
        if self._closed or self._paused or self._renewal is not None or not self._consumer:
            return
        wanted = CREDIT - self._credit
        if wanted <= 0:
            return
        pull = f'{{"batch":{wanted},"expires":{int(PULL_S * _NS)},"idle_heartbeat":{int(HEARTBEAT_S * _NS)}}}'
        subject = f"{self._connection.api_prefix}.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        if self._connection.publish(subject, pull.encode(), reply=self._inbox):
            self._credit += wanted

    def _catch_up(self) -> None:
        caught_up, self._on_caught_up = self._on_caught_up, None
        if caught_up is not None and not self._closed:
            caught_up()

    # Doubt

    def _change(self, connected: bool) -> None:
        self._drop_consumer()
        if connected:
            self._renew()

    def _tick(self, now_s: float) -> None:
        if not self._silent:
            self._silent, self._heard_s = True, now_s
        elif self._credit == 0:
            self._pull()  # an earlier pull may have been dropped
        elif self._renewal is None and now_s - self._heard_s > SILENCE_S:
            self._renew()

    def _drop_consumer(self) -> None:
        if self._sid is not None:
            self._connection.unsubscribe(self._sid)
        self._sid, self._consumer, self._credit = None, "", 0

    def _renew(self) -> None:
        """Go on with a new consumer behind the covered position, as soon as the server lets us."""
        self._drop_consumer()
        if not self._closed and self._renewal is None and self._connection.connected:
            self._renewal = self._connection.spawn(self._run_renewal())

    async def _run_renewal(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.sleep(max(0.0, self._renewed_s + RETRY_S - loop.time()))
            self._renewed_s = loop.time()
            if self._is_lost(await self._state()):
                self._lose()
                return
            await self._make_consumer()
        except BusError as error:  # the stream may be about to be made, or its leader elected
            logger.info("no reader yet", extra={"stream": self._stream, "error": str(error)})
        finally:
            self._renewal = None
        if self._consumer:
            self._pull()
        else:
            self._renew()

    def _is_lost(self, state: StreamState) -> bool:
        """Whether the next position is gone for good. A reader that wanted news only takes what there is instead."""
        anew = state.created_s != self._created_s or state.last < self._covered
        if anew and self._never_lost:
            self._created_s, self._covered = state.created_s, 0
        if self._never_lost or self._opening is not None:
            return False
        return anew or (state.first > self._covered + 1 and not self._purged_is_fine)

    def _lose(self) -> None:
        self._close()
        self._on_lost()

    def _close(self) -> None:
        self._closed = True
        self._drop_consumer()
        self._connection.forget_change(self._change)
        if self._ticker is not None:
            self._connection.forget_tick(self._ticker)

    # The consumer

    @property
    def _inbox(self) -> str:
        return f"{self._connection.inbox}.r.{self._consumer}"

    async def _state(self) -> StreamState:
        state = await self._streams.state(self._stream)
        if state is None:
            raise NoSuchZoneError(f"no stream {self._stream}")
        return state

    async def _make_consumer(self) -> None:
        """Make a consumer behind the covered position and pull from it."""
        name = NUID().next().decode()
        config: dict[str, Any] = {
            "name": name,
            "ack_policy": "none",
            "replay_policy": "instant",
            "mem_storage": True,
            "num_replicas": 1,
            "filter_subject": self._filter,
            "inactive_threshold": int(INACTIVE_S * _NS),
        }
        config |= self._opening or {"deliver_policy": "by_start_sequence", "opt_start_seq": self._covered + 1}
        reply = await self._streams.api(
            f"CONSUMER.CREATE.{self._stream}.{name}.{self._filter}",
            {"stream_name": self._stream, "config": config, "action": "create"},
        )
        if (error := api_error(reply)) is not None:
            if error.code == STREAM_NOT_FOUND:
                raise NoSuchZoneError(f"no stream {self._stream}")
            raise BusUnavailableError(f"no consumer of {self._stream}: {error.description} ({error.code})")
        if self._closed or not self._connection.connected:
            return
        self._consumer, self._sequence, self._credit, self._silent = name, 0, 0, False
        self._sid = self._connection.subscribe(self._inbox, self._receive)
        if self._renewal is None:
            self._pull()


def _is_end(description: str) -> bool:
    """Whether a 409 says that the consumer is gone, not only this pull."""
    return any(word in description for word in ("Consumer Deleted", "Leadership Change", "Server Shutdown"))
