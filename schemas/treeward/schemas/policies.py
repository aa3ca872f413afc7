"""The policies of a resource or branch: how often what crashed is restarted, what supersedes what, what drift means.

Everything can be left out: what a resource does not say its host says, then its pod, then its zone, then the settings.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from treeward.schemas.address import TOKEN_PATTERN

OF_PODS = ("restarts_per_s", "restarts_at_once")
BRANCHES = ("zone", "pod", "host")


class Conflict(StrEnum):
    """What a unit does to those before it that have not started; a unit that says `order` itself has its way."""

    FIFO = "fifo"
    SUPERSEDE = "supersede"
    DESTROY_SUPERSEDES = "destroy_supersedes"


class OnDrift(StrEnum):
    """What is done about a device that others have changed."""

    REPORT = "report"
    RESTORE = "restore"
    ACCEPT = "accept"


Seconds = Annotated[float, Field(gt=0, le=86_400)]
Kind = Annotated[str, Field(pattern=f"^{TOKEN_PATTERN}$")]


class _Policy(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class RestartPolicies(_Policy):
    """How often a process that crashed begins again, and how long it waits before it does."""

    restarts_max: int | None = Field(
        default=None, ge=0, le=10_000, description="restarts within the period; one more and it is quarantined"
    )
    restart_period_s: Seconds | None = None
    backoff_min_s: Seconds | None = Field(default=None, description="before the first restart; doubles, with jitter")
    backoff_max_s: Seconds | None = None


class Policies(RestartPolicies):
    """What `configure` can set, and a topology can declare; in a `configure` null takes a field back."""

    kinds: dict[Kind, RestartPolicies | None] | None = Field(
        default=None, max_length=64, description="of a branch: other restarts for the processes of a kind below it"
    )
    restarts_per_s: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        default=None, description="of a pod or zone: restarts that a pod begins in a second"
    )
    restarts_at_once: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None, description="of a pod or zone: restarts of a pod that may be under way at once"
    )
    order: Conflict | None = Field(default=None, strict=False)
    on_drift: OnDrift | None = Field(default=None, strict=False)

    @model_validator(mode="after")
    def _bounds(self) -> "Policies":
        for each in (self, *(self.kinds or {}).values()):
            if each is None or each.backoff_min_s is None or each.backoff_max_s is None:
                continue
            if each.backoff_min_s > each.backoff_max_s:
                raise ValueError("backoff_min_s must be at most backoff_max_s")
        return self


def misplaced(kind: str, policies: dict[str, Any]) -> str | None:
    """Why policies cannot be those of a resource of this kind; None: they can."""
    if not policies:
        return "names no policy; it has " + ", ".join(Policies.model_fields)
    if kind not in BRANCHES and "kinds" in policies:
        return f"kinds: nothing is below a {kind}; only zones, pods and hosts say what holds for kinds"
    for name in OF_PODS:
        if kind not in ("zone", "pod") and name in policies:
            return f"{name}: is about a pod as a whole; configure the pod or the zone"
    return None
