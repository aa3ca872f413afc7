"""A move that was begun is ended: what was taken off its host goes somewhere, whatever is said of the unit since."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.process_step import Conclude, decide_step
from treeward.supervision.row import Row
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.unplaced_step import Place, decide_unplaced

KEY = "vm.web-1"
DEFINITION = {"cpus": 2, "memory_mib": 512}
CANCELLED = Mark(outcome=Outcome.CANCELLED, reason="by ticket 6")


def handed_off(ticket: int, *, existed: bool = True) -> Event:
    return Event(
        type=EventType.HANDED_OFF, zone="zone-a", kind="vm", id="web-1", life=9, answered=4, ticket=ticket,
        at=datetime(2026, 1, 1, tzinfo=UTC), existed=existed, definition=DEFINITION if existed else None, left="h1",
    )  # fmt: skip


def unit(ticket: int, operation: str = "migrate", **fields: Any) -> Message:
    return Message.model_validate(
        {"epoch": 2, "life": 2, "ticket": ticket, "previous": 0, "operation": operation, **fields}
    )


def here(event: Event) -> Unplaced:
    row = Unplaced(KEY)
    row.answered, row.definition, row.came = event.answered, event.definition, event
    return row


@pytest.mark.parametrize("late", [{"mark": CANCELLED}, {"deadline_s": 10.0}])
def test_a_move_that_has_begun_is_too_late_to_cancel(late: dict[str, Any]) -> None:
    row = here(handed_off(5))
    assert decide_unplaced(row, unit(5, **late), zone="zone-a", now_s=11.0) == Place(DEFINITION)


def test_a_later_unit_of_what_was_handed_off_can_be_cancelled() -> None:
    row = here(handed_off(5))
    step = decide_unplaced(row, unit(6, "stop", mark=CANCELLED), zone="zone-a", now_s=11.0)
    assert step == Conclude(Outcome.CANCELLED, "by ticket 6")


def test_what_did_not_exist_when_it_was_handed_off_can_be_cancelled() -> None:
    row = here(handed_off(5, existed=False))
    step = decide_unplaced(row, unit(5, "create", mark=CANCELLED), zone="zone-a", now_s=11.0)
    assert step == Conclude(Outcome.CANCELLED, "by ticket 6")


def arrived(host: str) -> Row:
    row = Row(KEY, 20)
    row.exists, row.moved, row.host, row.device_last = True, 5, host, 4
    return row


def test_a_migrate_that_has_moved_is_answered_completed_whatever_its_mark() -> None:
    step = decide_step(arrived("h2"), unit(5, mark=CANCELLED), now_s=11.0)
    assert step == Conclude(Outcome.COMPLETED, None)


def test_another_unit_that_made_it_move_is_still_cancelled_where_it_arrived() -> None:
    step = decide_step(arrived("h2"), unit(5, "stop", mark=CANCELLED), now_s=11.0)
    assert step == Conclude(Outcome.CANCELLED, "by ticket 6")
