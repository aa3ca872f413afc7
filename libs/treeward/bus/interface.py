"""What the services see of the bus, so that the same loops run on NATS and on the simulation's in-memory bus.

Everything that happens per unit is a plain callback, never a task: `deliver` of a reader, `done` of an append. A
callback must not block and must not raise; an exception out of one ends the program (crash: a supervisor exists).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from treeward.schemas.streams import Retention


class Stored(NamedTuple):
    """A message of a stream: `position` is its sequence there, `time_s` (Unix seconds) when the server stored it."""

    position: int
    subject: str
    data: bytes
    headers: Mapping[str, str] | None
    time_s: float


class Draft(NamedTuple):
    """A message that is to be appended."""

    subject: str
    data: bytes
    headers: Mapping[str, str] | None = None
    never_expires: bool = False
    """`Nats-TTL: never`: kept beyond the stream's maximum age (claims)."""


class Guard(NamedTuple):
    """`Nats-Expected-Last-Subject-Sequence` of any subject: refuse unless `subject`'s last sequence is `position`."""

    subject: str
    position: int


class Refused(NamedTuple):
    """The server did not store it, and will not: for a stale claim the code is 10071."""

    code: int
    description: str

    @property
    def fenced(self) -> bool:
        """Whether the guard refused it: another owner has been claimed."""
        return self.code == 10071


class InDoubt(NamedTuple):
    """No answer came, and repeating with the same message id did not settle it: it may or may not be stored."""

    reason: str


AppendResult = int | Refused | InDoubt
"""The position at which the (last) draft was stored, or why there is none."""


class Start(Enum):
    """Where a reader begins when not at a position."""

    NEW = "new"
    LAST_PER_SUBJECT = "last_per_subject"


class Since(NamedTuple):
    """Where a reader begins: at the first message stored at or after this time. Like NEW it is never lost."""

    time_s: float


class StreamState(NamedTuple):
    """What a stream's leader says of it."""

    first: int
    last: int
    messages: int
    created_s: float
    replicas: int
    majority_age_s: float = 0.0
    """How long ago its leader last heard from enough others to be a majority: large, if it is cut off from them."""


class Receipt(NamedTuple):
    """JetStream's answer to a submit: `ticket` is the sequence in the zone's WORK stream."""

    stream: str
    ticket: int
    duplicate: bool


class Reader(Protocol):
    """A consumer of one stream that gives each message once, in order and without gaps, until closed."""

    @property
    def position(self) -> int:
        """Position of the last message delivered; what it began after, before the first."""
        ...

    def pause(self) -> None:
        """Ask for no more until `resume`; what is on its way is still delivered."""
        ...

    def resume(self) -> None:
        """Ask again."""
        ...

    async def close(self) -> None:
        """Deliver nothing from now on."""
        ...


class Appender(Protocol):
    """Appends to one stream under one guard, in order, batching by itself what waits while one is in flight."""

    def append(self, drafts: Sequence[Draft], done: Callable[[AppendResult], None]) -> None:
        """Append `drafts` together; `done` is called exactly once, of calls for one resource in their order.

        Of several drafts readers see all, or the first ones only, never a later without an earlier one.
        Calls for one resource (the subject of the first draft without its last token) are stored in their order or,
        from the first that is not, not at all: of two outcomes the later never stands alone (PROTOCOL H16).
        After the first Refused or InDoubt every later one, also those already waiting, gets the same: an owner that was
        refused does not reason. The result is the position of the last draft; the earlier ones need not be adjacent.
        """
        ...

    def close(self) -> None:
        """Forget what waits; `done` of it is never called."""
        ...


class Subscription(Protocol):
    """A core subscription."""

    async def close(self) -> None:
        """Deliver nothing from now on."""
        ...


class Bus(Protocol):
    """One connection. Reconnects without end; only `close` ends it."""

    @property
    def connected(self) -> bool:
        """Whether the server can be reached now (readiness, not liveness)."""
        ...

    async def close(self) -> None:
        """Flush what can be flushed within a bounded time and end the connection. Never raises."""
        ...

    async def provision(self, zone: str, retention: Retention) -> tuple[str, ...]:
        """Make what is missing of a zone's streams and return the names made; repeating is harmless.

        Raises StreamDiffersError if one exists with other settings: nothing is changed or deleted, except that a
        mailbox gets the copies that it lacks as soon as there are servers for them.
        """
        ...

    async def make_mailbox_anew(self, zone: str, retention: Retention) -> None:
        """Delete a zone's mailbox stream with all that is in it, and make it again, empty: it is all sent again.

        With one copy, if there are not enough servers now for more. Repeating is harmless; cancelled in between, there
        is none, and `provision` makes it. Raises BusUnavailableError.
        """
        ...

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
    ) -> Reader:
        """Read `stream` from position `start` on (>= 1; or Start, or Since), one wildcard filter.

        `on_lost`: the stream no longer has the next position (aged out, or the stream was made anew), except for
        positions below the stream's first at the very start, and except where the caller passed Start.NEW or Since.
        The reader is closed then.
        `on_caught_up`: once, when everything that was stored when the reader began has been delivered.
        `purged_is_fine`: what is missing below the stream's first position is no loss (WORK: it was answered; a
        bucket: it was replaced by something later).
        Raises NoSuchZoneError (no such stream) and BusUnavailableError.
        """
        ...

    def appender(self, stream: str, guard: Guard) -> Appender:
        """An appender for an owner's events."""
        ...

    async def append_expecting(self, stream: str, draft: Draft, *, subject: str, position: int) -> AppendResult:
        """Append one message if the last sequence of `subject` is `position` (0: none): a contended claim."""
        ...

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Core publish: may be lost, never waits, never raises. Dropped while disconnected."""
        ...

    async def submit(
        self,
        subject: str,
        data: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        message_id: str | None = None,
        timeout_s: float = 5.0,
    ) -> Receipt:
        """Publish into a WORK stream and wait for the receipt; repeats with one message id when the answer is lost.

        Raises NoSuchZoneError (no stream takes the subject), SubmitRefusedError (the stream said no) and
        BusUnavailableError (no answer in time: it may be stored; a repeat with the same `message_id` is safe).
        """
        ...

    async def last(self, stream: str, subject_filter: str, *, at_least: int = 0) -> Stored | None:
        """The last message on a subject or wildcard, from a replica that has position `at_least`; None: there is none.

        Raises NoSuchZoneError (no such stream), BusUnavailableError (also if no replica has got that far in time).
        """
        ...

    async def get(self, stream: str, position: int) -> Stored | None:
        """The message at a position; None if it is gone."""
        ...

    async def state(self, stream: str) -> StreamState | None:
        """What the stream's leader says; None: there is no such stream."""
        ...

    async def purge(self, stream: str, *, below: int, subject: str | None = None) -> None:
        """Remove everything below position `below`, or only what is on `subject`. Repeating is harmless."""
        ...

    async def subscribe(
        self, subject: str, deliver: Callable[[str, bytes, Mapping[str, str] | None], None]
    ) -> Subscription:
        """Core subscription; `deliver(subject, data, headers)`."""
        ...

    async def serve(self, subject: str, answer: Callable[[str, bytes], Awaitable[bytes]]) -> Subscription:
        """Answer requests on a subject."""
        ...

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes | None:
        """Ask; None if nobody listens or nobody answered in time."""
        ...

    def on_connection(self, changed: Callable[[bool], None]) -> Subscription:
        """Call `changed(connected)` whenever the connection is lost or back, until what is returned is closed."""
        ...


class BusError(Exception):
    """Something about the bus; the branches say who recovers."""


class BusUnavailableError(BusError):
    """The server did not answer in time; the client retries, then crashes. With a message id a repeat is safe."""


class NoSuchZoneError(BusError):
    """No such stream: nobody has defined that zone. Nothing was stored; the sender corrects the address."""


class SubmitRefusedError(BusError):
    """The stream refused the message (for example it is full); nothing was stored."""


class StreamDiffersError(BusError):
    """A stream exists with other settings than wanted; nothing was changed. The message lists each difference."""
