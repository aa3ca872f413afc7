"""PROTOCOL table 4, one sentence each."""

from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas.device import Remembered


def after(*calls: tuple[int, int], applied: bool = True) -> DeviceRecord:
    """A record that has answered calls of (life, ticket), all of agent-1."""
    record = DeviceRecord()
    for life, ticket in calls:
        record.become_begun(life=life, owner="agent-1", ticket=ticket)
        record.become_answered(applied=applied, reason="no room")
    return record


def during(life: int, ticket: int) -> DeviceRecord:
    record = DeviceRecord()
    record.become_begun(life=life, owner="agent-1", ticket=ticket)
    return record


def test_a_lower_life_is_fenced_whatever_it_asks() -> None:
    record = after((5, 9))
    assert record.decide_synchronize(life=4, owner="agent-1") is Decision.FENCED
    assert record.decide_call(life=4, owner="agent-1", ticket=9) is Decision.FENCED
    assert record.decide_call(life=4, owner="agent-1", ticket=10) is Decision.FENCED


def test_an_equal_life_of_another_owner_is_fenced() -> None:
    record = after((5, 9))
    assert record.decide_synchronize(life=5, owner="agent-2") is Decision.FENCED
    assert record.decide_call(life=5, owner="agent-2", ticket=10) is Decision.FENCED
    assert record.decide_call(life=5, owner="agent-1", ticket=10) is Decision.RUN


def test_the_first_owner_of_a_life_is_whoever_comes_first_even_in_life_0() -> None:
    record = DeviceRecord()
    assert record.decide_synchronize(life=0, owner="agent-1") is Decision.ACCEPT
    record.become_accepted(life=0, owner="agent-1")
    assert record.decide_synchronize(life=0, owner="agent-2") is Decision.FENCED


def test_the_life_does_not_rise_while_a_call_is_in_progress() -> None:
    record = during(5, 9)
    assert record.decide_synchronize(life=6, owner="agent-2") is Decision.BUSY
    assert record.decide_call(life=6, owner="agent-2", ticket=9) is Decision.BUSY
    record.become_answered(applied=True)
    assert record.decide_synchronize(life=6, owner="agent-2") is Decision.ACCEPT


def test_synchronizing_in_the_same_life_is_allowed_during_a_call() -> None:
    assert during(5, 9).decide_synchronize(life=5, owner="agent-1") is Decision.ACCEPT


def test_a_ticket_is_answered_from_memory_in_a_later_life_too() -> None:
    record = after((5, 9))
    assert record.decide_call(life=6, owner="agent-2", ticket=9) is Decision.REMEMBERED
    assert (record.last, record.applied, record.reason) == (9, True, None)


def test_a_refusal_is_remembered_like_an_effect() -> None:
    record = after((5, 9), applied=False)
    assert record.decide_call(life=5, owner="agent-1", ticket=9) is Decision.REMEMBERED
    assert (record.last, record.applied, record.reason) == (9, False, "no room")


def answering(remembers: int, *tickets: int) -> DeviceRecord:
    """A record that has answered these, the even ones applied, the odd ones refused for a reason of their own."""
    record = DeviceRecord(remembers=remembers)
    for ticket in tickets:
        record.become_begun(life=5, owner="agent-1", ticket=ticket)
        record.become_answered(applied=ticket % 2 == 0, reason=f"no room for {ticket}")
    return record


def test_each_of_the_last_tickets_is_answered_as_it_was() -> None:
    record = answering(3, 4, 7, 8, 11)
    for life, owner in ((5, "agent-1"), (6, "agent-2")):
        for ticket in (7, 8, 11):
            assert record.decide_call(life=life, owner=owner, ticket=ticket) is Decision.REMEMBERED
    assert record.recall(7) == Remembered(ticket=7, applied=False, reason="no room for 7")
    assert record.recall(8) == Remembered(ticket=8, applied=True)
    assert record.recall(11) == Remembered(ticket=11, applied=False, reason="no room for 11")
    assert record.recent == (record.recall(7), record.recall(8))


def test_the_one_before_the_last_tickets_is_older_and_so_is_what_was_never_called() -> None:
    record = answering(3, 4, 7, 8, 11)
    for ticket in (4, 3, 5, 9, 10):
        assert record.decide_call(life=5, owner="agent-1", ticket=ticket) is Decision.OLDER


def test_what_is_remembered_is_answered_while_the_next_is_in_progress() -> None:
    record = answering(2, 4, 7)
    record.become_begun(life=5, owner="agent-1", ticket=8)
    assert record.decide_call(life=5, owner="agent-1", ticket=4) is Decision.REMEMBERED
    assert record.decide_call(life=5, owner="agent-1", ticket=8) is Decision.JOIN
    record.become_broken_off()
    assert [known.ticket for known in record.recent] == [4], "what ended halfway displaces nothing"


def test_what_is_found_to_have_taken_effect_displaces_the_oldest() -> None:
    record = answering(2, 4, 7)
    record.become_begun(life=5, owner="agent-1", ticket=8)
    record.become_broken_off()
    record.become_found_applied()
    assert (record.last, [known.ticket for known in record.recent]) == (8, [7])
    assert record.decide_ticket(4) is Decision.OLDER


def test_an_older_ticket_is_refused() -> None:
    assert after((5, 9)).decide_call(life=5, owner="agent-1", ticket=8) is Decision.OLDER


def test_a_repeated_call_joins_the_one_in_progress() -> None:
    assert during(5, 9).decide_call(life=5, owner="agent-1", ticket=9) is Decision.JOIN


def test_another_ticket_never_runs_beside_the_one_in_progress() -> None:
    record = during(5, 9)
    assert record.decide_call(life=5, owner="agent-1", ticket=10) is Decision.BUSY
    assert record.decide_call(life=5, owner="agent-1", ticket=8) is Decision.BUSY


def test_a_call_raises_the_life_and_fences_those_before() -> None:
    record = after((5, 9))
    record.become_begun(life=7, owner="agent-2", ticket=10)
    assert (record.high, record.owner) == (7, "agent-2")
    record.become_answered(applied=True)
    assert record.decide_synchronize(life=6, owner="agent-1") is Decision.FENCED


def test_a_call_that_ended_halfway_is_not_remembered_but_told() -> None:
    record = after((5, 9))
    record.become_begun(life=5, owner="agent-1", ticket=10)
    record.become_broken_off()
    assert (record.last, record.begun, record.in_progress) == (9, 10, None)
    assert record.decide_call(life=5, owner="agent-1", ticket=10) is Decision.RUN


def test_a_late_synchronize_does_not_make_again_what_its_life_has_destroyed() -> None:
    record = after((5, 9))
    record.become_accepted(life=6, owner="agent-1")
    assert record.decide_make(life=6)
    record.become_begun(life=6, owner="agent-1", ticket=10)
    record.become_answered(applied=True)
    assert not record.decide_make(life=6)
    assert record.decide_make(life=7)


def test_a_call_that_did_nothing_at_all_has_not_begun() -> None:
    record = after((5, 9))
    record.become_begun(life=5, owner="agent-1", ticket=10)
    record.become_withdrawn(begun=9)
    assert (record.last, record.begun, record.in_progress) == (9, 9, None)
    assert record.decide_call(life=5, owner="agent-1", ticket=10) is Decision.RUN


def test_a_call_that_is_found_to_have_taken_effect_is_remembered_as_applied() -> None:
    record = after((5, 9), applied=False)
    record.become_begun(life=5, owner="agent-1", ticket=10)
    record.become_broken_off()
    record.become_found_applied()
    assert (record.last, record.applied, record.reason) == (10, True, None)
    assert record.decide_call(life=6, owner="agent-2", ticket=10) is Decision.REMEMBERED
