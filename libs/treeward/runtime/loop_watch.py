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
        self._lags_s: deque[tuple[float, float]] = deque()
        self._due_s: float | None = None

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        while True:
            self._due_s = self._clock.monotonic_s() + PERIOD_S
            await asyncio.sleep(PERIOD_S)
            self._note(self._clock.monotonic_s())

    def lag_s(self) -> float:
        """The longest hold-up within the last 10 s, one that is just over included."""
        now_s = self._clock.monotonic_s()
        current_s = now_s - self._due_s if self._due_s is not None else 0.0
        return max(current_s, 0.0, max((lag_s for at_s, lag_s in self._lags_s if at_s > now_s - SPAN_S), default=0.0))

    def _note(self, now_s: float) -> None:
        assert self._due_s is not None
        self._lags_s.append((now_s, max(0.0, now_s - self._due_s)))
        while self._lags_s[0][0] <= now_s - SPAN_S:
            self._lags_s.popleft()
