"""What a dispatcher sends to a process: `tw.mailbox.<zone>.<pod>.<kind>.<id>` (DESIGN section 5, the take rule)."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from treeward.schemas.events import Outcome


class Mark(BaseModel):
    """The outcome that a process is to report for a unit that it has not started."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    outcome: Outcome
    reason: str


class Message(BaseModel):
    """A unit of work on its way into a mailbox, which may be lost, doubled or late; see the take rule."""

    model_config = ConfigDict(extra="ignore")

    epoch: int = Field(description="of the owner that it is meant for")
    life: int
    ticket: int
    previous: int = Field(description="the highest lower ticket of the resource without an outcome; 0: none")
    seen: int = Field(default=0, description="position of the resource's last event that the dispatcher had read")
    released: int = Field(default=0, description="the highest `release` of this resource that was read")
    attempts: int = Field(default=0, description="earlier lives in which this unit was called without an answer")
    mark: Mark | None = None
    operation: str = ""
    spec: dict[str, Any] | None = None
    deadline_s: float | None = Field(default=None, description="Unix time; bounds the start")
    steers: int | None = Field(default=None, description="said no more: nobody reads it, but version 1 keeps it")
    reallocate: bool = Field(default=False, description="recovery policy of the unit: move instead of waiting")
    amended: int = Field(default=0, description="the highest `amend` of this unit that its policies are from")
    reason: str | None = None
    trace: str | None = Field(default=None, description="traceparent of the dispatch")
    sent_s: float = Field(default=0.0, description="Unix time at which it was sent")

    def amend(self, other: "Message") -> None:
        """Take over what another copy of the unit knows: its mark, which stays, and later policies."""
        if self.mark is None:
            self.mark = other.mark
        if other.amended > self.amended:
            self.amended, self.deadline_s, self.reallocate = other.amended, other.deadline_s, other.reallocate
