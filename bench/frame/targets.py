"""What the figures are held against: the aim, and what must be reached, of each."""

from collections.abc import Mapping
from typing import NamedTuple


class Target(NamedTuple):
    """One target; `figure` names it in the results. `lower` says that less is better."""

    figure: str
    sentence: str
    aim: float
    must: float
    unit: str = ""
    lower: bool = False


TARGETS = (
    Target("path.one_default.ratio", "path, one server, default sync, against the floor of the same run", 0.3, 0.18),
    Target("path.three_always.per_s", "path, three servers, always", 3000, 1800, "units/s"),
    Target("latency.one_default.p50_ms", "latency at 200/s, p50", 4, 6, "ms", lower=True),
    Target("latency.one_default.p99_ms", "latency at 200/s, p99", 15, 30, "ms", lower=True),
    Target("hot.one_default.ahead_1_per_s", "hot resource, one server", 2000, 1200, "units/s"),
    Target(
        "hot.three_always.ahead_8_per_s", "hot resource, three servers, always, called ahead (AHEAD_MAX 8)", 600,
        400, "units/s",
    ),
    Target("size.row_bytes", "row in use", 400, 600, "bytes", lower=True),
    Target("size.agent_1000000_mb", "agent with 1,000,000 idle resources", 150, 300, "MB", lower=True),
    Target(
        "recovery.agent_p99_s", "kill -9 of a pod agent to first completed unit of each active resource, p99", 2, 3,
        "s", lower=True,
    ),
    Target("hand_off.p99_ms", "hand-off pause, p99", 500, 1000, "ms", lower=True),
    Target("scale.cost_ratio", "cost per unit at 1,000,000 resources against 1,000", 1.1, 1.3, lower=True),
    Target("tracing.ratio", "tracing on at 1.0, against off", 0.8, 0.6),
)  # fmt: skip


def verdict(target: Target, figures: Mapping[str, float]) -> str:
    """`aim met`, `must met`, `not met`, or `not run`."""
    value = figures.get(target.figure)
    if value is None:
        return "not run"
    sign = -1 if target.lower else 1
    if sign * value >= sign * target.aim:
        return "aim met"
    return "must met" if sign * value >= sign * target.must else "not met"
