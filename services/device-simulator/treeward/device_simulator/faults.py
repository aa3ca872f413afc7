"""The faults that stand, and which of them strikes a request. Faults live as long as the process."""

import fnmatch
import random
import re
from dataclasses import dataclass
from typing import NamedTuple

from treeward.schemas.device_control import Distribution, Fault, FaultEffect, StandingFault


class Place(NamedTuple):
    """Where a request goes, as faults see it; `operation` is the verb for all but calls."""

    zone: str
    pod: str | None
    host: str | None
    kind: str
    id: str
    operation: str
    is_call: bool


@dataclass(slots=True)
class _Standing:
    number: int
    fault: Fault
    patterns: tuple[tuple[int, re.Pattern[str]], ...]
    struck: int = 0

    @property
    def exhausted(self) -> bool:
        return self.fault.times is not None and self.struck >= self.fault.times

    def matches(self, place: Place) -> bool:
        if (
            not place.is_call
            and self.fault.effect is not FaultEffect.UNREACHABLE
            and self.fault.operation != place.operation
        ):
            return False
        for index, pattern in self.patterns:
            value = place[index]
            if value is None or pattern.fullmatch(str(value)) is None:
                return False
        return True

    def tell(self) -> StandingFault:
        return StandingFault(number=self.number, struck=self.struck, fault=self.fault)


class FaultSet:
    """Faults in the order in which they were added; of each effect the first that matches strikes."""

    def __init__(self, *, seed: int | None = None) -> None:
        self._random = random.Random(seed)
        self._standing: dict[int, _Standing] = {}
        self._number = 0

    def __bool__(self) -> bool:
        return bool(self._standing)

    def add(self, fault: Fault) -> StandingFault:
        """Let a fault stand; returns it with its number."""
        self._number += 1
        patterns = tuple(
            (index, re.compile(fnmatch.translate(pattern)))
            for index, pattern in enumerate((fault.zone, fault.pod, fault.host, fault.kind, fault.id, fault.operation))
            if pattern is not None
        )
        standing = _Standing(self._number, fault, patterns)
        self._standing[self._number] = standing
        return standing.tell()

    def tell(self) -> list[StandingFault]:
        """All that were added and not cleared, those that have struck their `times` included."""
        return [standing.tell() for standing in self._standing.values()]

    def clear(self, number: int | None) -> list[StandingFault]:
        """Take away one, or all; returns what was taken."""
        numbers = list(self._standing) if number is None else [number]
        return [self._standing.pop(each).tell() for each in numbers if each in self._standing]

    def strike(self, effect: FaultEffect, place: Place) -> StandingFault | None:
        """The fault of this effect that strikes a request there, counted as struck; None: none does."""
        for standing in self._standing.values():
            if standing.fault.effect is effect and not standing.exhausted and standing.matches(place):
                standing.struck += 1
                return standing.tell()
        return None

    def delay_s(self, place: Place) -> float:
        """How long a request there takes; 0.0 without a latency."""
        struck = self.strike(FaultEffect.LATENCY, place)
        if struck is None:
            return 0.0
        fault = struck.fault
        match fault.distribution:
            case Distribution.UNIFORM:
                return self._random.uniform(fault.seconds, fault.seconds_max or fault.seconds)
            case Distribution.LOGNORMAL:
                delay_s = fault.seconds * self._random.lognormvariate(0.0, fault.sigma)
                return delay_s if fault.seconds_max is None else min(delay_s, fault.seconds_max)
            case _:
                return fault.seconds
