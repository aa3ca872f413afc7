"""What a seed stands for: the shape of the data centre, what clients ask of it, and what goes wrong, all as data.

So a failing run can be made smaller by taking things out, one by one, while it still fails.
"""

import json
from dataclasses import dataclass, replace
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """How much there is of everything, how quick it is, and with which settings."""

    zones: int
    pods: int
    hosts_per_pod: int
    orchestrators: int
    zone_supervisors: int
    pod_agents: int
    window: int
    credit: int
    bodies_max: int
    idle_row_s: float
    resend_s: float
    call_timeout_s: float
    restarts_max: int
    device_per_pod: bool
    cpus_per_host: int
    latency_s: float
    """Messages take up to so long in each direction."""
    call_s: float
    """Device calls take up to so long."""
    restart_period_s: float = 10.0
    pod_restarts_per_s: float = 200.0
    pod_restarts_at_once: int = 256
    failed_at_once_min: int = 10
    background_s: float = 86_400.0
    """Within so long every resource is compared with its device."""

    @property
    def tight(self) -> bool:
        """Whether room is short, so that a create may wait."""
        return self.cpus_per_host < 32


@dataclass(frozen=True, slots=True)
class Wish:
    """One unit that a client submits. `names` and `after` are numbers of other wishes, replaced by their tickets."""

    number: int
    at_s: float
    client: int
    zone: str
    key: str
    body: dict[str, Any] | bytes
    names: int | None = None
    after: tuple[int, ...] = ()
    receipt: bool = True
    """Whether the client waits for the stream's receipt, and repeats if none comes; else it is a bare publish."""

    def __str__(self) -> str:
        body = self.body.decode(errors="replace") if isinstance(self.body, bytes) else json.dumps(self.body)
        more = f" names wish {self.names}" if self.names is not None else ""
        more += f" after wishes {self.after}" if self.after else ""
        return f"{self.at_s:7.3f} wish {self.number}: {self.zone}.{self.key} {body}{more}"

    @property
    def is_set_up(self) -> bool:
        """Whether it makes the zones, pods and hosts that all else needs."""
        return self.key.startswith(("zone.", "pod.", "host."))


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a time, for a while."""

    at_s: float
    kind: str
    target: str
    duration_s: float
    value: float = 0.0

    def __str__(self) -> str:
        return f"{self.at_s:7.3f} fault: {self.kind} {self.target} for {self.duration_s:.2f} s ({self.value:.2f})"


@dataclass(frozen=True, slots=True)
class Plan:
    """One run."""

    seed: int
    shape: Shape
    wishes: tuple[Wish, ...]
    faults: tuple[Fault, ...]
    faults_end_s: float


def make_shape(chance: Random) -> Shape:
    """A data centre, small enough to be quick, large enough that everything can meet everything."""
    window = chance.choice((1, 2, 3, 16))
    return Shape(
        zones=chance.choice((1, 1, 1, 1, 2)),
        pods=chance.choice((1, 2, 2, 3)),
        hosts_per_pod=chance.choice((1, 2, 2)),
        orchestrators=chance.choice((1, 2, 2, 3)),
        zone_supervisors=chance.choice((1, 2, 2)),
        pod_agents=chance.choice((1, 2, 2, 3)),
        window=window,
        credit=max(window, chance.choice((2, 4, 64, 4096))),
        bodies_max=chance.choice((2, 8, 50_000)),
        idle_row_s=chance.choice((0.2, 1.0, 60.0)),
        resend_s=chance.choice((0.5, 1.0, 2.0)),
        call_timeout_s=chance.choice((0.5, 2.0)),
        restarts_max=chance.choice((1, 5, 20)),
        device_per_pod=chance.random() < 0.3,
        cpus_per_host=chance.choice((64, 64, 64, 6)),
        latency_s=chance.choice((0.002, 0.002, 0.02, 0.1)),
        call_s=chance.choice((0.01, 0.1, 0.4)),
    )


def make_budget(shape: Shape, chance: Random) -> Shape:
    """The same, short of restarts, and with owners that soon suspect themselves and soon ask for help."""
    return replace(
        shape,
        restart_period_s=chance.choice((1.0, 3.0, 10.0)),
        pod_restarts_per_s=chance.choice((2.0, 20.0, 200.0)),
        pod_restarts_at_once=chance.choice((1, 3, 256)),
        failed_at_once_min=chance.choice((2, 2, 3, 10)),
    )


def zone_name(number: int) -> str:
    """The name of a zone of the run."""
    return f"zone-{'abc'[number]}"


def device_of(shape: Shape, zone: str, pod: str) -> str:
    """The address of a pod's device."""
    return f"tcp://{zone}-{pod}:1" if shape.device_per_pod else "tcp://all:1"
