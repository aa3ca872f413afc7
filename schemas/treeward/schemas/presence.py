"""The heartbeat of an instance: `tw.presence.<service>.<instance>` (DESIGN section 4, who claims for whom)."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Service = Literal["orchestrator", "zone-supervisor", "pod-agent"]


class Holding(BaseModel):
    """A branch that the instance acts for, and the position of the claim that made it the owner."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    branch: str = Field(description="`<zone>` for a zone (also `root`), `<zone>.<pod>` for a pod")
    epoch: int = Field(ge=1, description="position of the claim in the zone's log")
    escalated: str | None = Field(default=None, description="nothing it does helps its children, and why")
    out_of_reach: bool = Field(default=False, description="escalated: nothing answers; another instance may reach it")


class Heartbeat(BaseModel):
    """What an instance says of itself every 250 ms."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    service: Service
    instance: str = Field(description="unique for each run of a program")
    name: str = Field(description="the configured name, the same after a restart")
    zone: str | None = Field(default=None, description="the zone it serves; none: any")
    labels: dict[str, str] = Field(default_factory=dict)
    capacity: int = Field(default=0, ge=0, description="branches that it can take at most; 0: no bound")
    holds: list[Holding] = Field(default_factory=list)
    leaving: bool = Field(default=False, description="it is shutting down: claim its branches for others")
    version: str = ""


class ClosedClient(BaseModel):
    """Of whom a server reports."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    name: str = Field(default="", description="what the client called itself: an instance calls itself by its name")


class Closed(BaseModel):
    """What a NATS server says of a connection that has ended, in its system account (`$SYS.ACCOUNT.*.DISCONNECT`)."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    client: ClosedClient
    reason: str = ""
