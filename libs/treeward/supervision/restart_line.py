"""Restarts of a pod, at its own rate: who may begin now, and who stands in line. Pure.

Two lines: processes that crashed, and those whose last restart did not help. The first has the right of way, so one
that fails again comes after all others; but every fourth turn is of the second, so that nobody waits for ever. Within a
line it is first come, first served.
"""

from collections import deque
from collections.abc import Iterator

from treeward.supervision.policies import Budget

AGAIN_EVERY = 4
EARLY_S = 0.1
"""How much of the rate may be used at once after a pause, so that a timer that is late loses nothing."""


class RestartLine:
    """A rate and a number under way. Within any `t` seconds at most `restarts_per_s * (t + 0.1) + 1` begin."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._under_way: set[str] = set()
        """Restarts that have begun and have not ended."""
        self._lines: tuple[deque[tuple[int, str]], deque[tuple[int, str]]] = (deque(), deque())
        self._standing: dict[str, int] = {}
        """Number by which a key stands in a line; a place with any other number is void."""
        self._numbers = 0
        self._turn = 0
        self._next_s = 0.0

    def __len__(self) -> int:
        return len(self._standing)

    def may_begin(self, key: str, now_s: float, *, again: bool, ahead: bool = False) -> bool:
        """Begin now; else it stands in line, where it stays if it stood there. `ahead`: before all that stand there."""
        if key in self._under_way:
            return True
        if key in self._standing:
            return False
        if not self._standing and self._has_room(now_s):
            self._begin(key, now_s)
            return True
        self._numbers += 1
        self._standing[key] = self._numbers
        line = self._lines[again]
        if ahead:
            line.appendleft((self._numbers, key))
        else:
            line.append((self._numbers, key))
        return False

    def called(self, now_s: float) -> Iterator[str]:
        """Those whose turn has come, one after the other; each has begun."""
        while self._standing and self._has_room(now_s):
            key = self._next()
            if key is None:
                return
            self._begin(key, now_s)
            yield key

    def ended(self, key: str) -> None:
        """Its restart has come to something, or there is nothing left to restart."""
        self._under_way.discard(key)
        self._standing.pop(key, None)

    def place_of(self, key: str) -> int | None:
        """How many stand before it, roughly (both lines move); None: it does not stand in line. Reads the line."""
        number = self._standing.get(key)
        if number is None:
            return None
        for line in self._lines:
            before = 0
            for other, name in line:
                if other == number:
                    return before
                before += self._standing.get(name) == other
        return None

    def _has_room(self, now_s: float) -> bool:
        return len(self._under_way) < self.budget.restarts_at_once and now_s >= self._next_s - EARLY_S

    def _begin(self, key: str, now_s: float) -> None:
        self._standing.pop(key, None)
        self._under_way.add(key)
        self._next_s = max(now_s, self._next_s) + 1.0 / self.budget.restarts_per_s

    def _next(self) -> str | None:
        self._turn += 1
        first = self._turn % AGAIN_EVERY == 0
        for line in (self._lines[first], self._lines[not first]):
            while line:
                number, key = line.popleft()
                if self._standing.get(key) == number:
                    return key
        return None
