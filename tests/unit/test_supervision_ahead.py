"""Calling a hot resource ahead (PROTOCOL S13): what may overtake the log, and what is known of it afterwards."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.device import Answer, Remembered, Status
from treeward.schemas.events import DeviceOutcome, Event, EventType, Outcome, Verdict
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.effects import Append, Call, Fetch, Synchronize
from treeward.supervision.limits import AHEAD_MOST, Limits
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.row import Phase

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "vm.web-1"
EPOCH, LIFE = 10, 20
CANCELLED = Mark(outcome=Outcome.CANCELLED, reason="by ticket 9")
AHEAD = Limits(ahead_max=8)
HERE: dict[str, Any] = {"exists": True, "definition": {"cpus": 1}}


class Pod:
    """An owner with one resource that exists, in a life that its device has accepted, with units 1, 2, ... waiting."""

    def __init__(
        self, *operations: str, remembers: int = 8, limits: Limits | None = None, isolated: int = 0,
        allowed: int = 8, **told: Any,
    ) -> None:  # fmt: skip
        """`isolated`: its pod is, by a unit with this ticket. `allowed`: what its claim says."""
        self.fold = PodOwner(
            "zone-a", "pod-1", EPOCH, limits or AHEAD, isolated=isolated > 0, answered=isolated, ahead=allowed
        )
        self.appends: list[Append] = []
        self.calls: list[Call] = []
        self.position = LIFE
        placed = Event(
            type=EventType.PLACED, zone="zone-a", kind="vm", id="web-1", life=1, at=AT, pod="pod-1", host="host-1",
            definition={"cpus": 1}, answered=told.pop("answered", 0),
        )  # fmt: skip
        self.sent = placed.answered
        self.marks: dict[int, Mark] = told.pop("marks", {})
        for operation in operations:
            self.send(operation)
        (fetch,) = self.take(Fetch)
        self.fold.on_fetched(fetch.key, LIFE, placed, 0.0)
        if not isolated:
            (asked,) = self.take(Synchronize)
            answer = Answer(seq=1, status=Status.OK, remembers=remembers, **(HERE | told))
            self.fold.on_answer(KEY, asked.token, answer, 0.0)
        self.look()

    def take(self, kind: type[Any]) -> list[Any]:
        found = [effect for effect in self.fold.effects if isinstance(effect, kind)]
        self.fold.effects = [effect for effect in self.fold.effects if not isinstance(effect, kind)]
        return found

    def look(self) -> None:
        self.appends += self.take(Append)
        self.calls += self.take(Call)

    def send(self, operation: str) -> None:
        self.sent += 1
        self.fold.on_message(
            KEY,
            Message(
                epoch=EPOCH, life=LIFE, ticket=self.sent, previous=self.sent - 1, operation=operation,
                mark=self.marks.get(self.sent),
            ),
            0.0,
        )  # fmt: skip
        self.look()

    def answer(self, status: Status = Status.APPLIED, **fields: Any) -> None:
        """The device answers the last call."""
        call = self.calls[-1]
        ticket = call.message.ticket
        told = HERE | {"last": ticket, "last_applied": status is Status.APPLIED, "begun": ticket} | fields
        self.fold.on_answer(KEY, call.token, Answer(seq=1, status=status, **told), 1.0)
        self.look()

    def store(self) -> None:
        """The oldest append is stored, and the owner hears so."""
        append = self.appends.pop(0)
        self.position += 1
        self.fold.on_appended(append.token, self.position, 1.0)
        self.look()

    @property
    def called(self) -> list[int]:
        return [call.message.ticket for call in self.calls]

    @property
    def said(self) -> list[Event]:
        """What is on its way to the log, but for `ready`."""
        return [event for append in self.appends for event in append.events if event.type is not EventType.READY]


def test_the_next_unit_is_called_while_the_outcome_before_it_is_on_its_way() -> None:
    pod = Pod("kick", "kick", "kick")
    pod.answer()
    pod.answer(Status.REFUSED, reason="no")
    assert pod.called == [1, 2, 3]
    assert [(event.type, event.answered) for event in pod.said] == [(EventType.COMPLETED, 1), (EventType.FAILED, 2)]
    assert pod.fold.describe(KEY, 1.0)["ahead"] == 2


@pytest.mark.parametrize(
    ("remembers", "ahead_max", "claimed", "calls"),
    [(1, 8, 8, 1), (2, 8, 8, 2), (8, 1, 8, 1), (8, 3, 8, 3), (3, 8, 8, 3), (99, 8, 8, 8), (8, 8, 1, 1), (8, 8, 2, 2)],
)
def test_no_more_is_called_than_the_device_remembers_and_the_operator_and_the_claim_allow(
    remembers: int, ahead_max: int, claimed: int, calls: int
) -> None:
    pod = Pod(*["kick"] * 12, remembers=remembers, limits=Limits(ahead_max=ahead_max), allowed=claimed)
    for _ in range(calls):
        assert pod.fold.rows[KEY].phase is Phase.CALLED
        pod.answer()
    assert pod.fold.rows[KEY].phase is Phase.COMMITTING
    assert pod.called == list(range(1, calls + 1))
    pod.store()  # `ready`
    assert pod.called == list(range(1, calls + 1))
    pod.store()
    assert pod.called == list(range(1, calls + 2)), "an outcome is stored: there is room for one more"


def test_a_unit_that_comes_while_the_outcome_before_it_is_on_its_way_is_called_too() -> None:
    pod = Pod("kick")
    pod.answer()
    assert pod.fold.rows[KEY].phase is Phase.COMMITTING
    pod.send("kick")
    assert pod.called == [1, 2]


def test_what_is_answered_without_the_device_is_stored_before_anything_is_called() -> None:
    pod = Pod("kick", "kick", "kick", marks={2: CANCELLED})
    pod.answer()
    assert [event.ticket for event in pod.said] == [1], "the mark waits until all before it is stored"
    pod.store()
    pod.store()
    assert [(event.type, event.ticket) for event in pod.said] == [(EventType.CANCELLED, 2)]
    pod.send("kick")
    assert pod.called == [1]
    pod.store()
    assert pod.called == [1, 3]


@pytest.mark.parametrize("operation", ["pause", "migrate", "isolate", "restore", ""])
def test_some_units_are_begun_only_when_all_before_them_is_stored(operation: str) -> None:
    pod = Pod("kick", operation)
    pod.answer()
    hand = pod.fold.rows[KEY].hand
    assert (pod.called, hand.ticket if hand is not None else None) == ([1], 1)


def test_a_late_unit_is_not_called_ahead() -> None:
    pod = Pod("kick")
    pod.fold.on_message(
        KEY, Message(epoch=EPOCH, life=LIFE, ticket=2, previous=1, operation="kick", deadline_s=0.5), 0.0
    )
    pod.answer()
    assert pod.called == [1]


def test_a_gap_is_not_called_over() -> None:
    pod = Pod("kick")
    pod.fold.on_message(KEY, Message(epoch=EPOCH, life=LIFE, ticket=3, previous=2, operation="kick"), 0.0)
    pod.answer()
    assert pod.called == [1]


def test_nothing_is_called_past_what_gives_the_address_back() -> None:
    pod = Pod("destroy", "create")
    pod.answer(exists=False, definition=None)
    assert [(event.ticket, event.removed) for event in pod.said] == [(1, True)]
    assert pod.called == [1]


def test_who_is_to_stop_calls_nothing_ahead() -> None:
    pod = Pod("kick", "kick")
    pod.fold.stop_taking()
    pod.answer()
    assert pod.called == [1]
    assert not pod.fold.drained
    pod.store()
    pod.store()
    assert pod.fold.drained


def test_who_called_ahead_is_drained_when_all_of_it_is_stored() -> None:
    pod = Pod("kick", "kick")
    pod.answer()
    pod.fold.stop_taking()
    pod.answer()
    pod.store()
    pod.store()
    assert not pod.fold.drained
    pod.store()
    assert pod.fold.drained


def test_a_process_that_crashes_has_said_what_was_answered_before() -> None:
    pod = Pod("kick", "kick", "kick")
    pod.answer()
    pod.answer(Status.FAILED, reason="halfway")
    assert [(event.type, event.ticket, event.answered) for event in pod.said] == [
        (EventType.COMPLETED, 1, 1),
        (EventType.CRASHED, 2, 1),
    ]
    for _ in range(3):
        pod.store()
    row = pod.fold.rows[KEY]
    assert (row.phase, row.ahead, row.answered) == (Phase.INITIALIZED, 0, 1)


def test_a_row_at_rest_knows_how_much_its_device_remembers() -> None:
    pod = Pod("kick")
    pod.answer()
    pod.store()
    pod.store()
    pod.fold.tick(5.0)
    pod.fold.tick(5.1)
    assert KEY not in pod.fold.rows
    pod.send("kick")
    pod.send("kick")
    pod.answer()
    assert pod.called == [1, 2, 3]


# who takes over from one that called ahead

RECENT = [Remembered(ticket=1, applied=True), Remembered(ticket=2, applied=False, reason="no")]


def test_each_unit_that_the_device_remembers_is_answered_as_it_says() -> None:
    pod = Pod(*["kick"] * 4, last=3, last_applied=True, begun=4, recent=RECENT)
    pod.store()  # `ready`
    told = []
    for _ in range(3):
        (event,) = pod.said
        told.append((event.ticket, event.type, event.reason, event.verdict))
        assert pod.calls == []
        pod.store()
    assert told == [
        (1, EventType.COMPLETED, None, Verdict.DONE),
        (2, EventType.FAILED, "no", Verdict.DONE),
        (3, EventType.COMPLETED, None, Verdict.DONE),
    ]
    assert pod.called == [4]


def test_a_unit_that_was_begun_behind_those_remembered_has_maybe_started_and_counts_an_attempt() -> None:
    pod = Pod(*["kick"] * 2, last=1, last_applied=True, begun=2)
    row = pod.fold.rows[KEY]
    row.life = EPOCH  # the life began with the claim: nobody else has counted that the owner before vanished
    pod.store()
    pod.store()
    assert (pod.called, row.verdict, row.attempts) == ([2], Verdict.MAYBE_STARTED, 1)
    pod.answer()
    assert (pod.said[0].verdict, pod.said[0].attempts) == (Verdict.MAYBE_STARTED, 1)


def test_a_later_unit_that_never_began_has_no_verdict() -> None:
    pod = Pod(*["kick"] * 2, last=1, last_applied=True, begun=1)
    pod.store()
    pod.store()
    row = pod.fold.rows[KEY]
    assert (pod.called, row.verdict, row.attempts) == ([2], None, 0)


def test_what_the_device_has_passed_and_forgotten_breaks_the_process() -> None:
    pod = Pod(*["kick"] * 4, last=3, last_applied=True, begun=3, recent=RECENT[1:])
    assert [event.type for event in pod.said] == [EventType.CRASHED]


def test_of_what_is_answered_nothing_is_kept_that_the_device_remembers() -> None:
    pod = Pod("kick", answered=1, last=3, last_applied=True, recent=RECENT)
    assert [known.ticket for known in pod.fold.rows[KEY].recent] == [2]


# what is let go


def let_go(status: Status, **told: Any) -> Event:
    """The host of the resource is isolated, and its device side tells what it remembers."""
    pod = Pod.__new__(Pod)
    pod.fold = PodOwner("zone-a", "pod-1", EPOCH, AHEAD, ahead=8)
    pod.appends, pod.calls, pod.position, pod.sent, pod.marks = [], [], LIFE, 0, {}
    placed = Event(
        type=EventType.PLACED, zone="zone-a", kind="vm", id="web-1", life=1, at=AT, pod="pod-1", host="host-1",
        definition={"cpus": 1},
    )  # fmt: skip
    pod.send("kick")
    pod.take(Fetch)
    pod.fold.on_fetched(KEY, LIFE, placed, 0.0)
    (asked,) = pod.take(Synchronize)
    pod.fold.on_answer(KEY, asked.token, Answer(seq=1, status=status, isolated=True, **told), 0.0)
    pod.look()
    (event,) = pod.said
    assert event.type is EventType.HANDED_OFF
    return event


def test_all_that_the_device_remembers_goes_with_what_is_handed_off() -> None:
    event = let_go(Status.UNREACHABLE, high=LIFE, last=3, last_applied=True, begun=3, recent=RECENT, **HERE)
    assert event.last == DeviceOutcome(ticket=3, applied=True)
    assert event.recent == (
        DeviceOutcome(ticket=1, applied=True),
        DeviceOutcome(ticket=2, applied=False, reason="no"),
    )
    assert (event.in_doubt, event.last_unknown) == (0, False)


def test_what_began_behind_those_remembered_is_in_doubt_and_it_alone() -> None:
    event = let_go(Status.UNREACHABLE, high=LIFE, last=3, last_applied=True, begun=4, recent=RECENT, **HERE)
    assert (event.in_doubt, event.last_unknown) == (1, False)


def test_where_nobody_remembers_as_many_are_in_doubt_as_are_ever_called_ahead() -> None:
    event = let_go(Status.UNREACHABLE)
    assert (event.in_doubt, event.last_unknown) == (AHEAD_MOST, True)
    (event,) = Pod("kick", isolated=99).said
    assert (event.in_doubt, event.in_doubt_to, event.last_unknown) == (AHEAD_MOST, 99, True)
    (event,) = Pod("kick", isolated=99, allowed=1).said
    assert (event.in_doubt, event.last_unknown) == (1, True), "nobody was ever allowed to call ahead here"


def test_behind_a_destroy_in_an_isolated_pod_units_are_in_doubt_that_were_submitted_before_it_was_isolated() -> None:
    """The device may have refused the destroy, and gone on."""
    (event,) = Pod("destroy", isolated=99).said
    assert (event.type, event.removed) == (EventType.COMPLETED, True)
    assert (event.in_doubt, event.in_doubt_to) == (AHEAD_MOST - 1, 99)
    (event,) = Pod("destroy", isolated=1, answered=1).said
    assert (event.ticket, event.in_doubt) == (2, 0), "it was submitted after the isolation, and so is all behind it"
