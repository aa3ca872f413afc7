"""`tw.api.explain`: why a unit or a resource stands where it does."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from treeward.schemas.api.parts import ApiAnswer, ApiRequest, Key, Silent
from treeward.schemas.api.queued import QueuedUnit
from treeward.schemas.api.state import ResourceState
from treeward.schemas.api.tree import Owner
from treeward.schemas.events import Outcome
from treeward.schemas.waits import Budget, Help, Steered


class ExplainRequest(ApiRequest):
    """`tw.api.explain.<zone>`: why a unit (`ticket`) or a resource (`key`) stands there; of both, if they belong."""

    key: Key | None = None
    ticket: int | None = Field(default=None, ge=1)


class Wait(StrEnum):
    """What an unanswered unit waits for."""

    NOTHING = "nothing"
    """It is answered, or about to be sent."""
    QUEUE = "queue"
    """Lower tickets of its resource, or the window."""
    AFTER = "after"
    """Tickets that it names."""
    PAUSE = "pause"
    """A `resume` of the resource, its pod or its zone."""
    QUARANTINE = "quarantine"
    """A `release` by an operator."""
    CREDIT = "credit"
    """Its owner has as much in hand as it takes at once."""
    OWNER = "owner"
    """Nobody acts for its branch, or not yet."""
    ROOM = "room"
    """No host has room for it, or none that it allows."""
    BACK_OFF = "back_off"
    """Its process crashed and is restarted later."""
    BUDGET = "budget"
    """Its process crashed, and its pod restarts others first."""
    DEVICE = "device"
    """The device works on it, is busy, or cannot be reached."""
    HAND_OFF = "hand_off"
    """Its resource moves, or the old device cannot say what became of it."""


class ExplainAnswer(ApiAnswer):
    """Why, in sentences for people, and the facts behind them for programs."""

    zone: str
    kind: str
    id: str
    ticket: int | None = None
    outcome: Outcome | None = Field(default=None, description="of the ticket; none: it is unanswered")
    waits_for: Wait = Wait.NOTHING
    sentences: list[str] = Field(description="in the order in which one would tell it; never empty")
    unit: QueuedUnit | None = None
    behind: list[int] = Field(default_factory=list, description="unanswered tickets before it, the first 100")
    since: datetime | None = Field(default=None, description="since when it waits for that")
    next: str | None = Field(default=None, description="what has to happen before it goes on")
    next_at: datetime | None = Field(default=None, description="when, if that is known")
    steered: list[Steered] = Field(default_factory=list, description="by whom it is held, and why")
    budget: Budget | None = None
    help: list[Help] = Field(default_factory=list, description="which supervisors above it have asked theirs for help")
    state: ResourceState | None = None
    owner: Owner | None = Field(default=None, description="the supervisor that answers for its process")
    owner_says: dict[str, Any] | None = Field(default=None, description="what it has in hand; none: no answer in time")
    silent: Silent = Field(default_factory=list)
