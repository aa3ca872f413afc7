"""Is this program itself slow? The lag of the event loop, asked before a peer is blamed and by `/livez`."""

import asyncio
from collections import deque
from typing import NoReturn

from treeward.runtime.clock import Clock

PERIOD_S = 0.1
SPAN_S = 10.0


class LoopWatch:
    """Wakes up every 100 ms and notes how late it was; remembers the last 10 s."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lags: deque[tuple[float, float]] = deque()
        """(when it was noted, the lag in seconds), oldest first."""
        self._due_s: float | None = None

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        while True:
            self.fall_asleep()
            await asyncio.sleep(PERIOD_S)
            self.wake_up()

    def fall_asleep(self) -> None:
        """Note when the loop is due to wake us up."""
        self._due_s = self._clock.monotonic_s() + PERIOD_S

    def wake_up(self) -> None:
        """Note how late that was, and forget what is older than 10 s."""
        assert self._due_s is not None, "it has to fall asleep first"
        now_s = self._clock.monotonic_s()
        self._lags.append((now_s, max(0.0, now_s - self._due_s)))
        while self._lags[0][0] <= now_s - SPAN_S:
            self._lags.popleft()

    def lag_s(self) -> float:
        """The longest hold-up within the last 10 s, one that still lasts included."""
        now_s = self._clock.monotonic_s()
        lasting_s = now_s - self._due_s if self._due_s is not None else 0.0
        return max(0.0, lasting_s, *(lag_s for at_s, lag_s in self._lags if at_s > now_s - SPAN_S))
