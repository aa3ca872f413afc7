"""`tw.api.queued`: what has no outcome yet, by resource."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from treeward.schemas.api.parts import ApiAnswer, ApiRequest, Key, Limit, Silent
from treeward.schemas.events import Outcome


class Stage(StrEnum):
    """Where an unanswered unit is."""

    QUEUED = "queued"
    """In WORK behind something else of its own resource, or beyond the window."""
    HELD = "held"
    """In WORK until something else happens: `after`, a pause."""
    SENT = "sent"
    """In the mailbox of its process, as far as the dispatcher knows."""
    IN_HAND = "in_hand"
    """The owner says that its process works on it."""


class QueuedUnit(ApiAnswer):
    """A unit without an outcome."""

    ticket: int
    operation: str
    stage: Stage = Stage.QUEUED
    submitted_at: datetime | None = None
    deadline: datetime | None = None
    after: list[int] = Field(default_factory=list, description="tickets it still waits for")
    mark: Outcome | None = Field(default=None, description="the outcome decided for it, not yet appended")
    attempts: int = 0
    tenant: str | None = None
    reason: str | None = Field(default=None, description="as submitted")


class QueuedRequest(ApiRequest):
    """`tw.api.queued.<zone>`: what has no outcome yet, by resource in order of their keys, in pages."""

    key: Key | None = None
    beyond: str = ""
    limit: Limit = 100


class ResourceQueue(ApiAnswer):
    """The unanswered units of one resource, in ticket order."""

    kind: str
    id: str
    pod: str | None = None
    units: list[QueuedUnit] = Field(description="the first 100")
    units_in_all: int


class QueuedAnswer(ApiAnswer):
    """One page."""

    resources: list[ResourceQueue]
    units_in_all: int = Field(description="of the zone; while the dispatcher is silent, at most so many")
    silent: Silent = Field(default_factory=list)
    next: str | None = Field(default=None, description="`beyond` of the next page; none: this was the last")
