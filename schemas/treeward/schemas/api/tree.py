"""`tw.api.tree`: who supervises whom, and what is placed where."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from treeward.schemas.api.parts import ApiAnswer, ApiRequest, Counts, ProcessState, Silent


class TreeRequest(ApiRequest):
    """`tw.api.tree.<zone>`: the supervision tree of a zone; of `root`, its owner and the zones."""

    pod: str | None = Field(default=None, description="only this pod")


class Owner(ApiAnswer):
    """Who acts for a branch, and whether it is there."""

    instance: str | None = Field(default=None, description="none: nobody has been claimed for")
    epoch: int = 0
    since: datetime | None = None
    name: str | None = Field(default=None, description="the configured name, from its heartbeat")
    presence: Literal["present", "silent", "leaving", "unknown"] = "unknown"
    heard_s: float | None = Field(default=None, description="seconds since its last heartbeat")


class Capacity(ApiAnswer):
    """What a host offers, or what has been given away of it."""

    cpus: float = 0.0
    memory_mib: int = 0
    gpus: float = 0.0
    disk_gib: int = 0


class _Branch(ApiAnswer):
    """How a branch below a zone is supervised and steered."""

    id: str
    state: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    draining: bool = False
    labels: dict[str, str] = Field(default_factory=dict)


class HostBranch(_Branch):
    """A host and how many resources are placed on it."""

    capacity: Capacity = Field(default_factory=Capacity)
    used: Capacity = Field(default_factory=Capacity)
    counts: Counts = Field(default_factory=dict)


class PodBranch(_Branch):
    """A pod, its owner and its hosts."""

    device: str | None = None
    owner: Owner = Field(default_factory=Owner)
    hosts: list[HostBranch] = Field(default_factory=list)
    counts: Counts = Field(default_factory=dict, description="what is placed in the pod, but on no host of it")


class TreeAnswer(ApiAnswer):
    """A zone, or root."""

    zone: str
    labels: dict[str, str] = Field(default_factory=dict)
    state: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    draining: bool = False
    owner: Owner = Field(default_factory=Owner)
    zones: list[str] = Field(default_factory=list, description="of root: the zones that are defined")
    pods: list[PodBranch] = Field(default_factory=list)
    unplaced: Counts = Field(default_factory=dict, description="what has no pod; `waiting`: has units that wait")
    queued_units: int = Field(default=0, description="units of the zone without an outcome")
    limits: dict[str, float] = Field(
        default_factory=dict, description="settings that decisions follow, of who answers: `suspicion_s` and so on"
    )
    complete: bool = Field(default=True, description="false: the zone has more resources than one question counts")
    position: int = Field(default=0, description="of the log up to which this was read")
    silent: Silent = Field(default_factory=list)
