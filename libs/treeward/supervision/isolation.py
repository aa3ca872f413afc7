"""What isolating means for the units of a host or pod: who is asked to fence, and what nobody can know afterwards.

A host is fenced by its device. A pod is fenced by a person's word: its device cannot be reached, and nothing of it acts
any more (its power is off). What was there is let go in a life of which the old place can know nothing; the unit that
may have been called there is answered `failed`, `maybe_started`, and everything else goes on elsewhere (DESIGN section
6, a resource moves).
"""

from treeward.schemas.device import Answer
from treeward.schemas.mailbox import Message
from treeward.schemas.units import STEERING

NEVER_CALLED = frozenset({*STEERING, "migrate", "isolate", ""})
"""Operations that no device is called for; the empty one is a body that is no unit."""
STAYS = "it is isolated: empty it, destroy it and create it again instead"
"""Why `resume` does not bring back what was isolated: what was on it has gone on elsewhere, and must not be there."""


def asks_to_isolate(unit: Message, now_s: float) -> bool:
    """Whether this unit is to be carried out by fencing; a marked or late one is answered like any other."""
    late = unit.deadline_s is not None and unit.deadline_s <= now_s
    return unit.operation == "isolate" and unit.mark is None and not late


def knows_record(answer: Answer, life: int) -> bool:
    """Whether the device still has the record of what is behind an isolated host, and has let the life rise there."""
    return answer.high == life


def is_in_doubt(unit: Message, answer: Answer | None) -> bool:
    """Whether the first unanswered unit may have been called at a place that can do nothing any more.

    `answer` is what the device side remembers of it, None if that cannot be known.
    """
    if unit.operation in NEVER_CALLED:
        return False
    return answer is None or answer.last < unit.ticket <= answer.begun
