"""What a device simulator can be asked beside its protocol: faults on demand and its books (lines of JSON).

Every request carries `seq`, which its answer repeats. A pattern is a glob (`web-*`); an absent one matches anything.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator


class FaultEffect(StrEnum):
    """What a fault does to the requests that it strikes."""

    LATENCY = "latency"
    """The request takes longer; a call counts as in progress meanwhile, a synchronize has not arrived yet."""
    REFUSE = "refuse"
    """The call is refused, and that is remembered; `synchronize` makes nothing there, and moves nothing there."""
    FAIL = "fail"
    """The call ends halfway: not remembered, something is left behind; the same ticket called again completes it."""
    LOSE = "lose"
    """The request takes effect, and its answer is never sent."""
    HANG = "hang"
    """The request stops before its effect until the fault is cleared, then goes on."""
    UNREACHABLE = "unreachable"
    """What stands behind the address does not answer: nothing is done, calls in progress there have no effect."""
    FENCE_OFF = "fence_off"
    """The device forgets to check life and owner: what a device must never do, to show that the books tell."""


class Distribution(StrEnum):
    """How the latencies of a fault are spread."""

    FIXED = "fixed"
    UNIFORM = "uniform"
    LOGNORMAL = "lognormal"


Pattern = Annotated[str, Field(min_length=1, max_length=256)]


class Fault(BaseModel):
    """One fault and the requests that it strikes: those that match every pattern given, `times` of them."""

    model_config = ConfigDict(extra="forbid")

    effect: FaultEffect
    zone: Pattern | None = None
    pod: Pattern | None = None
    host: Pattern | None = None
    kind: Pattern | None = None
    id: Pattern | None = None
    operation: Pattern | None = Field(
        default=None,
        description="a pattern for calls; `synchronize` must be named. Absent: every call (unreachable: everything)",
    )
    times: int | None = Field(default=None, ge=1, description="strike that often, then be gone; absent: until cleared")
    seconds: float = Field(
        default=0.0, ge=0, le=3600, description="latency: the fixed value, the lower end, or the median"
    )
    seconds_max: float | None = Field(
        default=None, ge=0, le=3600, description="latency, uniform: the upper end; lognormal: a cap"
    )
    sigma: float = Field(default=0.5, ge=0, le=5, description="latency, lognormal: spread of the logarithm")
    distribution: Distribution = Distribution.FIXED
    close: bool = Field(default=False, description="lose: the connection is closed as well")
    reason: str | None = Field(default=None, max_length=1024, description="refuse, fail: what is answered")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.effect is FaultEffect.LATENCY and self.seconds == 0 and not self.seconds_max:
            raise ValueError("latency needs seconds")
        if self.distribution is Distribution.UNIFORM and (self.seconds_max is None or self.seconds_max < self.seconds):
            raise ValueError("uniform needs seconds_max, and not below seconds")
        if self.effect in {FaultEffect.FAIL, FaultEffect.FENCE_OFF} and self.operation == "synchronize":
            raise ValueError(f"{self.effect} is for calls, not for synchronize")
        return self


class StandingFault(BaseModel):
    """A fault that was added: its number, and how often it struck."""

    number: int
    struck: int = 0
    fault: Fault


class _Control(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seq: int = 0


class FaultAdd(_Control):
    """Let a fault strike from now on; the answer names its number."""

    verb: Literal["fault_add"] = "fault_add"
    fault: Fault


class FaultList(_Control):
    """Tell the faults that stand."""

    verb: Literal["fault_list"] = "fault_list"


class FaultClear(_Control):
    """End a fault, or all of them; what hangs because of it goes on."""

    verb: Literal["fault_clear"] = "fault_clear"
    number: int | None = None


class Journal(_Control):
    """Read calls that reached the device, in order: at most `limit` after row `after`; absent: the newest."""

    verb: Literal["journal"] = "journal"
    zone: str | None = None
    kind: str | None = None
    id: str | None = None
    after: int | None = Field(default=None, ge=0)
    limit: int = Field(default=100, ge=1, le=10_000)


class Show(_Control):
    """Tell what the device has of one address: the object, the record and the call in progress."""

    verb: Literal["show"] = "show"
    zone: str
    kind: str
    id: str


class Tamper(_Control):
    """Change what exists behind everybody's back, or take it away: no life, no ticket, and no record of it.

    What cannot be (no room, no such field, something depends on it) is refused; the books tell what was done.
    """

    verb: Literal["tamper"] = "tamper"
    zone: str
    kind: str
    id: str
    definition: dict[str, Any] | None = Field(
        default=None, description="the fields that change; absent: it is taken away"
    )


class Statistics(_Control):
    """Count what the device holds and has answered."""

    verb: Literal["statistics"] = "statistics"


AnyControl = FaultAdd | FaultList | FaultClear | Journal | Show | Tamper | Statistics
ControlRequest = Annotated[AnyControl, Field(discriminator="verb")]
CONTROL_REQUEST: TypeAdapter[AnyControl] = TypeAdapter(ControlRequest)


class ControlAnswer(BaseModel):
    """What the control interface says; `error` is a sentence if the request could not be carried out."""

    seq: int = 0
    status: Literal["ok", "invalid"] = "ok"
    error: str | None = None
    faults: list[StandingFault] | None = Field(default=None, description="those added, listed or cleared")
    calls: list[dict[str, Any]] | None = Field(default=None, description="rows of the table `calls`")
    shown: dict[str, Any] | None = None
    statistics: dict[str, Any] | None = None
