"""What a dispatcher sends, to whom, when again, and what it holds back: sentences of DESIGN section 5."""

from typing import Any

import pytest
from tests.support.sending import AT, PLACED, POD_EPOCH, VM, ZONE_EPOCH, Sending, event

from treeward.schemas.events import EventType, Outcome
from treeward.supervision.effects import Fetch, ReadBody, Send, Settled


def test_nothing_is_sent_before_it_is_known_where_the_resource_is() -> None:
    sending = Sending()
    sending.work(5)
    assert sending.take() == [Fetch(VM, 0)]
    sending.known()
    (message,) = sending.sent()
    assert (message.epoch, message.life, message.ticket, message.previous) == (POD_EPOCH, PLACED, 5, 0)


def test_a_resource_that_nobody_has_placed_is_its_zones() -> None:
    sending = Sending()
    sending.work(5)
    sending.take()
    sending.fold.on_fetched(VM, 0, None, 0.0)
    (send,) = sending.take()
    assert (send.partition, send.message.epoch, send.message.life) == ("zone", ZONE_EPOCH, ZONE_EPOCH)


def test_no_more_than_a_window_is_in_a_mailbox() -> None:
    sending = Sending(window=2)
    sending.known()
    for ticket in (4, 5, 6, 7):
        sending.work(ticket)
    sending.known()
    assert sending.tickets() == [4, 5]
    sending.answer(10, 4)
    assert sending.tickets() == [6]


def test_no_more_than_its_credit_is_in_the_mailboxes_of_a_pod_and_who_comes_first_is_served_first() -> None:
    sending = Sending(window=1, credit=2)
    for ticket, key in enumerate(("vm.a", "vm.b", "vm.c", "vm.d"), 4):
        sending.work(ticket, key=key)
        sending.known(key)
    assert sending.tickets() == [4, 5]
    sending.answer(10, 5, "vm.b")
    assert sending.tickets() == [6]
    sending.answer(11, 4, "vm.a")
    assert sending.tickets() == [7]


def test_a_resource_that_does_not_answer_gives_its_credit_back_and_is_sent_one_unit_at_a_time() -> None:
    sending = Sending(window=2, credit=2, resend_s=10.0)
    sending.work(4)
    sending.work(5)
    sending.known()
    sending.work(6, key="vm.other")
    sending.known("vm.other")
    assert sending.tickets() == [4, 5]
    sending.wait(10.0)
    assert sorted(sending.tickets()) == [4, 6]


def test_what_is_not_answered_is_sent_again_ever_more_slowly() -> None:
    sending = Sending(resend_s=10.0, resend_max_s=40.0)
    sending.work(4)
    sending.known()
    assert sending.tickets() == [4]
    times = []
    for second in range(1, 200):
        sending.wait(1.0)
        times += [second] * len(sending.tickets())
    assert times[:5] == [10, 30, 70, 110, 150]


@pytest.mark.parametrize("type_", [EventType.CRASHED, EventType.PLACED])
def test_a_new_life_is_sent_everything_again_from_the_first(type_: EventType) -> None:
    sending = Sending()
    sending.work(4)
    sending.work(5)
    sending.known()
    sending.take()
    sending.log(12, type_)
    assert [(message.ticket, message.life) for message in sending.sent()] == [(4, 12), (5, 12)]


def test_a_claim_of_its_pod_is_a_new_life() -> None:
    sending = Sending()
    sending.work(4)
    sending.known()
    sending.take()
    sending.log(12, EventType.CLAIMED, "pod.pod-1")
    assert [(message.epoch, message.life) for message in sending.sent()] == [(12, 12)]


@pytest.mark.parametrize("fields", [{"type_": EventType.HANDED_OFF}, {"type_": EventType.COMPLETED, "removed": True}])
def test_what_has_left_its_pod_is_sent_to_its_zone(fields: dict[str, Any]) -> None:
    sending = Sending()
    sending.work(4)
    sending.work(5)
    sending.known()
    sending.take()
    sending.log(12, ticket=4, answered=4, pod=None, host=None, **fields)
    sends = [effect for effect in sending.take() if isinstance(effect, Send)]
    assert [(send.partition, send.message.life, send.message.ticket) for send in sends] == [("zone", ZONE_EPOCH, 5)]


def test_a_fetch_that_is_behind_the_log_changes_nothing() -> None:
    sending = Sending()
    sending.work(4)
    sending.log(12, EventType.PLACED, pod="pod-1")
    sending.take()
    sending.fold.on_fetched(VM, 5, event(EventType.HANDED_OFF), 0.0)
    assert sending.fold.queues[VM].pod == "pod-1"
    assert sending.take() == []


def test_a_unit_that_was_answered_before_it_was_read_is_not_sent() -> None:
    sending = Sending()
    sending.work(4)
    sending.known(answered=4)
    assert sending.tickets() == []
    sending.work(3)
    assert sending.tickets() == []
    assert sending.fold.low_water() == 5


def test_an_outcome_settles_its_unit_and_lets_work_go_up_to_the_oldest_that_has_none() -> None:
    sending = Sending()
    for ticket, key in ((4, "vm.a"), (5, "vm.b"), (6, "vm.a")):
        sending.work(ticket, key=key)
        sending.known(key)
    sending.take()
    sending.answer(10, 5, "vm.b")
    assert [effect.ticket for effect in sending.take() if isinstance(effect, Settled)] == [5]
    assert sending.fold.low_water() == 4
    sending.answer(11, 4, "vm.a")
    assert sending.fold.low_water() == 6
    sending.answer(12, 6, "vm.a")
    assert sending.fold.low_water() == 7


def test_a_cancel_marks_the_unit_that_it_names_and_is_sent_itself() -> None:
    sending = Sending()
    sending.work(4)
    sending.known()
    sending.take()
    sending.work(5, "cancel", ticket=4, reason="not needed")
    messages = sending.sent()
    assert [(message.ticket, message.mark.outcome if message.mark else None) for message in messages] == [
        (4, Outcome.CANCELLED),
        (5, None),
    ]
    sending.log(12, EventType.CRASHED)
    assert [message.mark is not None for message in sending.sent()] == [True, False]


def test_a_cancel_of_what_was_answered_or_is_another_resources_marks_nothing() -> None:
    sending = Sending()
    sending.work(4, key="vm.other")
    sending.known("vm.other")
    sending.work(5, "cancel", ticket=4)
    sending.known()
    assert all(message.mark is None for message in sending.sent())


def test_a_unit_that_supersedes_marks_all_that_waits_before_it() -> None:
    sending = Sending()
    sending.work(4)
    sending.work(5)
    sending.work(6, "destroy", order="supersede")
    sending.known()
    marks = {message.ticket: message.mark.outcome if message.mark else None for message in sending.sent()}
    assert marks == {4: Outcome.SUPERSEDED, 5: Outcome.SUPERSEDED, 6: None}


def test_a_deadline_marks_what_it_has_passed() -> None:
    sending = Sending()
    sending.now_s = AT.timestamp()
    sending.work(4, deadline="2026-01-01T00:00:10Z")
    sending.known()
    sending.take()
    sending.wait(11.0)
    (message,) = sending.sent()
    assert message.mark is not None
    assert message.mark.outcome is Outcome.EXPIRED


def test_a_body_that_is_no_unit_is_rejected_in_its_turn() -> None:
    sending = Sending()
    sending.work(4)
    sending.fold.on_work(5, f"tw.work.zone-a.{VM}", b"{", None, 0.0, 0.0)
    sending.known()
    first, second = sending.sent()
    assert first.mark is None
    assert second.mark is not None
    assert second.mark.outcome is Outcome.REJECTED


def test_nothing_behind_a_pause_is_sent_until_a_resume_is_read() -> None:
    sending = Sending(window=8)
    sending.known()
    for ticket, operation in ((4, "pause"), (5, "start"), (6, "pause"), (7, "start")):
        sending.work(ticket, operation)
    sending.known()
    assert sending.tickets() == [4]
    sending.answer(10, 4, paused=True)
    assert sending.tickets() == []
    sending.work(8, "resume")
    assert sending.tickets() == [5, 6, 7, 8]


def test_a_pause_that_the_log_knows_of_holds_what_a_new_dispatcher_reads() -> None:
    sending = Sending()
    sending.work(5)
    sending.work(6, "pause")
    sending.known(answered=4, paused=True)
    assert sending.tickets() == []
    sending.work(7, "resume")
    assert sending.tickets() == [5, 6, 7]


def test_a_unit_waits_for_those_that_it_names_whatever_becomes_of_them() -> None:
    sending = Sending()
    sending.work(4, key="vm.other")
    sending.known("vm.other")
    sending.work(5, after=[4])
    sending.known()
    assert sending.tickets() == [4]
    sending.log(10, EventType.FAILED, "vm.other", ticket=4, answered=4)
    assert sending.tickets() == [5]


def test_a_unit_that_crashed_too_often_is_marked_failed() -> None:
    sending = Sending()
    sending.work(4, attempts_max=2)
    sending.known()
    sending.take()
    sending.log(10, EventType.CRASHED, ticket=4, attempts=1)
    (again,) = sending.sent()
    assert (again.mark, again.attempts) == (None, 1)
    sending.log(11, EventType.CRASHED, ticket=4, attempts=2)
    (last,) = sending.sent()
    assert last.mark is not None
    assert last.mark.outcome is Outcome.FAILED


def test_bodies_beyond_the_bound_are_bare_numbers_and_read_again() -> None:
    sending = Sending(window=2, bodies_max=2)
    sending.work(3)
    sending.known()
    for ticket in (4, 5, 6):
        sending.work(ticket)
    assert sending.tickets() == [3, 4]
    sending.answer(10, 3)
    asked = [effect.ticket for effect in sending.take() if isinstance(effect, ReadBody)]
    assert 5 in asked
    sending.fold.on_body(5, b'{"operation":"start"}', None, 0.0, 0.0)
    assert sending.tickets() == [5]


# --- what is forgotten with its unit ---------------------------------------------------------------------------------


def test_what_supersedes_is_forgotten_once_answered_also_while_more_comes() -> None:
    """Under load there is always one behind: the list would keep every ticket that was ever read."""
    sending = Sending()
    sending.work(1)
    sending.known(policies={"order": "supersede"})
    for ticket in range(2, 200):
        sending.work(ticket)
        sending.answer(POD_EPOCH + 100 + ticket, ticket - 1, policies={"order": "supersede"})
    assert sending.fold.queues[VM].supersedes == [199]


def test_a_deadline_is_forgotten_with_its_unit_however_far_it_is() -> None:
    sending = Sending()
    sending.known()
    for ticket in range(1, 1000):
        sending.work(ticket, deadline="2099-01-01T00:00:00Z")
        sending.known()
        sending.answer(POD_EPOCH + 100 + ticket, ticket)
    assert len(sending.fold._deadlines) <= 101
