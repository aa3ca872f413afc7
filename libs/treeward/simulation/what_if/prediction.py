"""What a rehearsal came to: claims, crashes, moves, and what became of each unit. Values, as JSON and for people."""

from dataclasses import asdict, dataclass, field
from typing import Any

from treeward.schemas.events import Event, EventType

SHOWN_MAX = 15


@dataclass(frozen=True, slots=True)
class BranchLoss:
    """A branch whose owner is lost. Seconds count from the loss; None: not within the horizon."""

    branch: str
    owner: str
    next_owner: str | None
    claimed_after_s: float | None
    acts_after_s: float | None
    reason: str | None
    resources: int
    """What exists there: the next unit of each waits until somebody acts."""


@dataclass(frozen=True, slots=True)
class UnitFate:
    """A unit that had no outcome when the loss came."""

    ticket: int
    key: str
    operation: str
    outcome: str | None
    after_s: float | None
    reason: str | None
    called: bool
    """It was at its device: with its owner lost it is in doubt until the next one has asked the device."""
    why: tuple[str, ...] = ()
    """Of one without an outcome: what `explain` would say at the end."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the log would say of a resource after the loss."""

    key: str
    after_s: float
    what: str
    ticket: int | None
    reason: str | None
    host: str | None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The whole answer. `horizon_s`: so long was looked ahead; `settled_after_s`: when nothing was left to happen."""

    lost: str
    instances: tuple[str, ...]
    zone: str
    position: int
    branches: tuple[BranchLoss, ...] = ()
    out_of_reach: tuple[str, ...] = ()
    """Resources that nobody can act on until what was lost is back."""
    crash: tuple[Happening, ...] = ()
    move: tuple[Happening, ...] = ()
    quarantine: tuple[Happening, ...] = ()
    units: tuple[UnitFate, ...] = ()
    horizon_s: float = 0.0
    settled_after_s: float | None = None
    assumed: tuple[str, ...] = field(default_factory=tuple)

    @property
    def wait(self) -> tuple[UnitFate, ...]:
        """Units that would still have no outcome."""
        return tuple(unit for unit in self.units if unit.outcome is None)

    @property
    def fail(self) -> tuple[UnitFate, ...]:
        """Units that would be answered otherwise than `completed`."""
        return tuple(unit for unit in self.units if unit.outcome not in (None, "completed"))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "wait": [asdict(unit) for unit in self.wait], "fail": [asdict(u) for u in self.fail]}

    def sentences(self) -> list[str]:
        """For people, in the order in which one would tell it."""
        said = [f"If {self.lost} were lost now (position {self.position} of the log of {self.zone}):"]
        if not self.instances and not self.out_of_reach:
            said.append("Nothing runs there and nothing is placed there: nothing would change.")
        if self.instances:
            said.append(f"These instances would be gone: {', '.join(self.instances)}.")
        said += [_branch(branch, self.horizon_s) for branch in self.branches]
        if self.out_of_reach:
            names = _first(self.out_of_reach)
            said.append(f"{len(self.out_of_reach)} resources would be out of reach until it is back: {names}.")
        for word, happenings in (("crash", self.crash), ("move", self.move), ("be quarantined", self.quarantine)):
            if happenings:
                said.append(f"{len({each.key for each in happenings})} would {word}:")
                said += [_happening(each) for each in happenings[:SHOWN_MAX]]
                said += _more(len(happenings))
        said += self._units()
        if self.settled_after_s is not None:
            said.append(f"After {self.settled_after_s:.1f} s nothing would be left to happen.")
        said += [f"Assumed: {text}" for text in self.assumed]
        return said

    def _units(self) -> list[str]:
        if not self.units:
            return ["No unit of the zone waits or runs now: nothing would be in doubt."]
        done = [unit for unit in self.units if unit.outcome == "completed"]
        said = []
        if done:
            last_s = max(unit.after_s or 0.0 for unit in done)
            said.append(
                f"Of {len(self.units)} units without an outcome {len(done)} would complete, within {last_s:.1f} s."
            )
        for word, units in (
            ("fail or be answered otherwise", self.fail),
            (f"wait beyond {self.horizon_s:g} s", self.wait),
        ):
            if units:
                said.append(f"{len(units)} would {word}:")
                said += [_fate(unit) for unit in units[:SHOWN_MAX]]
                said += _more(len(units))
        return said


def _branch(branch: BranchLoss, horizon_s: float) -> str:
    what = f"{branch.branch} ({branch.resources} resources, now {branch.owner})"
    if branch.claimed_after_s is None:
        return f"{what} would be claimed for nobody within {horizon_s:g} s."
    text = f"{what} would be claimed for {branch.next_owner} after {branch.claimed_after_s:.1f} s"
    if branch.acts_after_s is None:
        return f"{text}, which would not act within {horizon_s:g} s."
    return f"{text}, which would act after {branch.acts_after_s:.1f} s."


def _happening(each: Happening) -> str:
    ticket = f" with ticket {each.ticket}" if each.ticket is not None else ""
    host = f" to {each.host}" if each.host is not None else ""
    return f"  {each.key}{host}{ticket} after {each.after_s:.1f} s" + (f": {each.reason}" if each.reason else "")


def _fate(unit: UnitFate) -> str:
    what = f"  ticket {unit.ticket} ({unit.operation} of {unit.key})"
    if unit.outcome is None:
        return f"{what}: {' '.join(unit.why) or 'nobody could say why'}"
    return f"{what}: {unit.outcome} after {unit.after_s:.1f} s" + (f": {unit.reason}" if unit.reason else "")


def _first(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN_MAX]) + (" and others" if len(names) > SHOWN_MAX else "")


def _more(count: int) -> list[str]:
    return [f"  and {count - SHOWN_MAX} more"] if count > SHOWN_MAX else []


def happening_of(after_s: float, event: Event) -> Happening:
    """An event as it is told."""
    host = event.host if event.type is EventType.PLACED else None
    return Happening(event.key, after_s, event.type.value, event.ticket, event.reason, host)
