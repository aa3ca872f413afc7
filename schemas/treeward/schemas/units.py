"""A unit of work as it is submitted, and the door that refuses what cannot be one (DESIGN section 4)."""

import json
import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treeward.schemas import address
from treeward.schemas.policies import BRANCHES, misplaced
from treeward.schemas.sentences import explain_field, explain_validation, short
from treeward.schemas.specs import (
    NEEDS_SPEC,
    OPERATIONS,
    STEERING,
    AmendSpec,
    AttachSpec,
    HostSpec,
    Labels,
    MigrateSpec,
    NetworkSpec,
    Nothing,
    OnFailure,
    PodSpec,
    ResizeHost,
    ResizeVm,
    ResizeVolume,
    RestoreSpec,
    Spec,
    Token,
    VmSpec,
    VolumeSpec,
    WrittenTime,
    ZoneSpec,
    complete_spec,
)

__all__ = [
    "BODY_BYTES_MAX", "SPEC_LEVELS_MAX", "TICKETS_IN_AFTER_MAX", "TICKET_MAX",
    "InvalidUnitError", "Labels", "OnFailure", "Order", "SteeringOperation", "Ticket", "Token", "Unit", "parse_unit",
    "explain_validation",
    "NEEDS_SPEC", "OPERATIONS", "STEERING", "complete_spec",
    "AmendSpec", "AttachSpec", "HostSpec", "MigrateSpec", "NetworkSpec", "Nothing", "PodSpec", "ResizeHost", "ResizeVm",
    "ResizeVolume", "RestoreSpec", "Spec", "VmSpec", "VolumeSpec", "ZoneSpec",
]  # fmt: skip

BODY_BYTES_MAX = 64 * 1024
TICKETS_IN_AFTER_MAX = 256
SPEC_LEVELS_MAX = 32
TICKET_MAX = 2**63 - 1
NAMES_A_TICKET = frozenset({"cancel", "retry", "amend"})
INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1

Ticket = Annotated[int, Field(ge=1, le=TICKET_MAX)]
SteeringOperation = Literal["cancel", "retry", "amend", "pause", "resume", "release", "drain", "configure"]


class Order(StrEnum):
    """How a unit stands to what waits before it."""

    FIFO = "fifo"
    SUPERSEDE = "supersede"


class Unit(BaseModel):
    """A unit of work: one requested change; only `operation` is required. Unknown fields are refused here only."""

    model_config = ConfigDict(extra="forbid", strict=True)

    operation: Token
    spec: dict[str, Any] | None = None
    on_failure: OnFailure = Field(default=OnFailure.WAIT, strict=False)
    attempts_max: int = Field(default=5, ge=1, le=1000)
    deadline: WrittenTime | None = Field(default=None, strict=False, description="RFC 3339 with zone; bounds the start")
    order: Order = Field(default=Order.FIFO, strict=False)
    after: list[Ticket] = Field(
        default_factory=list, max_length=TICKETS_IN_AFTER_MAX,
        description="lower tickets of the zone; waits until they are settled, whatever their outcome",
    )  # fmt: skip
    ticket: Ticket | None = Field(default=None, description="cancel, retry and amend: the unit they mean")
    reason: str | None = Field(default=None, max_length=1024)
    by: str | None = Field(default=None, max_length=256, description="who asks for it, as the client says")
    tenant: str | None = Field(default=None, max_length=256)
    labels: Labels = Field(default_factory=dict)


_read = Unit.__pydantic_validator__.validate_json
"""What `model_validate_json` calls; the way around it is a tenth of reading a unit."""


class InvalidUnitError(ValueError):
    """A submitted body is no unit of work; the message names the field and what would be right. Answer: `rejected`."""


def parse_unit(body: bytes, *, zone: str, key: str, ticket: int | None = None, now: datetime | None = None) -> Unit:
    """Read one submitted body for the resource `key` of `zone`; raises InvalidUnitError with a sentence for the sender.

    `ticket` is the unit's own (none: not stored yet, so `after` cannot be compared); `now`, if given, refuses a
    deadline that is already past.
    """
    problem = address.problem_of(zone, key)
    if problem is not None:
        raise InvalidUnitError(problem)
    if len(body) > BODY_BYTES_MAX:
        raise InvalidUnitError(f"body: {len(body)} bytes, at most {BODY_BYTES_MAX} are accepted")
    try:
        unit: Unit = _read(body)
    except ValidationError as error:
        raise InvalidUnitError(_explain_body(body, error)) from None
    _check_operation(unit, key.partition(".")[0])
    _check_text(body, unit)
    _check_tickets(unit, ticket)
    if now is not None and unit.deadline is not None and unit.deadline <= now:
        raise InvalidUnitError(
            f"deadline: {unit.deadline.isoformat()} was already past when the unit was accepted ({now.isoformat()})"
        )
    return unit


def _explain_body(body: bytes, error: ValidationError) -> str:
    if not body.strip():
        return 'body: is empty; the least is {"operation": "create"}'
    return explain_validation(error, fields=Unit.model_fields)


def _check_operation(unit: Unit, kind: str) -> None:
    """Whether the kind has the operation, and the operation the spec."""
    model = STEERING.get(unit.operation)
    if model is None:
        operations = OPERATIONS.get(kind)
        if operations is None:
            return
        model = operations.get(unit.operation)
        if model is None:
            known = ", ".join((*operations, *STEERING))
            raise InvalidUnitError(f"operation: a {kind} has no {unit.operation!r}; it has {known}")
    if unit.operation == "configure" and (problem := misplaced(kind, unit.spec or {})) is not None:
        raise InvalidUnitError(f"spec: {problem}")
    if unit.spec is None:
        if (kind, unit.operation) in NEEDS_SPEC:
            needed = ", ".join(name for name, field in model.model_fields.items() if field.is_required())
            raise InvalidUnitError(f"spec: {unit.operation} of a {kind} needs {needed}")
        return
    try:
        model.__pydantic_validator__.validate_python(unit.spec)
    except ValidationError as error:
        raise InvalidUnitError(explain_field(model, "spec", error)) from None
    if unit.operation == "create" and kind in BRANCHES and unit.spec.get("policies"):
        problem = misplaced(kind, unit.spec["policies"])
        if problem is not None:
            raise InvalidUnitError(f"spec.policies: {problem}")


def _check_text(body: bytes, unit: Unit) -> None:
    """Refuse what JSON leaves open and readers take differently: a field twice, NaN, numbers beyond 64 bits.

    A body has a colon for each of its fields, so as many colons as fields read mean that none is there twice; only
    the rare text with more of them (a colon in a value, a deadline) is read again, to be sure.
    """
    fields = len(unit.model_fields_set) + len(unit.labels) + (_count_fields(unit.spec, 1) if unit.spec else 0)
    if body.count(b":") != fields:
        json.loads(body, object_pairs_hook=_once)


def _count_fields(value: dict[str, Any] | list[Any], level: int) -> int:
    if level > SPEC_LEVELS_MAX:
        raise InvalidUnitError(f"spec: is nested too deeply; at most {SPEC_LEVELS_MAX} levels are accepted")
    count, members = (len(value), value.values()) if isinstance(value, dict) else (0, value)
    for member in members:
        kind = type(member)  # what the JSON parser made: exactly these types
        if kind is int:
            if not INTEGER_MIN <= member <= INTEGER_MAX:
                raise InvalidUnitError(f"spec: {short(member)} does not fit 64 bits; send it as text")
        elif kind is dict or kind is list:
            count += _count_fields(member, level + 1)
        elif kind is float and not math.isfinite(member):
            raise InvalidUnitError(f"spec: {member} is no number that JSON has; leave it out or give a finite one")
    return count


def _once(pairs: list[tuple[str, Any]]) -> None:
    """What an object's fields must be: each there once."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidUnitError(f"{short(name)[1:-1]}: is there twice; which one counts would be a guess")
        seen.add(name)


def _check_tickets(unit: Unit, ticket: int | None) -> None:
    """Whether the tickets it names can be known, and are lower than its own."""
    if unit.operation in NAMES_A_TICKET:
        if unit.ticket is None:
            raise InvalidUnitError(f"ticket: {unit.operation} must name the ticket of the unit that it means")
        if unit.operation == "amend" and not unit.spec:
            raise InvalidUnitError("spec: amend must say what changes: on_failure, attempts_max, deadline or order")
    elif unit.ticket is not None:
        raise InvalidUnitError(f"ticket: only cancel, retry and amend name a ticket, {unit.operation!r} does not")
    if ticket is None:
        return
    for other in unit.after:
        if other >= ticket:
            raise InvalidUnitError(f"after: {other} is not lower than the unit's own ticket {ticket}")
    if unit.ticket is not None and unit.ticket >= ticket:
        raise InvalidUnitError(f"ticket: {unit.ticket} is not lower than the unit's own ticket {ticket}")
