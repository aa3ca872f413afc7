"""What each kind of resource can be asked, and what has to be said with it: operations and their specs."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from treeward.schemas import address
from treeward.schemas.policies import Policies

Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Mebibytes = Annotated[int, Field(gt=0, le=2**40)]
Gibibytes = Annotated[int, Field(gt=0, le=2**30)]
Token = Annotated[str, Field(pattern=f"^{address.TOKEN_PATTERN}$")]
Labels = Annotated[dict[Token, Annotated[str, Field(max_length=256)]], Field(max_length=64)]


class OnFailure(StrEnum):
    """What becomes of a unit whose process crashed with it in hand."""

    WAIT = "wait"
    REALLOCATE = "reallocate"
    FAIL = "fail"


class Spec(BaseModel):
    """A spec of a known kind: unknown fields are typos."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Spec):
    """An operation without parameters."""


class ZoneSpec(Spec):
    """A zone: a failure domain with streams, log and supervisors of its own."""

    labels: Labels = Field(default_factory=dict)
    policies: Policies | None = None


DEVICE_PATTERN = r"^(tcp://[^\s/]+:[0-9]{1,5}|unix:///\S+)$"
Device = Annotated[str, Field(pattern=DEVICE_PATTERN, max_length=512)]


class PodSpec(Spec):
    """A pod: hosts with one owner."""

    labels: Labels = Field(default_factory=dict)
    device: Device | None = Field(
        default=None, description="tcp://HOST:PORT or unix:///PATH; none: what the agent is set to"
    )
    policies: Policies | None = None


class HostSpec(Spec):
    """A host in a pod, and what it can carry."""

    pod: Token
    cpus: Positive
    memory_mib: Mebibytes
    gpus: NotNegative = 0.0
    disk_gib: Annotated[int, Field(ge=0, le=2**30)] = 0
    labels: Labels = Field(default_factory=dict)
    policies: Policies | None = None


class AntiAffinitySpec(Spec):
    """Members of one group are not placed on one host, or in one pod."""

    group: Token
    domain: Literal["host", "pod"] = "host"
    required: bool = Field(
        default=True, description="a rule, also for members that do not require it; false: only a preference"
    )


class VmSpec(Spec):
    """A virtual machine. The last fields steer where it is placed."""

    cpus: Positive = 1.0
    memory_mib: Mebibytes = 512
    gpus: NotNegative = 0.0
    running: bool = True
    requires: Labels = Field(default_factory=dict, description="labels that the host must have")
    spread: Token | None = Field(
        default=None, description="VMs of one spread group are kept apart: other pods first, then other hosts"
    )
    anti_affinity: AntiAffinitySpec | None = None


class VolumeSpec(Spec):
    """A volume."""

    size_gib: Gibibytes
    requires: Labels = Field(default_factory=dict)


class NetworkSpec(Spec):
    """A network."""

    cidr: Annotated[str, Field(max_length=64)] | None = None
    requires: Labels = Field(default_factory=dict)


class ResizeVm(Spec):
    """New sizes; what is absent stays."""

    cpus: Positive | None = None
    memory_mib: Mebibytes | None = None
    gpus: NotNegative | None = None


class ResizeVolume(Spec):
    """A volume grows; it never shrinks."""

    size_gib: Gibibytes


class ResizeHost(Spec):
    """New capacities; what is absent stays."""

    cpus: Positive | None = None
    memory_mib: Mebibytes | None = None
    gpus: NotNegative | None = None
    disk_gib: Annotated[int, Field(ge=0, le=2**30)] | None = None


class AttachSpec(Spec):
    """The VM, by its id, of the same zone."""

    vm: Token


class MigrateSpec(Spec):
    """Where to; none: wherever it fits."""

    host: Token | None = None
    leave: Token | None = Field(default=None, description="only if it is on this host; elsewhere it has moved already")


class RestoreSpec(Spec):
    """What is to exist again. Superseded if anything was answered for the resource since ticket `answered`."""

    definition: dict[str, Any]
    answered: Annotated[int, Field(ge=0)]


def _written_time(value: object) -> object:
    """Numbers are times to pydantic, and to nobody who reads them."""
    if isinstance(value, datetime) or (isinstance(value, str) and "-" in value[1:] and value[:1].isdigit()):
        return value
    raise ValueError("must be a time with its zone as in RFC 3339, for example 2030-01-31T12:00:00Z")


WrittenTime = Annotated[AwareDatetime, BeforeValidator(_written_time)]


class AmendSpec(Spec):
    """The policies of a unit that waits; what is absent stays, a deadline of null is none any more."""

    on_failure: OnFailure | None = Field(default=None, strict=False)
    attempts_max: int | None = Field(default=None, ge=1, le=1000)
    deadline: WrittenTime | None = Field(default=None, strict=False, description="RFC 3339 with zone; null: none")
    order: Literal["supersede"] | None = Field(
        default=None, description="it supersedes what has not started before it; there is no way back"
    )


STEERING: dict[str, type[BaseModel]] = {
    "cancel": Nothing, "retry": Nothing, "amend": AmendSpec, "pause": Nothing, "resume": Nothing, "release": Nothing,
    "drain": Nothing, "configure": Policies,
}  # fmt: skip
"""Operations that every kind has: they are about units and processes, not about the device."""

NOT_FOR_THE_DEVICE = frozenset({*STEERING, "migrate"})
"""Operations that are completed without a call under their own ticket."""

OPERATIONS: dict[str, dict[str, type[Spec]]] = {
    "zone": {"create": ZoneSpec, "destroy": Nothing},
    "pod": {"create": PodSpec, "destroy": Nothing, "isolate": Nothing},
    "host": {
        "create": HostSpec, "destroy": Nothing, "resize": ResizeHost, "isolate": Nothing,
        "restore": RestoreSpec,
    },
    "vm": {
        "create": VmSpec, "destroy": Nothing, "start": Nothing, "stop": Nothing, "resize": ResizeVm,
        "migrate": MigrateSpec, "restore": RestoreSpec,
    },
    "volume": {
        "create": VolumeSpec, "destroy": Nothing, "resize": ResizeVolume, "attach": AttachSpec, "detach": AttachSpec,
        "migrate": MigrateSpec, "restore": RestoreSpec,
    },
    "network": {
        "create": NetworkSpec, "destroy": Nothing, "attach": AttachSpec, "detach": AttachSpec, "restore": RestoreSpec,
    },
}  # fmt: skip
"""What each known kind can be asked. A kind that is not listed is its device's affair: any operation, any spec."""

NEEDS_SPEC = frozenset(
    (kind, operation)
    for kind, operations in OPERATIONS.items()
    for operation, model in operations.items()
    if any(field.is_required() for field in model.model_fields.values())
)
"""Where a spec cannot be left out."""


def complete_spec(kind: str, operation: str, spec: dict[str, Any] | None) -> dict[str, Any]:
    """The spec of a validated `create` with the defaults of its kind filled in; policies are kept beside it."""
    model = OPERATIONS.get(kind, {}).get(operation)
    if model is None:
        return dict(spec or {})
    return model.model_validate(spec or {}).model_dump(mode="json", exclude={"policies"})


def readable_definition(kind: str, definition: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a device says of what exists, without the fields that a create of that kind could never have had.

    A device may keep more than was asked for, and less; a kind that is not listed is its device's affair.
    """
    model = OPERATIONS.get(kind, {}).get("create")
    if definition is None or model is None:
        return definition
    try:
        model.model_validate({name: value for name, value in definition.items() if name in model.model_fields})
    except ValidationError as error:
        unreadable = {each["loc"][0] for each in error.errors() if each["loc"] and each["loc"][0] in definition}
        return {name: value for name, value in definition.items() if name not in unreadable}
    return definition
