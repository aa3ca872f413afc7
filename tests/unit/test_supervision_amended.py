"""Policies that are changed while the unit waits: the dispatcher's part of `amend`."""

from typing import Any

from tests.support.sending import Sending

from treeward.schemas.events import EventType, Outcome


def amend(sending: Sending, number: int, ticket: int, **spec: Any) -> None:
    sending.work(number, "amend", ticket=ticket, spec=spec)


def test_an_amended_deadline_holds_instead_of_the_first() -> None:
    sending = Sending()
    sending.work(4, deadline="1970-01-01T00:01:00Z")
    sending.known()
    amend(sending, 5, 4, deadline="1970-01-01T00:10:00Z")
    last = [message for message in sending.sent() if message.ticket == 4][-1]
    assert (last.deadline_s, last.amended) == (600.0, 5)
    sending.wait(70)
    assert all(message.mark is None for message in sending.sent())
    sending.wait(600)
    marks = [message.mark.outcome for message in sending.sent() if message.ticket == 4 and message.mark]
    assert marks == [Outcome.EXPIRED]


def test_a_deadline_can_be_taken_away_and_given_anew() -> None:
    sending = Sending()
    sending.work(4, deadline="1970-01-01T00:01:00Z")
    sending.known()
    amend(sending, 5, 4, deadline=None)
    sending.wait(90)
    assert all(message.mark is None for message in sending.sent())
    amend(sending, 6, 4, deadline="1970-01-01T00:02:00Z")
    sending.wait(60)
    assert [message.mark.outcome for message in sending.sent() if message.mark] == [Outcome.EXPIRED]


def test_an_amended_policy_decides_after_the_next_crash() -> None:
    sending = Sending()
    sending.work(4, attempts_max=1)
    sending.known()
    amend(sending, 5, 4, attempts_max=3, on_failure="reallocate")
    sending.take()
    sending.log(10, EventType.CRASHED, ticket=4, attempts=1)
    (again, _) = sending.sent()
    assert (again.ticket, again.mark, again.attempts, again.reallocate) == (4, None, 1, True)
    sending.log(11, EventType.CRASHED, ticket=4, attempts=3)
    (again, _) = sending.sent()
    assert again.mark is not None
    assert "attempts_max is 3" in again.mark.reason


def test_a_dispatcher_that_begins_anew_reads_the_amendment_before_it_lets_a_policy_end_a_unit() -> None:
    sending = Sending()
    sending.fold.catching_up = True
    sending.work(4, deadline="1970-01-01T00:01:00Z", on_failure="fail")
    sending.known(type=EventType.CRASHED, ticket=4, attempts=1)
    sending.wait(100)
    assert sending.sent() == []
    amend(sending, 5, 4, deadline=None, on_failure="wait")
    sending.fold.on_caught_up(sending.now_s)
    (message, _) = sending.sent()
    assert (message.ticket, message.mark, message.deadline_s) == (4, None, None)


def test_an_amend_of_what_is_answered_or_of_another_resource_changes_nothing() -> None:
    sending = Sending()
    sending.work(4)
    sending.known()
    sending.answer(10, 4)
    sending.work(5, key="vm.other")
    sending.take()
    amend(sending, 6, 5, on_failure="fail")
    amend(sending, 7, 4, on_failure="fail")
    assert [message.ticket for message in sending.sent()] == [6, 7]
