"""`tw.api.work`: what has no outcome yet, for those who may have to do something about it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from treeward.schemas.api.parts import ApiAnswer, ApiRequest, Key, Limit, Silent
from treeward.schemas.api.queued import QueuedUnit


class WorkState(StrEnum):
    """Where an unanswered unit is, for those who may have to do something about it."""

    WAITING = "waiting"
    """It has not been started: it can still be cancelled, superseded or amended."""
    RUNNING = "running"
    """Its process has it in hand."""
    IN_DOUBT = "in_doubt"
    """It was called, and nobody knows yet whether it took effect."""


class WorkRequest(ApiRequest):
    """`tw.api.work.<zone>`: the units without an outcome, of a resource, a pod, a host or the zone, in pages."""

    key: Key | None = None
    pod: str | None = Field(default=None, description="only of what is placed in this pod")
    host: str | None = Field(default=None, description="only of what is placed on this host")
    state: WorkState | None = Field(default=None, description="only units in this state")
    beyond: str = ""
    limit: Limit = 100


class WorkUnit(QueuedUnit):
    """A unit without an outcome, and where it is."""

    kind: str
    id: str
    pod: str | None = None
    host: str | None = None
    state: WorkState
    since: datetime | None = Field(default=None, description="when it was accepted, taken in hand or called")


class WorkAnswer(ApiAnswer):
    """One page; it may be empty and not the last."""

    units: list[WorkUnit] = Field(description="by resource, in ticket order; of each resource the first 100")
    units_in_all: int = Field(description="of the zone; while the dispatcher is silent, at most so many")
    silent: Silent = Field(default_factory=list)
    next: str | None = Field(default=None, description="`beyond` of the next page; none: this was the last")
