"""Latencies without coordinated omission: each is measured from the moment at which the unit was due.

A client that waits for one answer before it asks again does not see the queue that a stall builds up. So where a load
has a rate, `Schedule` fixes beforehand when each unit is due; one that is sent late, because the client or the server
was held up, counts from then. All samples are kept, so the quantiles are exact.
"""

from collections.abc import Iterator, Sequence

import numpy as np

QUANTILES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))


class Schedule:
    """When each unit of an open load is due: evenly, `per_s` a second from `begin_s` on."""

    def __init__(self, begin_s: float, per_s: float, count: int) -> None:
        self._begin_s, self._per_s, self._count, self._next = begin_s, per_s, count, 0

    @property
    def over(self) -> bool:
        """Whether every unit was given out."""
        return self._next >= self._count

    def due(self, now_s: float) -> Iterator[float]:
        """The times at which units were due that are due by now and have not been given out, in order."""
        while not self.over and (due_s := self._begin_s + self._next / self._per_s) <= now_s:
            self._next += 1
            yield due_s


def summary(samples_s: Sequence[float]) -> dict[str, float]:
    """Quantiles in milliseconds: the smallest sample that at least this share of all samples does not exceed."""
    if not samples_s:
        return {}
    found = np.quantile(np.asarray(samples_s), [share for _, share in QUANTILES], method="inverted_cdf")
    return {
        **{f"{name}_ms": float(value) * 1e3 for (name, _), value in zip(QUANTILES, found, strict=True)},
        "max_ms": max(samples_s) * 1e3,
    }
