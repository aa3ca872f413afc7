"""What isolating means for the units of a host or pod: who is asked to fence, and what nobody can know afterwards.

A host is fenced by its device, by a call like any other (ADR 14). A pod is fenced by a person's word: its device cannot
be reached, and nothing of it acts any more (its power is off). What was there is let go in a life of which the old
place can know nothing; the unit that may have been called there is answered `failed`, `maybe_started`, and everything
else goes on elsewhere (DESIGN section 6, a resource moves).
"""

from typing import NamedTuple

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.units import STEERING

NEVER_CALLED = frozenset({*STEERING, "migrate", ""})
"""Operations that no device is called for; the empty one is a body that is no unit."""
STAYS = "it is isolated: empty it, destroy it and create it again instead"
"""Why `resume` does not bring back what was isolated: what was on it has gone on elsewhere, and must not be there."""


def is_late(unit: Message, now_s: float) -> bool:
    """Whether its deadline has passed."""
    return unit.deadline_s is not None and unit.deadline_s <= now_s


def calls_unheard(unit: Message, now_s: float) -> bool:
    """Whether a unit is called although its host cannot be brought before its device: that is what it is for.

    The call carries the life itself. What is marked or late needs a life that the device has accepted, like any other.
    """
    return unit.operation == "isolate" and unit.mark is None and not is_late(unit, now_s)


def outcome_of(unit: Message, answer: Answer) -> tuple[Outcome, str | None]:
    """What a unit came to that its device has applied or refused.

    A device that applies `isolate` and does not say that the host is isolated has fenced nothing.
    """
    applied = answer.status is Status.APPLIED
    if unit.operation != "isolate":
        return Outcome.COMPLETED if applied else Outcome.FAILED, answer.reason
    if applied and answer.isolated:
        return Outcome.COMPLETED, unit.reason
    return Outcome.FAILED, not_fenced(answer.reason)


def not_fenced(reason: str | None) -> str:
    """Why a unit `isolate` failed, in the words of its device if it has any."""
    return f"its device cannot isolate it: {reason or 'it does not say that it did'}"


def knows_record(answer: Answer, life: int) -> bool:
    """Whether the device still has the record of what is behind an isolated host, and has let the life rise there."""
    return answer.high == life


class Doubt(NamedTuple):
    """How many units may have begun where nobody can be asked; none above ticket `up_to`, 0 if that is not known."""

    units: int
    up_to: int


NO_DOUBT = Doubt(0, 0)


def find_doubt(unit: Message, answer: Answer | None, ahead: int, fenced_at: int) -> Doubt:
    """How many units, from the first unanswered one on, may have begun at a place that can do nothing any more.

    What the place remembers is not among them. `answer` is what that is, None if it cannot be known: then as many may
    have been called as were ever allowed before an outcome is stored (`ahead`, S13), but none that was submitted after
    ticket `fenced_at`. What no device is called for lets nothing pass it.
    """
    if unit.operation in NEVER_CALLED:
        return NO_DOUBT
    if answer is None:
        return Doubt(ahead, fenced_at and max(fenced_at, unit.ticket))
    return Doubt(1, 0) if answer.begun > answer.last and answer.begun >= unit.ticket else NO_DOUBT


def behind(unit: Message, doubt: Doubt) -> Doubt:
    """What is in doubt once this unit, the first of them, is answered."""
    none_left = doubt.units <= 1 or 0 < doubt.up_to <= unit.ticket
    return NO_DOUBT if none_left else Doubt(doubt.units - 1, doubt.up_to)
