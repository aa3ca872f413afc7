"""The topology file of `treeward apply`: zones, their pods, the hosts of those (docs/cli.md).

Names are keys, so that none can be there twice, and each entry holds what the `create` of that kind takes as its spec.
"""

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from treeward.schemas.address import RESERVED
from treeward.schemas.policies import Policies
from treeward.schemas.specs import Device, HostSpec, Labels, Mebibytes, NotNegative, PodSpec, Positive, Token, ZoneSpec


def _free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"must not be {name!r}, which is reserved")
    return name


BranchName = Annotated[Token, AfterValidator(_free)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TopologyHost(_Part):
    """A host and what it can carry."""

    cpus: Positive
    memory_mib: Mebibytes
    gpus: NotNegative = 0.0
    disk_gib: Annotated[int, Field(ge=0, le=2**30)] = 0
    labels: Labels = Field(default_factory=dict)
    policies: Policies | None = None

    def spec(self, pod: str) -> HostSpec:
        """What its `create` says."""
        return HostSpec(pod=pod, **self.model_dump(exclude={"policies"}), policies=self.policies)


class TopologyPod(_Part):
    """A pod, and the device that its agent speaks to."""

    labels: Labels = Field(default_factory=dict)
    device: Device | None = Field(
        default=None, description="tcp://HOST:PORT or unix:///PATH; none: what the agent is set to"
    )
    policies: Policies | None = None
    hosts: dict[Token, TopologyHost] = Field(default_factory=dict)

    def spec(self) -> PodSpec:
        """What its `create` says."""
        return PodSpec(labels=self.labels, device=self.device, policies=self.policies)


class TopologyZone(_Part):
    """A zone with its pods. A host's name is unique in its zone, since its address does not name the pod."""

    labels: Labels = Field(default_factory=dict)
    policies: Policies | None = None
    pods: dict[BranchName, TopologyPod] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _hosts_are_unique(self) -> Self:
        pod_of: dict[str, str] = {}
        for pod_name, pod in self.pods.items():
            for host in pod.hosts:
                if host in pod_of:
                    raise ValueError(f"host {host!r} is in pods {pod_of[host]} and {pod_name}; a zone has it once")
                pod_of[host] = pod_name
        return self

    def spec(self) -> ZoneSpec:
        """What its `create` says."""
        return ZoneSpec(labels=self.labels, policies=self.policies)


class Topology(_Part):
    """All that should exist of zones, pods and hosts. What it does not name is left alone."""

    zones: dict[BranchName, TopologyZone] = Field(min_length=1)
