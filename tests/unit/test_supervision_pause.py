"""What a pause holds and for how long: from when its dispatcher knows of it until a later resume, if it came about."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.events import Event, EventType, Outcome
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Send
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "vm.web-1"


def event(type_: EventType, key: str = KEY, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event.model_validate(
        {"type": type_, "zone": "zone-a", "kind": kind, "id": id_, "life": 2, "at": AT} | fields
    )


def beginning() -> Dispatcher:
    """The zone is claimed at 1, its pod at 2."""
    dispatcher = Dispatcher("zone-a", Limits())
    dispatcher.log_read_up_to = 10
    dispatcher.on_claim(1, event(EventType.CLAIMED, "zone.zone-a"), 0.0)
    dispatcher.on_claim(2, event(EventType.CLAIMED, "pod.p1", definition={}), 0.0)
    return dispatcher


def work(dispatcher: Dispatcher, number: int, operation: str, key: str = KEY, **fields: Any) -> None:
    body = json.dumps({"operation": operation} | fields).encode()
    dispatcher.on_work(number, f"tw.work.zone-a.{key}", body, None, 0.0, 0.0)


def fetched(dispatcher: Dispatcher, key: str = KEY, **fields: Any) -> None:
    dispatcher.on_fetched(key, 9, event(EventType.COMPLETED, key, **fields), 0.0)


def sent(dispatcher: Dispatcher) -> list[tuple[int, Outcome | None]]:
    effects, dispatcher.effects = dispatcher.effects, []
    messages = [effect.message for effect in effects if isinstance(effect, Send)]
    return [(message.ticket, message.mark.outcome if message.mark is not None else None) for message in messages]


@pytest.mark.parametrize(
    ("otherwise", "fields"),
    [
        (Outcome.SUPERSEDED, {"operation": "destroy", "order": "supersede"}),
        (Outcome.CANCELLED, {"operation": "cancel", "ticket": 20}),
    ],
)
def test_a_pause_that_was_answered_otherwise_holds_nothing(otherwise: Outcome, fields: dict[str, Any]) -> None:
    dispatcher = beginning()
    fetched(dispatcher, "pod.p1", definition={})
    work(dispatcher, 20, "pause")
    work(dispatcher, 21, **fields)
    fetched(dispatcher, pod="p1", host="h1", answered=8)
    assert sent(dispatcher) == [(20, otherwise)]
    answer = event(EventType(otherwise.value), pod="p1", host="h1", ticket=20, answered=20)
    dispatcher.on_event(11, answer, 0.0)
    assert sent(dispatcher) == [(21, None)]


def test_a_pause_that_came_about_although_it_was_to_be_cancelled_holds() -> None:
    dispatcher = beginning()
    fetched(dispatcher, "pod.p1", definition={})
    fetched(dispatcher)
    work(dispatcher, 20, "pause")
    fetched(dispatcher, pod="p1", host="h1", answered=8)
    assert sent(dispatcher) == [(20, None)]
    work(dispatcher, 21, "cancel", ticket=20)
    work(dispatcher, 22, "stop")
    assert sent(dispatcher) == [(20, Outcome.CANCELLED)]
    dispatcher.on_event(11, event(EventType.COMPLETED, pod="p1", host="h1", ticket=20, answered=20, paused=True), 0.0)
    assert sent(dispatcher) == []
    work(dispatcher, 23, "resume")
    assert sent(dispatcher) == [(21, None), (22, None), (23, None)]


def test_of_two_pauses_the_second_holds_when_the_first_was_cancelled() -> None:
    dispatcher = beginning()
    fetched(dispatcher, "pod.p1", definition={})
    work(dispatcher, 20, "pause")
    work(dispatcher, 21, "cancel", ticket=20)
    work(dispatcher, 22, "pause")
    work(dispatcher, 23, "stop")
    fetched(dispatcher, pod="p1", host="h1", answered=8)
    dispatcher.on_event(11, event(EventType.CANCELLED, pod="p1", host="h1", ticket=20, answered=20), 0.0)
    assert sent(dispatcher) == [(20, Outcome.CANCELLED), (21, None), (22, None)]


def test_nothing_is_sent_into_a_pod_before_it_is_known_whether_it_is_paused() -> None:
    dispatcher = beginning()
    work(dispatcher, 20, "stop")
    fetched(dispatcher, pod="p1", host="h1", answered=8)
    assert sent(dispatcher) == []
    fetched(dispatcher, "pod.p1", definition={}, paused=True, answered=5)
    assert sent(dispatcher) == []
    work(dispatcher, 21, "resume", "pod.p1")
    assert sent(dispatcher) == [(20, None), (21, None)]
