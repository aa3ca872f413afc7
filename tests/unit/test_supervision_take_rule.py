"""The take rule and the fence of a pod's owner, each in the one situation for which it is there (PROTOCOL table 3)."""

from typing import Any

import pytest
from tests.support.one_vm import EPOCH, KEY, PLACED, Owner, message, said

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import EventType, Outcome, Verdict
from treeward.schemas.mailbox import Mark
from treeward.supervision.effects import Append, Call, Fetch, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner


def answered(owner: Owner, ticket: int) -> list[object]:
    """A unit is called, applied and in the log; what the owner does then."""
    call = owner.synchronized(message(ticket))
    (append,) = owner.answer(call, Status.APPLIED, last=ticket, last_applied=True, exists=True, definition={})
    return [*owner.store(append)]


def test_a_message_for_another_epoch_is_not_taken_even_if_it_names_the_life() -> None:
    """A message for the next owner of the pod reaches the old one, which has not noticed yet (PROTOCOL H3)."""
    owner = Owner()
    assert owner.send(message(epoch=EPOCH + 5)) == []
    assert (owner.fold.rows, owner.fold.dropped) == ({}, 1)


def test_a_unit_that_comes_again_after_it_was_answered_stands_in_nobodys_way() -> None:
    owner = Owner()
    assert answered(owner, 5) == []
    assert owner.send(message(5)) == []
    assert isinstance(owner.send(message(6, previous=5))[-1], Call)


def test_a_message_for_what_another_pod_has_makes_no_row() -> None:
    owner = Owner(pod="pod-2")
    assert owner.send(message()) == []
    assert owner.fold.rows == {}


def test_a_message_for_what_has_left_makes_no_row() -> None:
    owner = Owner(type=EventType.HANDED_OFF, pod=None, host=None)
    assert owner.send(message()) == []
    assert owner.fold.rows == {}


def test_a_unit_that_was_answered_before_its_row_was_made_is_not_taken() -> None:
    assert Owner(answered=5).send(message(5)) == []


def test_what_is_said_of_a_resource_says_what_was_answered_before_its_row_was_made() -> None:
    owner = Owner(answered=4)
    (synchronize,) = owner.send(message(5))
    ready, _ = owner.answer(synchronize, Status.OK, exists=True, definition={})
    assert (said(ready).type, said(ready).answered) == (EventType.READY, 4)


def test_the_last_event_is_read_from_a_replica_that_has_what_the_dispatcher_had_read() -> None:
    owner = Owner()
    owner.fold.on_message(KEY, message(seen=PLACED + 7), 0.0)
    assert owner.take() == [Fetch(KEY, PLACED + 7)]


def test_a_life_begins_where_its_resource_was_placed() -> None:
    owner = Owner()
    (synchronize,) = owner.send(message())
    assert isinstance(synchronize, Synchronize)
    assert synchronize.life == owner.position == PLACED


def test_what_waits_behind_the_unit_that_ends_a_resource_is_not_taken_here_any_more() -> None:
    """The zone places the next unit elsewhere: two objects (PROTOCOL H2)."""
    owner = Owner()
    call = owner.synchronized(message(5, "destroy"))
    owner.send(message(6, "create", previous=5))
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, exists=False)
    assert owner.store(append) == []
    assert owner.fold.rows == {}


def test_what_leaves_while_it_restarts_gives_its_place_to_who_waits() -> None:
    """Its host was isolated meanwhile: it goes elsewhere without having been accepted here."""
    crashed = {"type": EventType.CRASHED, "definition": {"cpus": 1}}
    owner = Owner(**crashed)
    owner.fold = PodOwner("zone-a", "pod-1", EPOCH, Limits(pod_restarts_at_once=1))
    (synchronize,) = owner.send(message())
    assert isinstance(synchronize, Synchronize)
    owner.fold.on_message("vm.web-2", message(6), 0.0)
    owner.fold.on_fetched("vm.web-2", PLACED, owner.last.model_copy(update={"id": "web-2"}), 0.0)
    assert [type(effect) for effect in owner.take()] == [Fetch], "it waits for its turn"
    effects = owner.answer(synchronize, Status.UNREACHABLE, isolated=True, high=PLACED, last=3, begun=3)
    (append,) = (effect for effect in effects if isinstance(effect, Append))
    assert said(append).type is EventType.HANDED_OFF
    owner.store(append)
    owner.fold.tick(1.0)
    assert [effect.key for effect in owner.take() if isinstance(effect, Synchronize)] == ["vm.web-2"]


def test_a_unit_that_was_called_without_an_answer_is_answered_in_no_way_in_that_life() -> None:
    """A mark comes while it is in doubt: the call may still take effect (PROTOCOL H8)."""
    owner = Owner()
    owner.synchronized(message())
    owner.send(message(mark=Mark(outcome=Outcome.CANCELLED, reason="by ticket 9")))
    owner.now_s = Limits().call_timeout_s + 1
    owner.fold.tick(owner.now_s)
    (crashed,) = (said(effect) for effect in owner.take() if isinstance(effect, Append))
    assert (crashed.type, crashed.verdict) == (EventType.CRASHED, Verdict.MAYBE_STARTED)


def test_after_a_crash_what_was_sent_to_the_life_before_is_void() -> None:
    owner = Owner()
    call = owner.synchronized(message())
    owner.store(owner.answer(call, Status.FAILED)[-1])
    assert owner.send(message()) == []
    owner.now_s += 10.0
    (synchronize,) = owner.send(message(life=owner.position))
    assert isinstance(synchronize, Synchronize)
    assert synchronize.life == owner.position


def test_a_life_that_is_not_accepted_in_time_is_brought_before_the_device_again() -> None:
    owner = Owner()
    (first,) = owner.send(message())
    owner.now_s = Limits().call_timeout_s + 1
    owner.fold.tick(owner.now_s)
    (again,) = (effect for effect in owner.take() if isinstance(effect, Synchronize))
    assert isinstance(first, Synchronize)
    assert (again.life, again.token != first.token) == (first.life, True)


def test_what_the_first_call_of_a_new_owner_finds_begun_has_been_attempted() -> None:
    owner = Owner()
    owner.fold = PodOwner("zone-a", "pod-1", PLACED + 1, Limits())
    unit = message(epoch=PLACED + 1, life=PLACED + 1)
    (synchronize,) = owner.send(unit)
    ready, _ = owner.answer(synchronize, Status.OK, exists=True, definition={}, last=4, begun=5)
    assert (said(ready).verdict, said(ready).attempts) == (Verdict.MAYBE_STARTED, 1)


@pytest.mark.parametrize("brought", ["taken", "called", "on its way to the log"])
def test_a_row_in_use_is_not_forgotten_however_long_that_lasts(brought: str) -> None:
    owner = Owner()
    (synchronize,) = owner.send(message())
    if brought != "taken":
        call = owner.answer(synchronize, Status.OK, exists=True, definition={})[-1]
        if brought == "on its way to the log":
            owner.answer(call, Status.APPLIED, last=5, last_applied=True, exists=True, definition={})
    for second in range(20):  # the broom comes round, before anything is called silent
        owner.fold.tick(second / 10)
        owner.fold.rows[KEY].used_s = -1000.0
    assert owner.fold.rows[KEY].hand is not None


def test_an_owner_that_is_told_to_stop_takes_nothing_more_and_ends_what_is_called() -> None:
    owner = Owner()
    call = owner.synchronized(message(5))
    owner.send(message(6, previous=5))
    owner.fold.stop_taking()
    assert not owner.fold.drained
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, exists=True, definition={})
    assert not owner.fold.drained
    assert owner.store(append) == []
    assert owner.fold.drained


def test_after_a_crash_nothing_goes_elsewhere_without_its_device() -> None:
    """The process of its host took it along; only a life that began with `placed` can know that nothing was called."""
    owner = Owner(reserves={"cpus": 1})
    moving = message(operation="create", reallocate=True)
    owner.send(moving)
    owner.fold.on_message("host.host-1", message(7, "resize"), 0.0)
    owner.take()
    owner.fold.on_fetched("host.host-1", PLACED, owner.last.model_copy(update={"kind": "host", "id": "host-1"}), 0.0)
    for status in (Status.OK, Status.FAILED):
        (request,) = (effect for effect in owner.take() if isinstance(effect, Synchronize | Call))
        answer = Answer(seq=1, status=status, exists=True, definition={})
        owner.fold.on_answer("host.host-1", request.token, answer, 0.0)
    (crashed,) = (each for each in owner.take() if isinstance(each, Append) and said(each).key == KEY)
    assert said(crashed).type is EventType.CRASHED
    owner.store(crashed)
    owner.now_s += 10.0
    (synchronize,) = owner.send(moving.model_copy(update={"life": owner.position}))
    owner.answer(synchronize, Status.UNREACHABLE)
    owner.now_s += 5.0
    owner.fold.tick(owner.now_s)
    assert [type(effect) for effect in owner.take()] == [Synchronize]


def test_what_its_device_is_ahead_of_is_not_given_back_to_the_zone() -> None:
    """The log was brought back from a backup, the device was not: it has answered units that are open here.

    Given back, the zone would have those carried out in another pod as well (PROTOCOL S2).
    """
    owner = PodOwner("zone-a", "pod-1", EPOCH, Limits())
    owner.on_message("host.host-2", message(5, "resize"), 0.0)
    last = Owner(pod="pod-1", host="host-2", definition=None, reserves={"cpus": 8}).last
    owner.on_fetched("host.host-2", PLACED, last.model_copy(update={"kind": "host", "id": "host-2"}), 0.0)
    (synchronize,) = (effect for effect in owner.effects if isinstance(effect, Synchronize))
    owner.effects = []
    owner.on_answer("host.host-2", synchronize.token, Answer(seq=1, status=Status.OK, high=PLACED, last=3), 0.0)
    (call,) = (effect for effect in owner.effects if isinstance(effect, Call))
    owner.effects = []
    ahead: dict[str, Any] = {"high": PLACED, "last": 7, "last_applied": True, "begun": 7, "exists": False}
    owner.on_answer("host.host-2", call.token, Answer(seq=2, status=Status.REFUSED, **ahead), 0.0)
    (event,) = (said(effect) for effect in owner.effects)
    assert (event.type, event.removed, event.pod) == (EventType.FAILED, False, "pod-1")
