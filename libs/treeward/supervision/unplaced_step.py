"""What a zone's owner does with a unit for an address that is nowhere (PROTOCOL table 2). Pure."""

from typing import Any, NamedTuple

from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.events import EventType, Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.units import STEERING, complete_spec
from treeward.supervision.isolation import NEVER_CALLED, STAYS
from treeward.supervision.process_step import Conclude
from treeward.supervision.unplaced import Unplaced


class Supervise(NamedTuple):
    """It is about a branch: its supervisor answers for it."""


class Place(NamedTuple):
    """Give it a place for this definition; a host goes to the pod that it names."""

    definition: dict[str, Any]


UnplacedStep = Conclude | Supervise | Place


def is_in_doubt(row: Unplaced, unit: Message) -> bool:
    """Whether a unit that the old device has told nothing of may have begun there."""
    came = row.came
    if came is None or came.remembered(unit.ticket) is not None:
        return False
    if came.last_unknown and came.ticket == unit.ticket:
        return True
    if came.last is not None and unit.ticket < came.last.ticket and unit.operation not in NEVER_CALLED:
        return True  # the device has answered a later one, and forgotten this one
    bound = row.in_doubt_to
    return row.in_doubt > 0 and unit.operation not in NEVER_CALLED and (bound == 0 or unit.ticket <= bound)


def left_in_doubt(row: Unplaced, unit: Message) -> int:
    """How many are still in doubt after this unit: nothing was called past one that no device is called for."""
    came = row.came
    if came is not None and came.remembered(unit.ticket) is not None:
        return row.in_doubt
    return max(0, row.in_doubt - 1) if is_in_doubt(row, unit) else 0


def decide_unplaced(row: Unplaced, unit: Message, *, zone: str, now_s: float) -> UnplacedStep:
    """Choose: what came by a hand-off is first answered with what its old device said, and then placed, whatever it is.

    Of what never was here only a create is placed; anything else names nothing.
    """
    came = row.came
    known = came.remembered(unit.ticket) if came is not None else None
    if known is not None:
        return Conclude(Outcome.COMPLETED if known.applied else Outcome.FAILED, known.reason)
    if is_in_doubt(row, unit):
        return Conclude(Outcome.FAILED, "maybe started: its device was isolated with the unit in doubt")
    if came is not None and came.existed and came.definition is not None and came.ticket == unit.ticket:
        # This unit has taken it off its host: a mark or a deadline comes too late, or what ran would be nowhere.
        return Place(came.definition)
    if unit.mark is not None:
        return Conclude(unit.mark.outcome, unit.mark.reason)
    if unit.deadline_s is not None and unit.deadline_s <= now_s:
        return Conclude(Outcome.EXPIRED, "its deadline passed before it was started")
    if unit.operation == "resume" and row.isolated:
        return Conclude(Outcome.FAILED, STAYS)
    if unit.operation in STEERING:
        return Conclude(Outcome.COMPLETED, unit.reason)
    kind = row.key.partition(".")[0]
    if kind in SUPERVISED_KINDS:
        return Supervise()
    if came is not None and came.definition is not None:
        return Place(came.definition)
    if unit.operation == "create":
        return Place(complete_spec(kind, unit.operation, unit.spec))
    if came is not None and came.type is EventType.HANDED_OFF:  # nothing existed there, as far as anybody knows
        return Place({})
    sentence = f"{zone}.{row.key} does not exist; only create can come first, not {unit.operation}"
    return Conclude(Outcome.REJECTED, sentence)
