"""What owners append to the log: one model for every event type (DESIGN section 4).

The last event of a resource says all that a reader needs about it, so every event carries the whole of its state.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from treeward.schemas.policies import OnDrift


class Outcome(StrEnum):
    """How a unit of work was answered. Anything but `completed` never takes effect afterwards."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


class EventType(StrEnum):
    """What an event says; the last token of its subject."""

    CLAIMED = "claimed"
    PLACED = "placed"
    READY = "ready"
    CRASHED = "crashed"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    LEAVING = "leaving"
    """It is about to be taken off its device for a move; if `handed_off` does not come, it is made again there."""
    HANDED_OFF = "handed_off"
    FORGOTTEN = "forgotten"
    DRIFTED = "drifted"
    """Its device was changed by others; with `removed`: they took it away, and that is accepted."""
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"


OUTCOMES = frozenset(outcome.value for outcome in Outcome)


class Verdict(StrEnum):
    """What is known of a unit whose process ended before it was answered."""

    NOT_STARTED = "not_started"
    MAYBE_STARTED = "maybe_started"
    DONE = "done"


class DeviceOutcome(BaseModel):
    """What a device remembers of a ticket that it answered."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    ticket: int = Field(ge=0)
    applied: bool
    reason: str | None = None


class Drift(BaseModel):
    """What others have made of a resource: its device reports this, and no unit of work has asked for it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    exists: bool
    definition: dict[str, Any] | None = Field(
        default=None, description="what the device reports instead of the event's definition; none: nothing exists"
    )
    since: datetime = Field(description="when it was found")
    policy: OnDrift = Field(
        description="what is done about it; `restore`: a unit of work is to; `accept`: it is desired from now on"
    )
    answered: int = Field(default=0, ge=0, description="the last ticket answered when it was last reported")


class Event(BaseModel):
    """One entry of the log. Its position is the stream's sequence and is not in the body."""

    model_config = ConfigDict(extra="ignore")

    type: EventType
    zone: str
    kind: str
    id: str
    life: int = Field(
        ge=0, description="the life in which it was appended; an event that begins a life names the one it ends"
    )
    answered: int = Field(
        default=0, ge=0, description="the last ticket answered for this resource, this event included"
    )
    at: datetime
    pod: str | None = Field(default=None, description="none: unplaced")
    host: str | None = None
    definition: dict[str, Any] | None = Field(
        default=None, description="the spec as of `answered`; none: nothing exists"
    )
    reserves: dict[str, Any] | None = Field(
        default=None, description="while placed and nothing exists: the spec that the place is kept for"
    )
    ticket: int | None = Field(default=None, description="the unit answered, or the one in hand")
    operation: str | None = Field(default=None, description="the operation of that unit")
    attempts: int = Field(
        default=0,
        ge=0,
        description="lives in which the unit in hand was called without an answer; in a zone's claim: 1 if the"
        " owner before had asked for help",
    )
    verdict: Verdict | None = Field(default=None, description="of the unit in hand")
    flushed: list[int] = Field(
        default_factory=list, description="`crashed`: the tickets that waited behind it, all not_started"
    )
    removed: bool = Field(
        default=False, description="nothing exists any more; the address goes back to the zone supervisor"
    )
    last: DeviceOutcome | None = Field(
        default=None, description="`handed_off`: the device's last ticket; none: it answered none"
    )
    recent: tuple[DeviceOutcome, ...] = Field(
        default=(),
        description="with `last`: what the device remembers of tickets before it that were not answered, oldest first",
    )
    last_unknown: bool = Field(
        default=False, description="`handed_off` after the device was isolated: its last ticket is unknown"
    )
    in_doubt: int = Field(
        default=0,
        ge=0,
        description="what leaves a device that was isolated: so many of the units that come next, and are neither "
        "remembered nor steering, may have been started there; each is answered `failed`",
    )
    in_doubt_to: int = Field(
        default=0, ge=0, description="none above this ticket is in doubt, it was submitted later; 0: that is not known"
    )
    ahead: int = Field(
        default=1,
        ge=1,
        description="of a pod: how many units of one resource its owners, from the first on, may have called at most "
        "before an outcome was stored (`ahead_max`, as its zone's supervisors had it)",
    )
    existed: bool = Field(
        default=False, description="`handed_off`: whether the object existed; to be made at the next place"
    )
    moved: int = Field(default=0, ge=0, description="the ticket for which it was last moved to another host")
    left: str | None = Field(
        default=None,
        description="`handed_off`: the host that it left, whose room is kept until it is placed; "
        "`placed`: it was let go of there, since that host was isolated, and there is no other place",
    )
    left_pod: str | None = Field(default=None, description="`handed_off`: the pod of that host")
    to: str | None = Field(default=None, description="`leaving`, `handed_off`: the host that is kept for it")
    emptied: bool = Field(
        default=False, description="`handed_off`: its old device holds nothing of it; else it stays with that device"
    )
    tried: tuple[str, ...] = Field(
        default=(),
        description="while a unit moves what existed: the host that it left first, then those that would not make it",
    )
    draining: bool = Field(default=False, description="hosts, pods: nothing new is placed there, what is there moves")
    isolated: bool = Field(
        default=False, description="hosts, pods: fenced; nothing acts there any more, and what was there is let go"
    )
    paused: bool = False
    quarantined: bool = False
    released: int = Field(default=0, ge=0, description="the highest `release` ticket that the process has obeyed")
    policies: dict[str, Any] | None = Field(
        default=None, description="what its definition and `configure` set: restarts, order, drift; none: nothing"
    )
    reason: str | None = None
    observed: dict[str, Any] | None = Field(default=None, description="the state that the device last reported")
    drift: Drift | None = Field(
        default=None, description="how the device differs from `definition`; none: it does not, as far as is known"
    )
    epoch: int | None = Field(default=None, description="pods and zones: the epoch of their owner")
    owner: str | None = Field(default=None, description="pods and zones: the instance that the claim names")

    @property
    def key(self) -> str:
        """`<kind>.<id>`."""
        return f"{self.kind}.{self.id}"

    def remembered(self, ticket: int) -> DeviceOutcome | None:
        """What the device that it left remembers of a ticket."""
        if self.last is not None and self.last.ticket == ticket:
            return self.last
        return next((known for known in self.recent if known.ticket == ticket), None)

    def may_have_begun(self, ticket: int) -> bool:
        """Whether a unit that comes next may have been started at a device that can tell nothing of it any more."""
        return self.in_doubt > 0 and (self.in_doubt_to == 0 or ticket <= self.in_doubt_to)

    @property
    def tells_of_up_to(self) -> int | None:
        """The highest ticket that its old device has told of, or that is in doubt; None: nobody knows which that is."""
        if self.in_doubt and not self.in_doubt_to:
            return None
        told = self.last.ticket if self.last is not None else 0
        return max(told, self.in_doubt_to)

    @property
    def is_outcome(self) -> bool:
        """Whether it answers its ticket."""
        return self.type in OUTCOMES
