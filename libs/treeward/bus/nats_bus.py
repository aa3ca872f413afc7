"""The bus on NATS JetStream: `interface.Bus`, put together from its parts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from treeward.bus.appender import GuardedAppender
from treeward.bus.connection import API_PREFIX, HEADROOM_BYTES, Connection, Credentials, end_program
from treeward.bus.interface import (
    AppendResult,
    Draft,
    Guard,
    Receipt,
    Since,
    Start,
    Stored,
    StreamState,
    SubmitRefusedError,
)
from treeward.bus.provision import make_mailbox_anew, provision
from treeward.bus.reader import StreamReader
from treeward.bus.requests import Requests
from treeward.bus.streams import Streams
from treeward.bus.submit import submit
from treeward.bus.wire import parse_headers
from treeward.schemas.streams import Retention

SERVED_MAX: Final = 256
"""Requests that one subscription answers at the same time; further ones go unanswered."""

logger = logging.getLogger(__name__)


class _Subscription:
    """A core subscription."""

    def __init__(self, connection: Connection, sid: int) -> None:
        self._connection = connection
        self._sid = sid

    async def close(self) -> None:
        """Deliver nothing from now on."""
        self._connection.unsubscribe(self._sid)


class _Listening:
    """Somebody who is told whether there is a connection."""

    def __init__(self, connection: Connection, changed: Callable[[bool], None]) -> None:
        self._connection = connection
        self._changed = changed

    async def close(self) -> None:
        """Tell nothing from now on."""
        self._connection.forget_change(self._changed)


class NatsBus:
    """One connection to NATS and everything that goes over it; made by `connect`, ended by `close`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.requests = Requests(connection)
        self.streams = Streams(self.requests)

    @classmethod
    async def connect(
        cls,
        servers: str | Sequence[str],
        *,
        name: str = "treeward",
        inbox_prefix: str = "_INBOX",
        api_prefix: str = API_PREFIX,
        credentials: Credentials | None = None,
        timeout_s: float | None = None,
        crash: Callable[[BaseException], None] = end_program,
    ) -> "NatsBus":
        """Connect to the first server that answers, trying without end or for `timeout_s` seconds.

        Raises BusUnavailableError when the time is over. `crash` is told of an exception out of a callback; the
        default ends the program.
        """
        connection = Connection(inbox_prefix, crash, api_prefix)
        await connection.connect(servers, name=name, credentials=credentials or Credentials(), timeout_s=timeout_s)
        return cls(connection)

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now."""
        return self.connection.connected

    @property
    def counts(self) -> Mapping[str, int]:
        """What happened since the start: `lost` and `cut` links, `violations` of permissions, `dropped` messages."""
        return self.connection.counts

    @property
    def violation(self) -> str | None:
        """What the server did not permit since the link was made; None: nothing. Denials reach nobody else."""
        return self.connection.violation or None

    async def close(self) -> None:
        """Flush what can be flushed within 2 s and end the connection. Never raises."""
        await self.connection.close()

    async def provision(self, zone: str, retention: Retention) -> tuple[str, ...]:
        """Make what is missing of a zone's streams; see `treeward.bus.provision`."""
        return await provision(self, zone, retention, add_copies=True)

    async def make_mailbox_anew(self, zone: str, retention: Retention) -> None:
        """Delete a zone's mailbox stream and make it again, empty; see `treeward.bus.provision`."""
        await make_mailbox_anew(self, zone, retention)

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
    ) -> StreamReader:
        """Read a stream in order and without gaps; see `interface.Bus.read`."""
        reader = StreamReader(
            self.connection,
            self.streams,
            stream,
            subject_filter,
            deliver,
            on_lost=on_lost,
            on_caught_up=on_caught_up,
            purged_is_fine=purged_is_fine,
        )
        await reader.begin(start)
        return reader

    def appender(self, stream: str, guard: Guard) -> GuardedAppender:
        """An appender for an owner's events."""
        return GuardedAppender(self.connection, self.requests, self.streams, stream, guard)

    async def append_expecting(self, stream: str, draft: Draft, *, subject: str, position: int) -> AppendResult:
        """Append one message if the last sequence of `subject` is `position`. Cancelled, it may be stored or not."""
        future: asyncio.Future[AppendResult] = asyncio.get_running_loop().create_future()
        appender = self.appender(stream, Guard(subject, position))
        try:
            appender.append([draft], future.set_result)
            return await future
        finally:
            appender.close()

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Core publish: dropped while disconnected, or if it is larger than the server takes."""
        if len(data) + HEADROOM_BYTES > self.connection.payload_bytes_max:
            self.connection.counts["dropped"] += 1
            return
        self.connection.publish(subject, data, headers)

    async def submit(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        timeout_s: float = 5.0,
    ) -> Receipt:
        """Publish into a WORK stream and return its receipt; see `interface.Bus.submit`."""
        if len(data) + HEADROOM_BYTES > self.connection.payload_bytes_max:
            raise SubmitRefusedError(f"{subject}: {len(data)} bytes are more than the server takes")
        return await submit(
            self.requests, self.streams, subject, data, headers=headers, message_id=message_id, timeout_s=timeout_s
        )

    async def last(self, stream: str, subject_filter: str, *, at_least: int = 0) -> Stored | None:
        """The last message on a subject or wildcard; see `interface.Bus.last`."""
        return await self.streams.last(stream, subject_filter, at_least=at_least)

    async def get(self, stream: str, position: int) -> Stored | None:
        """The message at a position; None if it is gone."""
        return await self.streams.get(stream, position)

    async def state(self, stream: str) -> StreamState | None:
        """What the stream's leader says; None: there is no such stream."""
        return await self.streams.state(stream)

    async def purge(self, stream: str, *, below: int, subject: str | None = None) -> None:
        """Remove everything below position `below`, or only what is on `subject`. Repeating is harmless."""
        await self.streams.purge(stream, below=below, subject=subject)

    async def subscribe(
        self, subject: str, deliver: Callable[[str, bytes, Mapping[str, str] | None], None]
    ) -> _Subscription:
        """Core subscription; `deliver(subject, data, headers)`."""

        def receive(subject: str, _reply: bytes, data: bytes, header_block: bytes | None) -> None:
            deliver(subject, data, parse_headers(header_block))

        return _Subscription(self.connection, self.connection.subscribe(subject, receive))

    async def serve(self, subject: str, answer: Callable[[str, bytes], Awaitable[bytes]]) -> _Subscription:
        """Answer requests on a subject, up to 256 at a time."""
        in_hand = 0

        async def reply_to(subject: str, reply: str, data: bytes) -> None:
            nonlocal in_hand
            in_hand += 1
            try:
                self.publish(reply, await answer(subject, data))
            finally:
                in_hand -= 1

        def receive(subject: str, reply: bytes, data: bytes, _header_block: bytes | None) -> None:
            if reply and in_hand < SERVED_MAX:
                self.connection.spawn(reply_to(subject, reply.decode(), data))
            else:
                logger.warning("a request goes unanswered", extra={"subject": subject, "in_hand": in_hand})

        return _Subscription(self.connection, self.connection.subscribe(subject, receive))

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes | None:
        """Ask; None if nobody listens or nobody answered in time."""
        answer = await self.requests.ask(subject, data, timeout_s=timeout_s)
        return None if answer is None or answer.status else answer.data

    def on_connection(self, changed: Callable[[bool], None]) -> "_Listening":
        """Call `changed(connected)` whenever the connection is lost or back, until what is returned is closed."""
        self.connection.on_change(changed)
        return _Listening(self.connection, changed)
