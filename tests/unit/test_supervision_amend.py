"""What a process does with a later copy of a unit that it has: its mark stays, later policies count, older do not."""

from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.row import Row

CANCELLED = Mark(outcome=Outcome.CANCELLED, reason="by ticket 9")


def copy(amended: int, deadline_s: float | None, *, reallocate: bool = False, mark: Mark | None = None) -> Message:
    return Message(
        epoch=1, life=2, ticket=4, previous=0, amended=amended, deadline_s=deadline_s, reallocate=reallocate, mark=mark
    )


def test_the_unit_in_hand_has_the_latest_policies_whatever_arrives_last() -> None:
    row = Row("vm.a", 2)
    row.put(copy(0, 60.0), 16)
    assert row.take_next(0.0)
    row.put(copy(7, None, reallocate=True), 16)
    row.put(copy(5, 90.0), 16)
    assert row.hand is not None
    assert (row.hand.amended, row.hand.deadline_s, row.hand.reallocate) == (7, None, True)


def test_a_waiting_unit_has_the_latest_policies_and_keeps_its_mark() -> None:
    row = Row("vm.a", 2)
    row.put(copy(7, 90.0, mark=CANCELLED), 16)
    row.put(copy(0, 60.0), 16)
    (waiting,) = row.queue
    assert (waiting.amended, waiting.deadline_s, waiting.mark) == (7, 90.0, CANCELLED)
