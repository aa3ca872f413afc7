"""What a process does with the unit in its hand, once the device has accepted its life. Pure; nothing is changed here.

Fence first, answer second (DESIGN section 5): the device's memory speaks before any mark, and a mark before any call.
"""

from typing import NamedTuple

from treeward.schemas.events import Outcome, Verdict
from treeward.schemas.mailbox import Message
from treeward.schemas.units import STEERING
from treeward.supervision.isolation import STAYS
from treeward.supervision.row import Row


class Conclude(NamedTuple):
    """Answer the unit without a call."""

    outcome: Outcome
    reason: str | None


class HandOff(NamedTuple):
    """Let the resource go: it belongs elsewhere."""

    reason: str


class BreakDown(NamedTuple):
    """Crash: what is known contradicts itself."""

    verdict: Verdict
    reason: str


class Act(NamedTuple):
    """Call the device."""


Step = Conclude | HandOff | BreakDown | Act


def decide_step(row: Row, unit: Message, *, pod: str, may_move: bool, now_s: float) -> Step:
    """Choose for a READY row: the device has accepted this life, and the unit in hand was not called in it."""
    if row.device_last == unit.ticket:
        return Conclude(Outcome.COMPLETED if row.device_applied else Outcome.FAILED, row.device_reason)
    if row.device_last > unit.ticket:
        reason = f"the device has answered ticket {row.device_last} already, which is later"
        return BreakDown(Verdict.MAYBE_STARTED, reason)
    if unit.operation == "migrate" and row.moved == unit.ticket and row.exists:
        return _decide_migrate(row, unit, pod=pod, may_move=may_move)  # it has moved: no mark undoes that
    if unit.mark is not None:
        return Conclude(unit.mark.outcome, unit.mark.reason)
    if unit.deadline_s is not None and unit.deadline_s <= now_s:
        return Conclude(Outcome.EXPIRED, "its deadline passed before it was started")
    if unit.operation == "resume" and row.isolated:
        return Conclude(Outcome.FAILED, STAYS)
    if unit.operation in STEERING:
        return Conclude(Outcome.COMPLETED, unit.reason)
    if unit.operation == "migrate" and row.exists:
        return _decide_migrate(row, unit, pod=pod, may_move=may_move)
    if may_move and unit.reallocate and unit.attempts > 0 and row.moved != unit.ticket:
        return HandOff(f"crashed {unit.attempts} times here; its policy is to go elsewhere")
    return Act()


def _decide_migrate(row: Row, unit: Message, *, pod: str, may_move: bool) -> Step:
    """A change of host is a move: handed off once, and answered where it then is."""
    wanted = (unit.spec or {}).get("host")
    if row.moved == unit.ticket:
        if wanted in (None, row.host):
            return Conclude(Outcome.COMPLETED, None)
        return Conclude(Outcome.FAILED, row.moved_reason or f"host {wanted} could not take it; it is on {row.host}")
    if wanted == row.host:
        return Conclude(Outcome.COMPLETED, f"it is on {row.host} already")
    if not may_move:
        return Conclude(Outcome.FAILED, f"pod {pod} has a device of its own: nothing moves off it yet")
    return HandOff("asked to migrate")
