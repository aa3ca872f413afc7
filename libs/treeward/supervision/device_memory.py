"""What a row takes over of what its device tells: the record, what exists, and what became of the unit in hand."""

from treeward.schemas.device import Answer
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


def learn_verdict(row: Row, unit: Message, answer: Answer, epoch: int) -> None:
    """Take over what the device remembers of the unit in hand, from the lives before."""
    if answer.last == unit.ticket:
        row.verdict = Verdict.DONE
        if unit.operation == "isolate" and not answer.isolated:  # as when it is called (`outcome_of`)
            row.device_applied, row.device_reason = False, not_fenced(answer.last_reason)
    elif answer.begun >= unit.ticket:
        row.verdict = Verdict.MAYBE_STARTED
        if row.life == epoch:  # a crash counts for itself; that the last owner vanished nobody else counts
            row.attempts = unit.attempts = unit.attempts + 1
    elif unit.attempts or row.life == epoch:
        row.verdict = Verdict.NOT_STARTED
