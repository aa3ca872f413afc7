"""`tw.api.state`: what is known of one resource, or of all of a zone."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from treeward.schemas.api.parts import ApiAnswer, ApiRequest, Key, Limit, ProcessState, Silent
from treeward.schemas.api.queued import QueuedUnit
from treeward.schemas.events import Drift, EventType, Verdict


class StateRequest(ApiRequest):
    """`tw.api.state.<zone>`: one resource (`key`), or all of the zone in order of their keys, in pages."""

    key: Key | None = None
    kind: str | None = Field(default=None, description="only this kind; without `key`")
    pod: str | None = Field(default=None, description="only what is placed in this pod; without `key`")
    beyond: str = Field(default="", description="only keys greater than this one: `next` of the page before")
    limit: Limit = 100


class Doubt(ApiAnswer):
    """A unit that was called and not answered: while it stands, `definition` and `observed` are no facts."""

    ticket: int
    operation: str | None = None
    verdict: Verdict | None = Field(default=None, description="none: it is in hand now")
    attempts: int = Field(default=0, description="lives in which it was called without an answer")
    since: datetime | None = None


class ResourceState(ApiAnswer):
    """What is known of one resource, since when and from where."""

    zone: str
    kind: str
    id: str
    exists: bool = Field(description="as of `answered`; no fact while in doubt")
    definition: dict[str, Any] | None = Field(default=None, description="desired: the spec as of `answered`")
    observed: dict[str, Any] | None = Field(default=None, description="the state that the device last reported")
    policies: dict[str, Any] | None = Field(
        default=None, description="what its definition and `configure` set; what it does not say its branches do"
    )
    process: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    pod: str | None = Field(default=None, description="none: unplaced")
    host: str | None = None
    owner: str | None = Field(default=None, description="the instance that acts for its pod; while unplaced, its zone")
    epoch: int | None = Field(default=None, description="of that owner")
    life: int = 0
    answered: int = Field(default=0, description="the last ticket answered")
    event: EventType | None = Field(default=None, description="type of its last event; none: it has none")
    position: int = Field(default=0, description="of that event in the log; 0: it has none")
    at: datetime | None = Field(default=None, description="when that event was stored")
    age_s: float | None = Field(default=None, ge=0, description="seconds since that event was stored")
    source: Literal["log", "bucket"] = Field(default="log", description="`bucket`: the log no longer has the event")
    doubt: Doubt | None = None
    drift: Drift | None = Field(
        default=None, description="how the device was found to differ from `definition`, changed by others"
    )
    reason: str | None = Field(default=None, description="of its last event")
    queued: list[QueuedUnit] = Field(default_factory=list, description="unanswered units by ticket, the first 100")
    queued_units: int = Field(default=0, description="how many there are in all")
    silent: Silent = Field(default_factory=list)


class StateAnswer(ApiAnswer):
    """One page. A resource that the zone has never heard of is left out."""

    resources: list[ResourceState]
    next: str | None = Field(default=None, description="`beyond` of the next page; none: this was the last")
    complete: bool = Field(default=True, description="false: the zone has more than one question reads; name a `key`")
    position: int = Field(default=0, description="of the log up to which this was read")
