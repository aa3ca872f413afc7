"""What a process does with the unit in its hand, once the device has accepted its life. Pure; nothing is changed here.

Fence first, answer second (DESIGN section 5): the device's memory speaks before any mark, and a mark before any call.
"""

from typing import NamedTuple

from treeward.schemas.events import Outcome, Verdict
from treeward.schemas.mailbox import Message
from treeward.schemas.units import STEERING
from treeward.supervision.isolation import STAYS
from treeward.supervision.move import Move
from treeward.supervision.row import Row


class Conclude(NamedTuple):
    """Answer the unit without a call."""

    outcome: Outcome
    reason: str | None


class HandOff(NamedTuple):
    """Let the resource go: it belongs elsewhere."""

    reason: str


class FindPlace(NamedTuple):
    """Find out where it could go; `host`: only there."""

    host: str | None


class Leave(NamedTuple):
    """Announce that it is about to be taken off its device: the place is another device's."""

    reason: str


class Empty(NamedTuple):
    """Take it off its device."""


class BreakDown(NamedTuple):
    """Crash: what is known contradicts itself."""

    verdict: Verdict
    reason: str


class Act(NamedTuple):
    """Call the device."""


Step = Conclude | HandOff | FindPlace | Leave | Empty | BreakDown | Act


def decide_step(row: Row, unit: Message, *, now_s: float) -> Step:
    """Choose for a READY row: the device has accepted this life, and the unit in hand was not called in it."""
    move = row.move if row.move is not None and row.move.ticket == unit.ticket else None
    if move is not None and move.leaving:  # what was announced is carried through, whatever is said of the unit since
        return HandOff(move.reason) if move.emptied else Empty()
    known = row.remembered(unit.ticket) if row.device_last >= unit.ticket else None
    if known is not None:
        return Conclude(Outcome.COMPLETED if known.applied else Outcome.FAILED, known.reason)
    if row.device_last > unit.ticket:
        reason = f"the device has answered ticket {row.device_last} already, which is later"
        return BreakDown(Verdict.MAYBE_STARTED, reason)
    if unit.operation == "migrate" and row.moved == unit.ticket and row.exists:
        return _decide_migrate(row, unit, move)  # it has moved: no mark undoes that
    if unit.mark is not None:
        return Conclude(unit.mark.outcome, unit.mark.reason)
    if unit.deadline_s is not None and unit.deadline_s <= now_s:
        return Conclude(Outcome.EXPIRED, "its deadline passed before it was started")
    if unit.operation == "resume" and row.isolated:
        return Conclude(Outcome.FAILED, STAYS)
    if unit.operation == "restore" and row.answered != (unit.spec or {}).get("answered", row.answered):
        return Conclude(
            Outcome.SUPERSEDED, f"ticket {row.answered} was answered since: what it made is what is desired"
        )
    if unit.operation in STEERING:
        return Conclude(Outcome.COMPLETED, unit.reason)
    if unit.operation == "migrate" and row.exists:
        return _decide_migrate(row, unit, move)
    if unit.reallocate and unit.attempts > 0 and row.moved != unit.ticket:
        step = _decide_move(row, move, None, f"crashed {unit.attempts} times here; its policy is to go elsewhere")
        return step or Act()  # nowhere to go: it is tried again here
    return Act()


def _decide_migrate(row: Row, unit: Message, move: Move | None) -> Step:
    """A change of host is a move: handed off once, and answered where it then is."""
    spec = unit.spec or {}
    wanted, leave = spec.get("host"), spec.get("leave")
    if row.moved == unit.ticket:
        if row.tried[:1] == (row.host,):
            others = f": {', '.join(row.tried[1:])} would not make it" if row.tried[1:] else ""
            return Conclude(Outcome.FAILED, f"it is back on {row.host}{others}")
        if wanted in (None, row.host):
            return Conclude(Outcome.COMPLETED, None)
        return Conclude(Outcome.FAILED, row.moved_reason or f"host {wanted} could not take it; it is on {row.host}")
    if wanted == row.host:
        return Conclude(Outcome.COMPLETED, f"it is on {row.host} already")
    if leave not in (None, row.host):
        return Conclude(Outcome.COMPLETED, f"it has left {leave} already, and is on {row.host}")
    step = _decide_move(row, move, wanted, unit.reason or "asked to migrate")
    if step is None:
        assert move is not None, "it was asked for a place"
        return Conclude(Outcome.FAILED, move.said.reason)
    return step


def _decide_move(row: Row, move: Move | None, wanted: str | None, reason: str) -> Step | None:
    """A place first; then the intention, if another device is to have it; then let go. None: there is no place."""
    if move is None:
        return FindPlace(wanted)
    if move.said.host is None:
        return None
    return Leave(reason) if move.said.empties and row.exists else HandOff(reason)
