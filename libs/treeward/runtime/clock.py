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


SLOWEST = 0.95
"""How fast a steady clock goes, of real time, while it waits for a machine's clock that was set back."""


class SteadyClock:
    """A clock whose dates never go back, whatever is done to the machine's.

    Decisions take one time for dates and durations. When a machine's clock is set forward, or the machine slept, the
    program was away as far as it can tell, and everything is made for that. When it is set back by an hour, every
    delay, silence and time-out would take an hour longer: so this one only goes a little slower until it is right.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._now_s = clock.now_s()
        self._monotonic_s = clock.monotonic_s()

    def now_s(self) -> float:
        """Unix seconds, never less than before."""
        monotonic_s = self._clock.monotonic_s()
        self._now_s = max(self._clock.now_s(), self._now_s + SLOWEST * (monotonic_s - self._monotonic_s))
        self._monotonic_s = monotonic_s
        return self._now_s

    def monotonic_s(self) -> float:
        """Seconds since some moment; never goes back."""
        return self._clock.monotonic_s()
