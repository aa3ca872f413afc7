"""The owner of a zone: what it does with messages for addresses that are here, elsewhere, or on their way back."""

from datetime import UTC, datetime
from typing import Any

from tests.support.owner_effects import take

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision.effects import Append, Fetch
from treeward.supervision.limits import Limits
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 10


def event(type_: EventType, **fields: Any) -> Event:
    return Event(type=type_, zone="zone-a", kind="vm", id="web-1", life=EPOCH, at=AT, **fields)


def message(ticket: int, operation: str = "start", previous: int = 0, epoch: int = EPOCH) -> Message:
    return Message(epoch=epoch, life=epoch, ticket=ticket, previous=previous, operation=operation)


def owner_told_that_it_is_placed() -> ZoneOwner:
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_message("vm.web-1", message(5), 0.0)
    assert take(owner) == [Fetch("vm.web-1", EPOCH)]
    owner.on_fetched("vm.web-1", 12, event(EventType.PLACED, pod="pod-1", host="host-1", answered=3), 0.0)
    assert take(owner) == []
    return owner


def test_a_message_that_is_ahead_of_the_fetch_waits_for_the_event_that_brings_the_address_back() -> None:
    owner = owner_told_that_it_is_placed()
    owner.on_event(13, event(EventType.COMPLETED, ticket=4, answered=4, removed=True), 0.0)
    (append,) = take(owner)
    assert isinstance(append, Append)
    assert (append.events[0].type, append.events[0].ticket) == (EventType.REJECTED, 5)


def test_an_event_that_is_read_before_the_older_one_is_fetched_brings_the_address_back() -> None:
    """The answer to a fetch may be seconds old, after a reconnect: it must not hide what was read meanwhile."""
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_message("vm.web-1", message(5), 0.0)
    owner.on_event(13, event(EventType.CANCELLED, ticket=4, answered=4, removed=True), 0.0)
    take(owner)
    owner.on_fetched("vm.web-1", 12, event(EventType.PLACED, pod="pod-1", host="host-1", answered=3), 0.0)
    (append,) = take(owner)
    assert isinstance(append, Append)
    assert (append.events[0].type, append.events[0].ticket) == (EventType.REJECTED, 5)


def test_what_is_read_while_it_is_fetched_takes_an_address_away_as_well() -> None:
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_message("vm.web-1", message(5), 0.0)
    owner.on_event(13, event(EventType.PLACED, pod="pod-1", host="host-1", answered=4), 0.0)
    take(owner)
    owner.on_fetched("vm.web-1", 12, event(EventType.CANCELLED, ticket=4, answered=4, removed=True), 0.0)
    assert take(owner) == []


def test_an_older_event_does_not_bring_an_address_back() -> None:
    owner = owner_told_that_it_is_placed()
    owner.on_event(11, event(EventType.COMPLETED, ticket=2, answered=2, removed=True), 0.0)
    assert take(owner) == []


def test_a_message_for_what_stays_placed_is_forgotten_with_its_row() -> None:
    owner = owner_told_that_it_is_placed()
    owner.tick(Limits().idle_row_s + 1)
    assert owner.rows == {}


def test_a_message_for_another_epoch_is_not_even_looked_up() -> None:
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_message("vm.web-1", message(5, epoch=EPOCH - 1), 0.0)
    assert (take(owner), owner.rows, owner.dropped) == ([], {}, 1)


def test_a_unit_below_what_work_holds_is_taken_for_answered() -> None:
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_work_first(8, 0.0)
    owner.on_message("vm.web-1", message(7), 0.0)
    owner.on_fetched("vm.web-1", 0, None, 0.0)
    assert [effect for effect in take(owner) if isinstance(effect, Append)] == []


def test_an_address_that_was_answered_after_it_was_removed_is_not_forgotten_too_early() -> None:
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_event(11, event(EventType.COMPLETED, ticket=5, answered=5, removed=True), 0.0)
    owner.on_event(12, event(EventType.REJECTED, ticket=9, answered=9), 0.0)
    owner.on_work_first(6, 0.0)
    assert take(owner) == []
    owner.on_work_first(10, 0.0)
    (append,) = take(owner)
    assert isinstance(append, Append)
    assert (append.events[0].type, append.events[0].answered) == (EventType.FORGOTTEN, 9)


def test_what_it_has_placed_itself_it_asks_of_nobody_who_has_not_heard_of_it() -> None:
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    owner.on_event(
        2, Event(type=EventType.COMPLETED, zone="zone-a", kind="pod", id="pod-1", life=1, at=AT, definition={}), 0.0
    )
    host = {"pod": "pod-1", "cpus": 4, "memory_mib": 4096}
    owner.on_event(
        3,
        event(EventType.COMPLETED, pod="pod-1", host="host-1", definition=host).model_copy(
            update={"kind": "host", "id": "host-1"}
        ),
        0.0,
    )
    owner.on_fold_complete()
    owner.on_message("vm.web-1", message(5, "create"), 0.0)
    owner.on_fetched("vm.web-1", 0, None, 0.0)
    append = take(owner)[-1]
    assert isinstance(append, Append)
    assert append.events[0].type is EventType.PLACED
    owner.on_appended(append.token, 12, 0.0)
    owner.on_message("vm.web-1", message(5, "create"), 0.0)
    assert take(owner) == [Fetch("vm.web-1", 12)]
