"""What a replay knows of each unit that it submitted."""

from dataclasses import dataclass, field
from typing import NamedTuple

from treeward.cli.replay.schedule import Action
from treeward.schemas.events import Event


class Answered(NamedTuple):
    """The outcome of a unit: its event, the position of it and when the log stored it (Unix seconds)."""

    event: Event
    position: int
    stored_s: float


@dataclass(slots=True)
class Submitted:
    """One unit: when it was sent, its ticket, and what became of it."""

    zone: str
    key: str
    action: Action
    body: bytes
    sent_s: float
    ticket: int | None = None
    error: str | None = None
    answer: Answered | None = None


@dataclass(slots=True)
class Records:
    """Every unit of a replay, by zone and ticket too."""

    units: list[Submitted] = field(default_factory=list)
    by_ticket: dict[tuple[str, int], Submitted] = field(default_factory=dict)
    open: dict[tuple[str, int], Submitted] = field(default_factory=dict)
    """Accepted and not answered."""
    answered: int = 0
    placed: set[tuple[str, str]] = field(default_factory=set)
    """(zone, key) of what has a place now."""
    _early: dict[tuple[str, int], Answered] = field(default_factory=dict)

    def accept(self, unit: Submitted, ticket: int) -> None:
        """A receipt has come; the answer may have been quicker."""
        unit.ticket = ticket
        name = (unit.zone, ticket)
        self.by_ticket[name] = unit
        early = self._early.pop(name, None)
        if early is None:
            self.open[name] = unit
        else:
            self._answer(unit, early)

    def read(self, event: Event, position: int, stored_s: float) -> None:
        """One event of a log, in order."""
        resource = (event.zone, event.key)
        if event.type == "placed":
            self.placed.add(resource)
        elif event.type == "handed_off" or event.removed:
            self.placed.discard(resource)
        if not event.is_outcome or event.ticket is None:
            return
        name, answer = (event.zone, event.ticket), Answered(event, position, stored_s)
        unit = self.open.pop(name, None)
        if unit is not None:
            self._answer(unit, answer)
        elif name not in self.by_ticket:
            self._early.setdefault(name, answer)

    def _answer(self, unit: Submitted, answer: Answered) -> None:
        unit.answer = answer
        self.answered += 1

    def heads(self) -> list[Submitted]:
        """The first unanswered unit of each resource."""
        first: dict[tuple[str, str], Submitted] = {}
        for unit in self.open.values():
            known = first.get((unit.zone, unit.key))
            if known is None or (unit.ticket or 0) < (known.ticket or 0):
                first[unit.zone, unit.key] = unit
        return list(first.values())
