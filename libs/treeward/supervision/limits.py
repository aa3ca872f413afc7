"""Every limit of the decisions in one place, with the relations between them."""

from dataclasses import dataclass
from typing import Final

AHEAD_MOST: Final = 8
"""No owner ever calls more units of one resource whose outcomes are not stored: so many may be in doubt at once where a
device and its memory are lost."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds and delays (seconds); the defaults are those of DESIGN section 4."""

    window: int = 16
    """Unanswered units of one resource in its mailbox at most."""
    credit: int = 4096
    """Unanswered units of one pod in mailboxes at most."""
    bodies_max: int = 50_000
    """Bodies that a dispatcher keeps; what waits beyond is a bare number and is read again."""
    answered_above_max: int = 1_000_000
    """More answered units above one that is not are purged by subject."""
    resend_s: float = 30.0
    resend_max_s: float = 600.0
    call_timeout_s: float = 30.0
    """A device call without an answer for that long crashes the process; the next life finds out."""
    busy_retry_min_s: float = 0.05
    busy_retry_max_s: float = 2.0
    restarts_max: int = 5
    restart_period_s: float = 60.0
    backoff_s_min: float = 0.1
    backoff_s_max: float = 30.0
    pod_restarts_per_s: float = 200.0
    """Restarts that a pod begins in a second; what crashed beyond that stands in line."""
    pod_restarts_at_once: int = 256
    """Restarts of a pod that the device has not accepted yet, at most."""
    failed_at_once_min: int = 10
    """So many processes of a pod must fail at once before its owner suspects itself: fewer stand for themselves."""
    idle_row_s: float = 60.0
    """An idle row that nobody used for that long is forgotten: the last event of its resource knows the rest."""
    ahead_max: int = 1
    """Units of one resource that were called, their outcomes not stored yet, at most: so many outcomes share a commit.
    A device that remembers fewer, or a claim that allows fewer, sets a lower bound; 1: each outcome is stored before
    the next unit is called."""
    heartbeat_s: float = 0.25
    suspicion_s: float = 1.5
    epoch_grace_s: float = 1.0
    """How long an instance may be alive without the epoch that it was given before its branch is claimed anew."""

    orphan_s: float = 10.0
    """A branch that no instance could take for so long is taken by its supervisor itself."""

    def __post_init__(self) -> None:
        if not self.suspicion_s > 3 * self.heartbeat_s:
            raise ValueError("suspicion_s must be more than 3 heartbeats, or a lost one is taken for a death")
        if not 1 <= self.window <= self.credit:
            raise ValueError("window must be at least 1 and at most credit")
        if not 1 <= self.ahead_max <= AHEAD_MOST:
            raise ValueError(f"ahead_max must be 1 to {AHEAD_MOST}: more are never taken to be in doubt")
        if not 0 < self.backoff_s_min <= self.backoff_s_max:
            raise ValueError("backoff_s_min must be above 0 and at most backoff_s_max")
        if not (self.pod_restarts_per_s > 0 and self.pod_restarts_at_once >= 1):
            raise ValueError("a pod must be able to restart something: pod_restarts_per_s and _at_once are above 0")
        if not 0 < self.resend_s <= self.resend_max_s:
            raise ValueError("resend_s must be above 0 and at most resend_max_s")


DEFAULTS = Limits()
