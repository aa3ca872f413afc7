"""A supervisor most of whose children fail at once suspects itself before it blames them. Pure.

Its network, its clock and its event loop are what they have in common. While it suspects itself no crash counts against
a process: all of them are tried again, at the rate of the domain. If nothing at all helps for as long as a single
process would be given, it asks its parent, which may know an instance that fares better.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

WINDOW_S = 2.0
"""What happens within so long happens at once."""
HELD_UP_S = 1.0
"""A gap of that length between two ticks is our own slowness, not that of others."""


class Failure(StrEnum):
    """How a process failed, as far as it tells who is to blame."""

    SILENT = "silent"
    UNREACHABLE = "unreachable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Escalation:
    """Nothing helps: the parent is asked. `out_of_reach`: the device accepted nothing at all in that time."""

    reason: str
    out_of_reach: bool


class SelfSuspicion:
    """What a supervisor thinks of itself, from how its children fare."""

    def __init__(self, failed_min: int) -> None:
        self.since_s: float | None = None
        """Since when it suspects itself; None: it does not."""
        self.cause = ""
        self.escalation: Escalation | None = None
        self._failed_min = failed_min
        self._failed: dict[str, tuple[float, Failure]] = {}
        """Who failed within the window, and when last: the oldest first."""
        self._helped: deque[float] = deque()
        self._helped_s = self._failed_s = 0.0
        self._accepted_s = 0.0
        self._ticked_s: float | None = None
        self._held_up = (0.0, 0.0)
        """When we were last held up, and for how long; negative: the clock went back."""

    def on_tick(self, now_s: float) -> bool:
        """Time passes. True: we were held up ourselves, so who seems silent may long have answered."""
        before_s, self._ticked_s = self._ticked_s, now_s
        if before_s is None or 0 <= now_s - before_s < HELD_UP_S:
            return False
        self._held_up = (now_s, now_s - before_s)
        return True

    def on_accepted(self, now_s: float) -> None:
        """The device accepted a life: it is there, and can be reached."""
        self._accepted_s = now_s

    def on_helped(self, now_s: float) -> None:
        """A unit was answered by the device."""
        self._helped_s = now_s
        self._helped.append(now_s)
        while now_s - self._helped[0] > WINDOW_S:
            self._helped.popleft()

    def on_failed(self, key: str, how: Failure, now_s: float) -> list[str]:
        """A process failed. Returns whom the suspicion that begins with it acquits; empty if none begins."""
        self._failed.pop(key, None)
        self._failed[key] = (now_s, how)
        self._failed_s = now_s
        self._forget(now_s)
        if self.since_s is not None or not self._most():
            return []
        self.since_s = now_s
        self.cause = self._why(now_s)
        return list(self._failed)

    @property
    def failed(self) -> int:
        """How many failed within the window."""
        return len(self._failed)

    def decide(self, now_s: float, patience_s: float) -> Escalation | None:
        """Whether it goes on suspecting itself; an escalation is returned once, when it begins."""
        if self.since_s is None:
            return None
        self._forget(now_s)
        well = len(self._helped) >= len(self._failed)
        if (self._helped and well) or now_s - self._failed_s > patience_s:
            self.since_s = self.escalation = None
            return None
        if now_s - max(self.since_s, self._helped_s) < patience_s:
            self.escalation = None
        elif self.escalation is None:
            out_of_reach = self._accepted_s < self.since_s
            what = "the device accepted no life" if out_of_reach else "the device accepted lives, and failed every call"
            self.escalation = Escalation(f"nothing has helped for {patience_s:g} s: {what}", out_of_reach)
            return self.escalation
        return None

    def _most(self) -> bool:
        return len(self._failed) >= self._failed_min and len(self._failed) > len(self._helped)

    def _why(self, now_s: float) -> str:
        at_s, gap_s = self._held_up
        if now_s - at_s <= 2 * WINDOW_S and gap_s:
            if gap_s < 0:
                return f"its clock went back {-gap_s:.1f} s"
            return f"its event loop was held up, or its clock jumped, by {gap_s:.1f} s"
        answered = sum(how is Failure.FAILED for _, how in self._failed.values())
        if 2 * answered >= len(self._failed):
            return "the device is reached, and fails"
        return "its network may be at fault, or the device is gone"

    def _forget(self, now_s: float) -> None:
        while self._helped and now_s - self._helped[0] > WINDOW_S:
            self._helped.popleft()
        while self._failed:
            key, (at_s, _) = next(iter(self._failed.items()))  # the order of the dictionary is that of time
            if now_s - at_s <= WINDOW_S:
                return
            del self._failed[key]
