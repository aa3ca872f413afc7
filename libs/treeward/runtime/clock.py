"""Time as a value that is handed in, so that the simulation can hand in its own."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the services may know of time. Durations come from `monotonic_s`, dates from `now_s`; the two never mix."""

    def now_s(self) -> float:
        """Seconds since 1970 (Unix time); may jump when the machine's clock is set."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some moment; never goes back."""
        ...


class SystemClock:
    """The clock of the machine."""

    now_s = staticmethod(time.time)
    monotonic_s = staticmethod(time.monotonic)
