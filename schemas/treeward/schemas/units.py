"""A unit of work as it is submitted, and the door that refuses what cannot be one (DESIGN section 4)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from treeward.schemas import address

BODY_BYTES_MAX = 64 * 1024
TICKETS_IN_AFTER_MAX = 256

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


class Order(StrEnum):
    """How a unit stands to what waits before it."""

    FIFO = "fifo"
    SUPERSEDE = "supersede"


class Spec(BaseModel):
    """A spec of a known kind: unknown fields are typos."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Spec):
    """An operation without parameters."""


class ZoneSpec(Spec):
    """A zone: a failure domain with streams, log and supervisors of its own."""

    labels: Labels = Field(default_factory=dict)


class PodSpec(Spec):
    """A pod: hosts with one owner."""

    labels: Labels = Field(default_factory=dict)
    device: str | None = Field(default=None, max_length=512, description="tcp://HOST:PORT or unix:///PATH; none: what the agent is set to")


class HostSpec(Spec):
    """A host in a pod, and what it can carry."""

    pod: Token
    cpus: Positive
    memory_mib: Mebibytes
    gpus: NotNegative = 0.0
    disk_gib: Annotated[int, Field(ge=0, le=2**30)] = 0
    labels: Labels = Field(default_factory=dict)


class VmSpec(Spec):
    """A virtual machine. The last fields steer where it is placed."""

    cpus: Positive = 1.0
    memory_mib: Mebibytes = 512
    gpus: NotNegative = 0.0
    running: bool = True
    requires: Labels = Field(default_factory=dict, description="labels that the host must have")
    spread: Token | None = Field(default=None, description="VMs of one spread group are kept apart: other pods first, then other hosts")


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


class Policies(Spec):
    """What `configure` can change of a resource or branch."""

    on_failure: OnFailure | None = Field(default=None, strict=False)
    attempts_max: Annotated[int, Field(ge=1, le=1000)] | None = None
    restarts_max: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    restart_period_s: Positive | None = None
    destroy_supersedes: bool | None = Field(default=None, description="a destroy supersedes what has not started")


STEERING: dict[str, type[Spec]] = {
    "cancel": Nothing, "retry": Nothing, "pause": Nothing, "resume": Nothing, "release": Nothing, "drain": Nothing,
    "configure": Policies,
}  # fmt: skip
"""Operations that every kind has: they are about units and processes, not about the device."""

OPERATIONS: dict[str, dict[str, type[Spec]]] = {
    "zone": {"create": ZoneSpec, "destroy": Nothing},
    "pod": {"create": PodSpec, "destroy": Nothing},
    "host": {"create": HostSpec, "destroy": Nothing, "resize": ResizeHost},
    "vm": {"create": VmSpec, "destroy": Nothing, "start": Nothing, "stop": Nothing, "resize": ResizeVm, "migrate": MigrateSpec},
    "volume": {"create": VolumeSpec, "destroy": Nothing, "resize": ResizeVolume, "attach": AttachSpec, "detach": AttachSpec, "migrate": MigrateSpec},
    "network": {"create": NetworkSpec, "destroy": Nothing, "attach": AttachSpec, "detach": AttachSpec},
}  # fmt: skip
"""What each known kind can be asked. A kind that is not listed is its device's affair: any operation, any spec."""

NEEDS_SPEC = frozenset({("host", "create"), ("volume", "create"), ("volume", "resize"), ("volume", "attach"), ("volume", "detach"), ("network", "attach"), ("network", "detach")})


class Unit(BaseModel):
    """A unit of work: one requested change. Only `operation` is required. Unknown fields are refused here and nowhere else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    operation: Token
    spec: dict[str, Any] | None = None
    on_failure: OnFailure = Field(default=OnFailure.WAIT, strict=False)
    attempts_max: int = Field(default=5, ge=1, le=1000)
    deadline: AwareDatetime | None = Field(default=None, strict=False, description="RFC 3339 with zone; bounds the start")
    order: Order = Field(default=Order.FIFO, strict=False)
    after: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list, max_length=TICKETS_IN_AFTER_MAX, description="lower tickets of the zone; waits until they are settled, whatever their outcome")
    ticket: int | None = Field(default=None, ge=1, description="cancel and retry: the unit they mean")
    reason: str | None = Field(default=None, max_length=1024)
    tenant: str | None = Field(default=None, max_length=256)
    labels: Labels = Field(default_factory=dict)


class InvalidUnitError(ValueError):
    """A submitted body is no unit of work; the message names the field and what would be right. Answer: `rejected`."""


def explain_validation(error: ValidationError, *, prefix: str = "") -> str:
    """One sentence from a validation error: each field with what is wrong, the first three of them."""
    parts = []
    for item in error.errors(include_url=False, include_context=True)[:3]:
        where = ".".join(str(part) for part in (*([prefix] if prefix else []), *item["loc"])) or "body"
        parts.append(f"{where}: {item['msg']}" + (f", not {_short(item['input'])}" if item["type"] != "missing" else ""))
    more = error.error_count() - 3
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse_unit(body: bytes, *, zone: str, key: str, ticket: int | None = None, now: datetime | None = None) -> Unit:
    """Read one submitted body for the resource `key` of `zone`; raises InvalidUnitError with a sentence for the sender.

    `ticket` is the unit's own (none: not stored yet, so `after` cannot be compared); `now`, if given, refuses a deadline
    that is already past.
    """
    problem = address.problem_of(zone, key)
    if problem is not None:
        raise InvalidUnitError(problem)
    if len(body) > BODY_BYTES_MAX:
        raise InvalidUnitError(f"body: {len(body)} bytes, at most {BODY_BYTES_MAX} are accepted")
    if not body.strip():
        raise InvalidUnitError('body: is empty; the least is {"operation": "create"}')
    try:
        unit = Unit.model_validate_json(body)
    except ValidationError as error:
        raise InvalidUnitError(explain_validation(error)) from None
    kind = key.partition(".")[0]
    _check_operation(unit, kind)
    if unit.ticket is not None and unit.operation not in {"cancel", "retry"}:
        raise InvalidUnitError(f"ticket: only cancel and retry name a ticket, {unit.operation!r} does not")
    if unit.operation in {"cancel", "retry"} and unit.ticket is None:
        raise InvalidUnitError(f"ticket: {unit.operation} must name the ticket of the unit that it means")
    if ticket is not None:
        for other in unit.after:
            if other >= ticket:
                raise InvalidUnitError(f"after: {other} is not lower than the unit's own ticket {ticket}")
        if unit.ticket is not None and unit.ticket >= ticket:
            raise InvalidUnitError(f"ticket: {unit.ticket} is not lower than the unit's own ticket {ticket}")
    if now is not None and unit.deadline is not None and unit.deadline <= now:
        raise InvalidUnitError(f"deadline: {unit.deadline.isoformat()} was already past when the unit was accepted ({now.isoformat()})")
    return unit


def _check_operation(unit: Unit, kind: str) -> None:
    model: type[Spec]
    if unit.operation in STEERING:
        model = STEERING[unit.operation]
    elif kind in OPERATIONS:
        operations = OPERATIONS[kind]
        if unit.operation not in operations:
            known = ", ".join((*operations, *STEERING))
            raise InvalidUnitError(f"operation: a {kind} has no {unit.operation!r}; it has {known}")
        model = operations[unit.operation]
    else:
        return
    if unit.spec is None:
        if (kind, unit.operation) in NEEDS_SPEC:
            needed = ", ".join(name for name, field in model.model_fields.items() if field.is_required())
            raise InvalidUnitError(f"spec: {unit.operation} of a {kind} needs {needed}")
        return
    try:
        model.model_validate(unit.spec)
    except ValidationError as error:
        raise InvalidUnitError(explain_validation(error, prefix="spec")) from None


def complete_spec(kind: str, operation: str, spec: dict[str, Any] | None) -> dict[str, Any]:
    """The spec of a validated `create` with the defaults of its kind filled in."""
    model = OPERATIONS.get(kind, {}).get(operation)
    if model is None:
        return dict(spec or {})
    return model.model_validate(spec or {}).model_dump(mode="json")


SteeringOperation = Literal["cancel", "retry", "pause", "resume", "release", "drain", "configure"]
