"""What a decision asks the outside to do. Values only; the runtime carries them out and reports back."""

from enum import StrEnum
from typing import Any, NamedTuple

from treeward.schemas.events import Event
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceAsked


class Send(NamedTuple):
    """Put a unit into the mailbox of a process: volatile, repeated when it matters."""

    partition: str
    key: str
    message: Message
    submitted_trace: str | None
    """traceparent of the submitter, if it sent one."""
    stored_s: float


class Fetch(NamedTuple):
    """Read the last event of a resource, from a replica that has position `at_least`, and report it."""

    key: str
    at_least: int


class ReadBody(NamedTuple):
    """Read a unit's body from WORK again and report it."""

    ticket: int


class Settled(NamedTuple):
    """A unit's outcome was read: it may leave WORK."""

    ticket: int
    position: int
    event: Event


class Work(NamedTuple):
    """What spans and metrics tell of a unit that was worked on. Unix seconds; 0: it did not come to that."""

    message: Message
    taken_s: float
    called_s: float
    ended_s: float


class Append(NamedTuple):
    """Append events together under the owner's guard and report `token` with the position of the last."""

    events: tuple[Event, ...]
    token: int
    work: Work | None = None
    flushed_traces: tuple[str, ...] = ()


class Synchronize(NamedTuple):
    """Ask the device to accept a life."""

    key: str
    token: int
    life: int
    host: str | None
    definition: dict[str, Any] | None
    absent: bool


class Call(NamedTuple):
    """Ask the device to carry out a unit; repeated until answered or abandoned."""

    key: str
    token: int
    life: int
    host: str | None
    message: Message


class Observe(NamedTuple):
    """Ask the device what exists, without a fence and without changing anything."""

    key: str
    token: int


DeviceRequest = Call | Synchronize | Observe


class AskPlace(NamedTuple):
    """Ask the zone's owner for a place for what is to move, and report what it says."""

    key: str
    token: int
    asked: PlaceAsked


class Abandon(NamedTuple):
    """Nobody waits for the answer of this request any more."""

    token: int


class GiveUp(NamedTuple):
    """The owner has been replaced or is in doubt: it stops, with nothing owned."""

    reason: str
    fenced: bool


class Suspect(NamedTuple):
    """Most of the children failed at once: the supervisor suspects itself, and says so; or asks its parent."""

    failed: int
    reason: str
    escalates: bool


class Cause(StrEnum):
    """Why a branch is claimed, in a word: what a metric tells apart."""

    UNOWNED = "unowned"
    """Nobody was ever claimed for."""
    UNKNOWN = "unknown"
    """Nothing was heard of its owner since its supervisor began."""
    SILENT = "silent"
    DISCONNECTED = "disconnected"
    """A server has reported that its owner's connection is closed."""
    LEAVING = "leaving"
    """Its owner is told to stop: a planned hand-off."""
    IDLE = "idle"
    """Its owner is there and does not act for it."""
    HELPLESS = "helpless"
    """Its owner acts and asks for another."""
    REGAINED = "regained"
    """Its supervisor acts for it itself, and an instance can again."""
    RENEWED = "renewed"
    """It was isolated, paused, drained or configured: its claim is to say so."""
    HANDED_OFF = "handed_off"
    """A person asked for it."""


class ClaimBranch(NamedTuple):
    """Name an instance as the owner of a branch."""

    branch: str
    instance: str
    cause: Cause
    reason: str
    """The same in words."""
    asked: bool = False
    """Its owner has asked for help, and is claimed anew for that; or is named once more, and was claimed for that."""


class Submit(NamedTuple):
    """Submit a unit of work; repeating it with the same message id within the duplicate window changes nothing."""

    key: str
    body: str
    message_id: str


class Provision(NamedTuple):
    """Make the streams of a zone and report it."""

    zone: str


Effect = (
    Send
    | Fetch
    | ReadBody
    | Settled
    | Append
    | Synchronize
    | Call
    | Observe
    | AskPlace
    | Abandon
    | GiveUp
    | Suspect
    | ClaimBranch
    | Submit
    | Provision
)
