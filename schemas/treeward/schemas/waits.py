"""Parts of what `explain` answers: who holds something back, and what its process may still be restarted."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Steered(_Part):
    """A unit by which somebody holds back what is below: a pause or a drain that stands."""

    address: str = Field(description="what was paused or drained: a resource, `<zone>.pod.<id>`, `root.zone.<id>`")
    operation: Literal["pause", "drain"]
    ticket: int | None = Field(default=None, description="of the zone in `address`; none: not known any more")
    since: datetime | None = Field(default=None, description="when it was submitted")
    reason: str | None = Field(default=None, description="why, and who asked for it")


class Budget(_Part):
    """What a process may still be restarted, and the line of its pod."""

    restarts: int = Field(default=0, description="crashes within the period")
    restarts_max: int | None = None
    restart_period_s: float | None = None
    line_place: int | None = Field(default=None, description="how many stand before it to be restarted; none: no line")
    line_of: int = 0
    restarts_per_s: float | None = None


class Help(_Part):
    """A supervisor that cannot help what is below it, and has asked the one above it for help."""

    branch: str = Field(description="whose owner asks: `<zone>.<pod>` asks the zone's owner, `<zone>` asks root's")
    reason: str
    since: datetime | None = Field(default=None, description="when that was first heard")
    claim_at: datetime | None = Field(default=None, description="when it is claimed anew; none: it is not, or unknown")
    quarantine_at: datetime | None = Field(
        default=None, description="when a pod that no claim has helped is quarantined; none: it is not, or unknown"
    )
