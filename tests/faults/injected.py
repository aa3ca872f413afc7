"""A fault as it happened, and for how long it is let stand."""

import asyncio
import time
from dataclasses import dataclass, field

from tests.faults.observer import Observer
from tests.faults.plan import Planned


@dataclass(slots=True)
class Injected:
    """A fault as it happened. `target` None: nobody was there to strike, so nothing happened."""

    planned: Planned
    at_s: float
    target: str | None = None
    held: list[str] = field(default_factory=list)
    """What the program owned at that moment."""
    dispatched: list[str] = field(default_factory=list)
    """The zones that it dispatched for."""
    ended_s: float | None = None
    note: str = ""
    recovered_s: list[float] = field(default_factory=list)
    """How long each affected resource waited, if that was measured."""

    def strikes(self, target: str) -> None:
        """It begins now."""
        self.target, self.at_s = target, time.time()

    def strikes_program(self, name: str, observer: Observer) -> None:
        """It begins now; what the program owns and dispatches for is what has to recover."""
        self.held, self.dispatched = observer.held_by(name), observer.dispatched_by(name)
        self.strikes(name)


async def last(fault: Planned) -> None:
    """Let a fault stand for as long as the plan says: the plan's own time, never a wait for an effect."""
    await asyncio.sleep(fault.duration_s)
