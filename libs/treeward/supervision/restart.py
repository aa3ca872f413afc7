"""Whether a crashed process is tried again, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from treeward.supervision.policies import RestartPolicy

DOUBLED_MAX = 64
"""2.0**1024 is an OverflowError, half an hour after a device has gone away."""


def doubled(least_s: float, most_s: float, times: int) -> float:
    """A wait of `least_s` that was doubled so many times, `most_s` at most."""
    return min(most_s, least_s * 2.0 ** min(times, DOUBLED_MAX))


@dataclass(frozen=True, slots=True)
class Restart:
    """Try again after `delay_s`."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Escalate:
    """Trying again does not help: `restarts` within the period."""

    restarts: int


def decide_restart(
    policy: RestartPolicy, *, restarted_at_s: Sequence[float], now_s: float, jitter: float
) -> Restart | Escalate:
    """Choose between trying again and escalating, given when we last restarted.

    OTP's restart intensity: more than `restarts_max` within the period is not going to mend itself. `jitter` spreads
    the delay, so that what crashed together does not come back together.
    """
    count = sum(now_s - at_s < policy.period_s for at_s in restarted_at_s)
    if count >= policy.restarts_max:
        return Escalate(restarts=count)
    return Restart(delay_s=back_off(policy, count, jitter))


def back_off(policy: RestartPolicy, count: int, jitter: float) -> float:
    """How long to wait after `count` restarts that did not help. `jitter` is in [0, 1): half of it is spread."""
    return doubled(policy.backoff_s_min, policy.backoff_s_max, count) * (0.5 + 0.5 * jitter)


def jitter_of(key: str, life: int) -> float:
    """A number in [0, 1) that differs from process to process and from life to life, without chance."""
    return crc32(f"{key}/{life}".encode()) / 2**32
