"""When a dispatcher sends again, and that it keeps no more for it than the resources that wait."""

from datetime import UTC, datetime
from typing import Any

from treeward.schemas.events import Event, EventType
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Send
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits()


def event(type_: EventType, key: str, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event.model_validate(
        {"type": type_, "zone": "zone-a", "kind": kind, "id": id_, "life": 1, "at": AT} | fields
    )


def beginning() -> Dispatcher:
    dispatcher = Dispatcher("zone-a", LIMITS)
    dispatcher.on_claim(1, event(EventType.CLAIMED, "zone.zone-a"), 0.0)
    return dispatcher


def work(dispatcher: Dispatcher, ticket: int, now_s: float) -> None:
    dispatcher.on_work(ticket, "tw.work.zone-a.vm.web-1", b'{"operation":"stop"}', None, 0.0, now_s)


def sent(dispatcher: Dispatcher) -> list[int]:
    effects, dispatcher.effects = dispatcher.effects, []
    return [effect.message.ticket for effect in effects if isinstance(effect, Send)]


def test_a_resource_that_is_busy_for_an_hour_has_one_alarm() -> None:
    """At every tenth of a second one unit is in its mailbox, the last one was just answered."""
    dispatcher = beginning()
    dispatcher.on_work(1, "tw.work.zone-a.vm.web-1", b'{"operation":"stop"}', None, 0.0, 0.0)
    dispatcher.on_fetched("vm.web-1", 0, None, 0.0)
    assert sent(dispatcher) == [1]
    for ticket in range(2, 36_000):
        now_s = ticket / 10
        dispatcher.on_event(
            ticket, event(EventType.REJECTED, "vm.web-1", ticket=ticket - 1, answered=ticket - 1), now_s
        )
        work(dispatcher, ticket, now_s)
        assert sent(dispatcher) == [ticket]
        dispatcher.tick(now_s)
    assert len(dispatcher._resends) == 1


def test_a_new_life_begins_with_the_shortest_wait_again() -> None:
    dispatcher = beginning()
    work(dispatcher, 1, 0.0)
    dispatcher.on_fetched("vm.web-1", 0, None, 0.0)
    now_s = 0.0
    while dispatcher.queues["vm.web-1"].resend_s < LIMITS.resend_max_s:
        now_s += 1.0
        dispatcher.tick(now_s)
    dispatcher.on_event(2, event(EventType.CLAIMED, "zone.zone-a"), now_s)
    sent(dispatcher)
    dispatcher.tick(now_s + LIMITS.resend_s - 1.0)
    assert sent(dispatcher) == []
    dispatcher.tick(now_s + LIMITS.resend_s)
    assert sent(dispatcher) == [1]
