"""What a dispatcher holds and marks because of other units: those of the pod, and those that steer."""

import json
from datetime import UTC, datetime
from typing import Any

from treeward.schemas.events import Event, EventType, Outcome
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Send
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY, OTHER = "vm.web-1", "vm.web-2"


def event(type_: EventType, key: str, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event(type=type_, zone="zone-a", kind=kind, id=id_, life=2, at=AT, **fields)


class Dispatching:
    """A dispatcher of a zone (claimed at 1) with one pod (at 2), in which both resources are."""

    def __init__(self, **pod: Any) -> None:
        self.fold = Dispatcher("zone-a", Limits())
        self.fold.on_claim(1, event(EventType.CLAIMED, "zone.zone-a"), 0.0)
        self.fold.on_claim(2, event(EventType.CLAIMED, "pod.pod-1"), 0.0)
        self.fold.know_pod("pod-1")
        self.fold.on_fetched("pod.pod-1", 4, event(EventType.COMPLETED, "pod.pod-1", definition={}, **pod), 0.0)

    def work(self, number: int, operation: str, key: str = KEY, **fields: Any) -> None:
        body = json.dumps({"operation": operation, **fields}).encode()
        self.fold.on_work(number, f"tw.work.zone-a.{key}", body, None, 0.0, 0.0)
        placed = event(EventType.PLACED, key, pod="pod-1", host="host-1")
        self.fold.on_fetched(key, 5, placed, 0.0)

    def sent(self) -> list[tuple[int, Outcome | None]]:
        """Ticket and mark of what is sent, in order."""
        effects, self.fold.effects = self.fold.effects, []
        messages = [effect.message for effect in effects if isinstance(effect, Send)]
        return [(message.ticket, message.mark.outcome if message.mark is not None else None) for message in messages]


def test_nothing_is_sent_into_a_paused_pod_until_it_is_resumed() -> None:
    dispatching = Dispatching(paused=True, answered=3)
    dispatching.work(5, "start")
    assert dispatching.sent() == []
    dispatching.fold.on_work(6, "tw.work.zone-a.pod.pod-1", b'{"operation":"resume"}', None, 0.0, 0.0)
    assert [ticket for ticket, _ in dispatching.sent()] == [5, 6]


def test_a_pause_of_a_host_holds_what_is_asked_of_it_and_nothing_that_is_on_it() -> None:
    dispatching = Dispatching()
    dispatching.work(5, "pause", "host.host-1")
    dispatching.work(6, "resize", "host.host-1", spec={"cpus": 2})
    dispatching.work(7, "start")
    assert [ticket for ticket, _ in dispatching.sent()] == [5, 7]
    dispatching.work(8, "resume", "host.host-1")
    assert [ticket for ticket, _ in dispatching.sent()] == [6, 8]


def test_a_unit_that_names_a_ticket_of_another_resource_marks_nothing() -> None:
    dispatching = Dispatching()
    dispatching.work(5, "start", OTHER)
    dispatching.work(6, "cancel", ticket=5)
    assert dispatching.sent() == [(5, None), (6, None)]
    dispatching.fold.send_again(0.0)
    assert dispatching.sent() == [(5, None), (6, None)]


def test_the_first_of_two_marks_stays() -> None:
    """It may have arrived, and have been answered with: the second would be another outcome."""
    dispatching = Dispatching()
    dispatching.work(5, "start")
    dispatching.work(6, "start", deadline="1970-01-01T00:00:01Z")
    dispatching.work(7, "cancel", ticket=6)
    assert dispatching.sent() == [(5, None), (6, None), (6, Outcome.CANCELLED), (7, None)]
    dispatching.fold.tick(1.5)
    dispatching.fold.send_again(1.5)
    assert dispatching.sent() == [(5, None), (6, Outcome.CANCELLED), (7, None)]


def test_what_steers_can_be_cancelled_although_a_policy_supersedes_what_is_beside_it() -> None:
    dispatching = Dispatching(policies={"order": "supersede"})
    dispatching.work(5, "start")
    dispatching.work(6, "release")
    dispatching.work(7, "start")
    dispatching.work(8, "cancel", ticket=6)
    told = dict(dispatching.sent())
    assert told == {5: Outcome.SUPERSEDED, 6: Outcome.CANCELLED, 7: None, 8: None}


def test_a_unit_that_supersedes_by_its_own_word_supersedes_what_a_policy_has_spared() -> None:
    dispatching = Dispatching(policies={"order": "supersede"})
    dispatching.work(5, "release")
    dispatching.work(6, "start")
    dispatching.work(7, "start", order="supersede")
    assert dict(dispatching.sent()) == {5: Outcome.SUPERSEDED, 6: Outcome.SUPERSEDED, 7: None}


def test_a_unit_that_waits_is_told_to_supersede_what_is_before_it() -> None:
    dispatching = Dispatching()
    for ticket in (5, 6, 7):
        dispatching.work(ticket, "start")
    dispatching.work(8, "amend", ticket=7, spec={"order": "supersede"})
    told = dict(dispatching.sent())
    assert told == {5: Outcome.SUPERSEDED, 6: Outcome.SUPERSEDED, 7: None, 8: None}
    dispatching.work(9, "amend", ticket=8, spec={"order": "fifo"})
    assert dict(dispatching.sent()) == {9: Outcome.REJECTED}, "there is no way back"


def test_a_unit_that_superseded_by_policy_and_is_told_to_also_supersedes_what_the_policy_spared() -> None:
    dispatching = Dispatching(policies={"order": "supersede"})
    dispatching.work(5, "release")
    dispatching.work(6, "start")
    assert dict(dispatching.sent()) == {5: None, 6: None}
    dispatching.work(7, "amend", ticket=6, spec={"order": "supersede"})
    assert dict(dispatching.sent()) == {5: Outcome.SUPERSEDED, 6: None, 7: None}


def test_what_is_superseded_cannot_be_cancelled_any_more() -> None:
    dispatching = Dispatching()
    dispatching.work(5, "start")
    dispatching.work(6, "start", order="supersede")
    dispatching.work(7, "cancel", ticket=5)
    dispatching.fold.send_again(0.0)
    assert dict(dispatching.sent()) == {5: Outcome.SUPERSEDED, 6: None, 7: None}
