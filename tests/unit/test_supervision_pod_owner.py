"""The owner of a pod: what a process does with a unit, as sentences of the specification."""

from typing import Any

import pytest
from tests.support.one_vm import KEY, PLACED, Owner, message, said

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import EventType, Outcome, Verdict
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.effects import Append, Call, Effect, GiveUp, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.row import Row


def test_the_device_is_asked_to_accept_the_life_before_anything_is_called() -> None:
    owner = Owner()
    (synchronize,) = owner.send(message())
    assert isinstance(synchronize, Synchronize)
    assert synchronize.life == PLACED
    assert isinstance(owner.answer(synchronize, Status.OK, exists=True, definition={})[-1], Call)


@pytest.mark.parametrize("status", [Status.FENCED])
def test_an_owner_that_the_device_refuses_gives_up_everything(status: Status) -> None:
    owner = Owner()
    (synchronize,) = owner.send(message())
    (given_up,) = owner.answer(synchronize, status, high=99, owner="another")
    assert isinstance(given_up, GiveUp)
    assert given_up.fenced
    assert owner.fold.rows == {}


@pytest.mark.parametrize(("applied", "expected"), [(True, EventType.COMPLETED), (False, EventType.FAILED)])
def test_what_the_device_remembers_of_a_unit_is_its_outcome_whatever_it_was_marked_with(
    applied: bool, expected: EventType
) -> None:
    mark = Mark(outcome=Outcome.CANCELLED, reason="by ticket 9")
    event = said(Owner().synchronized(message(mark=mark), last=5, last_applied=applied, begun=5))
    assert (event.type, event.ticket, event.answered) == (expected, 5, 5)


@pytest.mark.parametrize(
    "outcome", [Outcome.CANCELLED, Outcome.SUPERSEDED, Outcome.EXPIRED, Outcome.FAILED, Outcome.REJECTED]
)
def test_a_marked_unit_is_answered_with_its_mark_and_without_a_call(outcome: Outcome) -> None:
    event = said(Owner().synchronized(message(mark=Mark(outcome=outcome, reason="why"))))
    assert (event.type.value, event.reason) == (outcome.value, "why")


def test_a_unit_whose_deadline_is_past_is_not_started() -> None:
    owner = Owner()
    owner.now_s = 100.0
    assert said(owner.synchronized(message(deadline_s=99.0))).type is EventType.EXPIRED


def test_a_unit_that_was_called_before_its_deadline_is_not_expired_by_it() -> None:
    owner = Owner()
    call = owner.synchronized(message(deadline_s=1.0))
    owner.now_s = 5.0
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, exists=True, definition={})
    assert said(append).type is EventType.COMPLETED


def test_nothing_is_taken_before_the_outcome_is_in_the_log() -> None:
    owner = Owner()
    call = owner.synchronized(message(5))
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, exists=True, definition={})
    assert owner.send(message(6, previous=5)) == []
    assert isinstance(owner.store(append)[-1], Call)


def test_a_unit_that_leaves_nothing_behind_gives_the_address_back() -> None:
    owner = Owner()
    call = owner.synchronized(message(5, "destroy"))
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, exists=False)
    event = said(append)
    assert (event.removed, event.pod, event.host) == (True, None, None)
    owner.store(append)
    assert owner.fold.rows == {}


def test_a_call_without_an_answer_ends_the_life_and_counts_an_attempt() -> None:
    owner = Owner()
    owner.synchronized(message(5))
    owner.send(message(6, previous=5))
    owner.now_s = Limits().call_timeout_s + 1
    owner.fold.tick(owner.now_s)
    event = said(owner.take()[-1])
    assert (event.type, event.verdict, event.attempts, event.ticket) == (EventType.CRASHED, Verdict.MAYBE_STARTED, 1, 5)
    assert event.flushed == [6]


def test_a_device_that_is_not_reached_has_not_started_anything() -> None:
    owner = Owner()
    event = said(owner.answer(owner.synchronized(message()), Status.UNREACHABLE)[-1])
    assert (event.type, event.verdict) == (EventType.CRASHED, Verdict.NOT_STARTED)


def crash(owner: Owner, life: int) -> list[Effect]:
    """The unit is called in `life`, and the device fails; what the owner does once the crash is stored."""
    owner.now_s += 2.0
    (synchronize,) = owner.send(message(life=life))
    call = owner.answer(synchronize, Status.OK, exists=True, definition={})[-1]
    return owner.store(owner.answer(call, Status.FAILED)[-1])


def test_a_process_that_crashes_too_often_is_quarantined_until_it_is_released() -> None:
    owner = Owner()
    assert crash(owner, PLACED) == []
    assert crash(owner, owner.position) == []
    (append,) = crash(owner, owner.position)
    assert (said(append).type, said(append).quarantined) == (EventType.QUARANTINED, True)
    life = owner.position
    owner.store(append)
    assert owner.send(message(life=life)) == []
    (append,) = owner.send(message(life=life, released=7))
    assert (said(append).type, said(append).quarantined) == (EventType.RELEASED, False)
    assert isinstance(owner.store(append)[-1], Synchronize)


def test_a_unit_that_would_rather_move_is_handed_off_after_a_crash_and_only_once() -> None:
    moving = message(reallocate=True, attempts=1)
    owner = Owner()
    event = said(owner.place(owner.synchronized(moving, last=4, last_applied=True), host="host-2"))
    assert (event.type, event.existed, event.pod, event.left) == (EventType.HANDED_OFF, True, None, "host-1")
    assert event.last is not None
    assert (event.last.ticket, event.last.applied) == (4, True)
    assert isinstance(Owner(moved=5).synchronized(moving), Call)


def unreachable(owner: Owner, sent: Message) -> list[Effect]:
    """The device does not answer for where it is; what the owner does when it would try again."""
    (synchronize,) = owner.send(sent)
    assert owner.answer(synchronize, Status.UNREACHABLE, reason="host-1 does not answer") == []
    owner.now_s += 1.0
    owner.fold.tick(owner.now_s)
    return owner.take()


def test_what_was_never_called_on_a_lost_host_goes_elsewhere_without_its_device() -> None:
    owner = Owner(reserves={"cpus": 1})
    (asked,) = unreachable(owner, message(operation="create", reallocate=True))
    event = said(owner.place(asked, host="host-2"))
    assert (event.type, event.existed, event.left, event.to) == (EventType.HANDED_OFF, False, "host-1", "host-2")
    assert (event.answered, event.last, event.emptied, event.reserves) == (3, None, False, {"cpus": 1})


@pytest.mark.parametrize(
    "last",
    [
        {"type": EventType.PLACED, "existed": True, "definition": {}},
        {"type": EventType.CRASHED},
        {"type": EventType.READY, "life": PLACED},
        {"type": EventType.PLACED, "moved": 5},
    ],
    ids=["it existed where it came from", "its life began with a crash", "it was ready", "it has moved already"],
)
def test_what_may_have_been_called_there_waits_for_its_device(last: dict[str, Any]) -> None:
    effects = unreachable(Owner(**last), message(operation="create", reallocate=True))
    assert [type(effect) for effect in effects] == [Synchronize]


def test_what_a_new_owner_finds_may_have_been_called_by_the_one_before() -> None:
    owner = Owner()
    owner.fold = PodOwner("zone-a", "pod-1", PLACED + 1, Limits())
    effects = unreachable(owner, message(operation="create", epoch=PLACED + 1, life=PLACED + 1, reallocate=True))
    assert [type(effect) for effect in effects] == [Synchronize]


def test_a_call_ends_what_was_never_called() -> None:
    owner = Owner()
    call = owner.synchronized(message(operation="create", reallocate=True))
    owner.store(owner.answer(call, Status.UNREACHABLE)[-1])
    owner.now_s += 10.0
    effects = unreachable(owner, message(operation="create", life=owner.position, reallocate=True, attempts=1))
    assert [type(effect) for effect in effects] == [Synchronize]


def test_a_life_that_a_crash_began_is_not_one_that_began_with_its_place() -> None:
    row = Row(KEY, PLACED)
    row.remember(Owner().last, PLACED, PLACED - 1)
    assert row.untouched
    row.become_living(PLACED + 1)
    assert not row.untouched


def test_without_that_policy_it_waits_where_it_was_placed() -> None:
    effects = unreachable(Owner(), message(operation="create"))
    assert [type(effect) for effect in effects] == [Synchronize]


def test_without_a_place_elsewhere_it_stays_and_asks_again_when_its_device_has_failed_once_more() -> None:
    owner = Owner()
    (asked,) = unreachable(owner, message(operation="create", reallocate=True))
    synchronize = owner.place(asked, reason="no host has room")
    owner.answer(synchronize, Status.UNREACHABLE)
    owner.now_s += 5.0
    owner.fold.tick(owner.now_s)
    (asked,) = owner.take()
    assert said(owner.place(asked, host="host-2")).type is EventType.HANDED_OFF


def test_what_is_cancelled_before_it_was_called_on_a_lost_host_is_let_go_and_answered_by_the_zone() -> None:
    mark = Mark(outcome=Outcome.CANCELLED, reason="not needed")
    event = said(unreachable(Owner(), message(operation="create", mark=mark))[-1])
    assert (event.type, event.answered, event.to) == (EventType.HANDED_OFF, 3, None)


def test_a_migration_lets_go_here_and_is_answered_there() -> None:
    unit = message(5, "migrate", spec={"host": "host-2"})
    owner = Owner()
    event = said(owner.place(owner.synchronized(unit), host="host-2"))
    assert (event.type, event.left, event.to) == (EventType.HANDED_OFF, "host-1", "host-2")
    there = said(Owner(host="host-2", moved=5, existed=True).synchronized(unit))
    assert (there.type, there.host) == (EventType.COMPLETED, "host-2")
    elsewhere = said(Owner(host="host-3", moved=5, existed=True).synchronized(unit))
    assert elsewhere.type is EventType.FAILED


def test_what_existed_where_it_came_from_is_made_by_the_first_synchronize() -> None:
    owner = Owner(existed=True, definition={"cpus": 1})
    (synchronize,) = owner.send(message())
    assert isinstance(synchronize, Synchronize)
    assert synchronize.definition == {"cpus": 1}


def test_with_a_host_crash_those_in_use_on_it() -> None:
    owner = Owner()
    call = owner.synchronized(message(5))
    assert isinstance(call, Call)
    owner.fold.on_message("host.host-1", message(7, "resize"), 0.0)
    host = owner.last.model_copy(update={"kind": "host", "id": "host-1"})
    owner.take()
    owner.fold.on_fetched("host.host-1", PLACED, host, 0.0)
    (synchronize,) = owner.take()
    assert isinstance(synchronize, Synchronize)
    answer = Answer(seq=1, status=Status.OK, exists=True, definition={})
    owner.fold.on_answer("host.host-1", synchronize.token, answer, 0.0)
    host_call = owner.take()[-1]
    assert isinstance(host_call, Call)
    owner.fold.on_answer("host.host-1", host_call.token, Answer(seq=2, status=Status.FAILED), 0.0)
    crashed = {said(effect).key: said(effect).verdict for effect in owner.take() if isinstance(effect, Append)}
    assert crashed == {"host.host-1": Verdict.MAYBE_STARTED, KEY: Verdict.MAYBE_STARTED}
