"""How the owner of a pod asks the zone's owner for a place before it lets something go, on `tw.owner.place`.

Internal to the services, which may run in different versions for a while: readers ignore what they do not know.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PlaceAsked(BaseModel):
    """Where could this go, and is the place kept for it?"""

    model_config = ConfigDict(extra="ignore")

    key: str
    ticket: int = Field(description="the unit for which it is to move")
    leaves: str | None = Field(default=None, description="the host that it is on")
    host: str | None = Field(default=None, description="the host that it is wanted on; none: any other")
    definition: dict[str, Any] | None = None
    tried: tuple[str, ...] = Field(default=(), description="hosts that are only to be named if nothing else fits")


class PlaceSaid(BaseModel):
    """The place that is kept for it for a while; with neither host nor reason: ask again."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    host: str | None = None
    empties: bool = Field(default=False, description="the place is another device: the old one is to be emptied first")
    again: bool = Field(default=False, description="nothing fits but what was tried before")
    reason: str | None = Field(default=None, description="why there is no place")
