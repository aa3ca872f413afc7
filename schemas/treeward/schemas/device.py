"""The device protocol: lines of JSON over TCP or a Unix socket, many in flight (DESIGN section 7, PROTOCOL table 4).

Every request carries a number, `seq`, that its answer repeats; answers may come in any order. A server keeps, for each
address and for longer than the object, the highest life accepted with its owner and the last tickets that it answered
(one, or as many as it says: `Answer.remembers`), each with its outcome; it checks and acts in one step.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Request(BaseModel):
    model_config = ConfigDict(extra="ignore")

    seq: int = Field(ge=0, description="chosen by the client, unique on its connection, repeated in the answer")
    zone: str
    kind: str
    id: str


class Synchronize(_Request):
    """Make `life` the highest one, and tell the record and what exists.

    After its answer no call of a lower life takes effect.
    """

    verb: Literal["synchronize"] = "synchronize"
    life: int = Field(ge=0)
    owner: str
    host: str | None = Field(default=None, description="where the resource belongs")
    definition: dict[str, Any] | None = Field(
        default=None,
        description="make this if nothing exists and nothing was called in this life: it existed where it came from",
    )
    absent: bool = Field(
        default=False, description="make sure that nothing of it is held here any more (a move to another device)"
    )


class Call(_Request):
    """Carry out one unit of work, at most once for each ticket.

    Operation `isolate` of a host: until the host is destroyed no call takes effect on what is on it (ADR 14).
    """

    verb: Literal["call"] = "call"
    life: int = Field(ge=0)
    owner: str
    ticket: int = Field(ge=1)
    operation: str
    spec: dict[str, Any] | None = None
    host: str | None = None
    trace: str | None = Field(default=None, description="traceparent")


class Observe(_Request):
    """Tell what exists and the record, without a fence and without changing anything."""

    verb: Literal["observe"] = "observe"


class Isolate(_Request):
    """Open an isolated host again, by a person's hand (`undo`). To isolate one is a call: this verb is then refused."""

    verb: Literal["isolate"] = "isolate"
    undo: bool = False


class Ping(BaseModel):
    """Answer at once, whatever is in progress: tells a slow device from a dead connection. Any answer to it will do."""

    model_config = ConfigDict(extra="ignore")

    verb: Literal["ping"] = "ping"
    seq: int = Field(ge=0)


Request = Annotated[Synchronize | Call | Observe | Isolate | Ping, Field(discriminator="verb")]
REQUEST: TypeAdapter[Synchronize | Call | Observe | Isolate | Ping] = TypeAdapter(Request)


class Status(StrEnum):
    """The first thing to read in an answer."""

    OK = "ok"
    """synchronize, observe, isolate, ping: done."""
    APPLIED = "applied"
    """call: it has taken effect, now or when this ticket was called before."""
    REFUSED = "refused"
    """call: the device is unchanged and remembers the refusal; `reason` says why."""
    FAILED = "failed"
    """call: it ended halfway and is not remembered; what it left behind is in `reason`. The caller's process crashes.
    synchronize: the life is accepted, but what existed elsewhere could not be made or moved here; `reason` says why."""
    FENCED = "fenced"
    """The life is lower than the highest, or equal and of another owner: the caller must stop.
    `high` and `owner` say who won."""
    OLDER = "older"
    """call: the ticket is lower than the last one answered, and not remembered (or no longer)."""
    BUSY = "busy"
    """The life would rise while a call is in progress, or another ticket is in progress: ask again."""
    UNREACHABLE = "unreachable"
    """What stands behind the address (its host) does not answer; nothing was done."""
    INVALID = "invalid"
    """The request cannot be read; `reason` names the field."""


class Remembered(BaseModel):
    """What one ticket was answered, as the device remembers it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ticket: int = Field(ge=1)
    applied: bool = Field(description="whether it was applied (else refused)")
    reason: str | None = Field(default=None, description="why it was refused")


class Answer(BaseModel):
    """What a device says. Fields that do not apply to the verb are absent."""

    model_config = ConfigDict(extra="ignore")

    seq: int
    status: Status
    reason: str | None = None
    high: int = Field(default=0, description="highest life accepted for the address")
    owner: str | None = Field(default=None, description="the owner of that life")
    last: int = Field(default=0, description="last ticket answered; 0: none")
    last_applied: bool = Field(default=False, description="whether that ticket was applied (else refused)")
    last_reason: str | None = Field(default=None, description="why it was refused")
    remembers: int = Field(
        default=1,
        ge=1,
        description="synchronize, observe: how many of the tickets answered last the device remembers with their "
        "outcomes, for longer than the object; 1: `last` alone. The owner of the address calls at most so many units "
        "whose outcomes are not stored yet",
    )
    recent: list[Remembered] = Field(
        default_factory=list,
        description="synchronize, observe: the tickets remembered besides `last`, oldest first",
    )
    begun: int = Field(
        default=0, description="highest ticket whose call ever began; above `last`: ended halfway, or in progress"
    )
    exists: bool = False
    definition: dict[str, Any] | None = Field(
        default=None, description="the spec of what exists, as applied calls made it"
    )
    observed: dict[str, Any] | None = Field(default=None, description="the state of what exists, host included")
    isolated: bool = Field(
        default=False,
        description="of a host: it is isolated. Of what is on one, with `unreachable`: the host was isolated, so "
        "nothing below this life takes effect there any more; `high` equal to the life that was asked for says that "
        "the record was kept elsewhere and is told here",
    )
