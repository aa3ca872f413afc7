"""What a mailbox has lost is sent again at once when somebody notices, and not after the slow time of the rest."""

from datetime import UTC, datetime

from treeward.schemas.events import Event, EventType
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Send
from treeward.supervision.limits import Limits


def sent(dispatcher: Dispatcher) -> list[tuple[str, int]]:
    effects, dispatcher.effects = dispatcher.effects, []
    return [(effect.key, effect.message.ticket) for effect in effects if isinstance(effect, Send)]


def dispatching(*tickets: int) -> Dispatcher:
    """A dispatcher that has sent these units of one unplaced VM to the zone supervisor."""
    dispatcher = Dispatcher("zone-a", Limits(window=4))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    claim = Event(type=EventType.CLAIMED, zone="zone-a", kind="zone", id="zone-a", life=0, at=at)
    dispatcher.on_claim(1, claim, 0.0)
    for ticket in tickets:
        dispatcher.on_work(ticket, "tw.work.zone-a.vm.web-1", b'{"operation":"create"}', None, 0.0, 0.0)
    dispatcher.on_fetched("vm.web-1", 0, None, 0.0)
    assert sent(dispatcher) == [("vm.web-1", ticket) for ticket in tickets[:4]]
    return dispatcher


def test_all_that_was_sent_and_not_answered_is_sent_again_in_order() -> None:
    dispatcher = dispatching(1, 2, 3, 4, 5)
    dispatcher.send_again(1.0)
    assert sent(dispatcher) == [("vm.web-1", 1), ("vm.web-1", 2), ("vm.web-1", 3), ("vm.web-1", 4)]


def test_sending_again_takes_no_more_credit_than_sending_once() -> None:
    dispatcher = dispatching(1, 2)
    taken = dispatcher.queues["vm.web-1"].credited
    dispatcher.send_again(1.0)
    dispatcher.send_again(2.0)
    assert dispatcher.queues["vm.web-1"].credited == taken
