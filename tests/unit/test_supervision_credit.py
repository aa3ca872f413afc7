"""Places in mailboxes: who finds none stands in the line of where it is now, and those that wait for a ticket once."""

from datetime import UTC, datetime

from treeward.schemas.events import Event, EventType
from treeward.supervision.credit import Credit
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.limits import Limits


def test_who_has_moved_stands_in_the_line_of_where_it_is() -> None:
    credit = Credit(1)
    assert credit.take("dead", "first") and not credit.take("dead", "moves")
    assert credit.take("full", "second") and not credit.take("full", "moves")
    credit.give_back("full")
    assert list(credit.called()) == ["moves"]


def test_a_place_in_a_line_that_was_left_calls_nobody() -> None:
    credit = Credit(1)
    assert credit.take("dead", "first") and not credit.take("dead", "moves") and not credit.take("dead", "stays")
    assert credit.take("full", "second") and not credit.take("full", "moves")
    credit.give_back("dead")
    assert list(credit.called()) == ["stays"]


def test_a_resource_that_waits_for_a_ticket_is_noted_once_however_much_comes_for_it() -> None:
    dispatcher = Dispatcher("zone-a", Limits())
    at = datetime(2026, 1, 1, tzinfo=UTC)
    dispatcher.on_claim(1, Event(type=EventType.CLAIMED, zone="zone-a", kind="zone", id="zone-a", life=0, at=at), 0.0)
    dispatcher.on_work(1, "tw.work.zone-a.vm.other", b'{"operation":"create","spec":{}}', None, 0.0, 0.0)
    dispatcher.on_fetched("vm.web-1", 0, None, 0.0)
    for ticket in range(2, 100):
        body = b'{"operation":"stop","after":[1]}'
        dispatcher.on_work(ticket, "tw.work.zone-a.vm.web-1", body, None, 0.0, 0.0)
        dispatcher.on_fetched("vm.web-1", 0, None, 0.0)
    assert [list(waiting) for waiting in dispatcher._waiters.values()] == [["vm.web-1"]]
