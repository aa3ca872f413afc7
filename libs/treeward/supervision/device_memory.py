"""What a row takes over of what its device tells: the record, what exists, and what became of the unit in hand."""

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision.isolation import not_fenced
from treeward.supervision.row import Row


def learn(row: Row, answer: Answer) -> None:
    """Take over all that a device tells of its record and of what exists."""
    learn_record(row, answer)
    row.exists = answer.exists
    row.definition = answer.definition
    row.observed = answer.observed


def learn_record(row: Row, answer: Answer) -> None:
    """Take over what a device remembers; of what exists only the log knows."""
    row.device_last = answer.last
    row.device_applied = answer.last_applied
    row.device_reason = answer.last_reason
    row.exists = row.definition is not None
    if answer.status in (Status.APPLIED, Status.REFUSED):
        row.recent, row.begun = (), 0  # all before it was answered, or it would not have been called
        return
    row.remembers = answer.remembers
    row.recent = tuple(known for known in answer.recent if row.answered < known.ticket < answer.last)
    row.begun = answer.begun if answer.begun > answer.last else 0


def learn_fence(row: Row, unit: Message, answer: Answer) -> None:
    """A remembered `isolate` counts for what it has fenced, as when it is called (`outcome_of`)."""
    if unit.operation == "isolate" and answer.last == unit.ticket and not answer.isolated:
        row.device_applied, row.device_reason = False, not_fenced(answer.last_reason)


def learn_verdict(row: Row, unit: Message, epoch: int, *, first: bool) -> None:
    """What the device remembers from the lives before of the unit that was just taken.

    `first`: it is the one that was in hand when the device told.
    """
    if row.remembered(unit.ticket) is not None:
        row.verdict = Verdict.DONE
    elif row.begun >= unit.ticket:
        row.verdict = Verdict.MAYBE_STARTED
        if row.life == epoch:  # a crash counts for itself; that the last owner vanished nobody else counts
            row.attempts = unit.attempts = unit.attempts + 1
    elif first and (unit.attempts or row.life == epoch):
        row.verdict = Verdict.NOT_STARTED
