"""An event of something that is where it is and has nothing else to say, as a fold of who is where reads it.

Most of a zone's last events are of that kind, a million of them if need be: this reads a quarter of an event's fields,
and what is more than that cannot be read by it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from treeward.schemas.events import EventType


class Standing(BaseModel):
    """An `Event` of something placed that does not leave, is not removed, and does not differ from its definition."""

    model_config = ConfigDict(extra="ignore")

    type: Literal[
        EventType.PLACED,
        EventType.READY,
        EventType.CRASHED,
        EventType.QUARANTINED,
        EventType.RELEASED,
        EventType.COMPLETED,
        EventType.FAILED,
        EventType.CANCELLED,
        EventType.EXPIRED,
        EventType.SUPERSEDED,
        EventType.REJECTED,
    ]
    kind: str
    id: str
    pod: str
    host: str
    definition: dict[str, Any] | None = None
    reserves: dict[str, Any] | None = None
    removed: Literal[False] = False
    drift: None = None
