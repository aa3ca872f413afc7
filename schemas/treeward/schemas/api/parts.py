"""What questions and answers of several endpoints have in common."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

RESOURCES_IN_ANSWER_MAX = 500
"""So that an answer stays well below the bus's largest message of 1 MiB."""

Limit = Annotated[int, Field(ge=1, le=RESOURCES_IN_ANSWER_MAX)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}$", description="`<kind>.<id>`")]
Counts = dict[str, dict[str, int]]
"""How many resources: kind > state of the process (also `paused`, `quarantined`) > number."""

Silent = Annotated[
    list[Literal["dispatcher", "owner"]],
    Field(description="who did not answer within 0.5 s: what only they know is missing"),
]
"""Part of every answer, since the answer is given without them."""


class ApiRequest(BaseModel):
    """A question; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class ApiAnswer(BaseModel):
    """An answer; what comes later may have more fields."""

    model_config = ConfigDict(extra="ignore")


class Problem(ApiAnswer):
    """The question cannot be answered; one sentence that says what to do."""

    error: str


class ProcessState(StrEnum):
    """How far the process of a resource is in its life: what its last event says of it."""

    NONE = "none"
    """Unplaced, and nothing exists: there is no process."""
    INITIALIZED = "initialized"
    READY = "ready"
    CRASHED = "crashed"
