"""`explain`, sentence by sentence: facts in, what a person reads out."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.api_facts import KEY, NOW_S, POD, PRESENT, SENT, ZONE, event, facts, unit, unplaced

from treeward.orchestrator.api.asking import Does, asking_of
from treeward.orchestrator.api.explaining import explain, explain_unknown
from treeward.orchestrator.api.facts import Answered, Asked, Branch, OwnerSays, Presence, Submitted
from treeward.orchestrator.describe import Held
from treeward.schemas.api.explain import ExplainAnswer, Wait
from treeward.schemas.api.queued import Stage
from treeward.schemas.events import Event, EventType, Outcome, Verdict


def said(answer: ExplainAnswer) -> str:
    return " ".join(answer.sentences)


# --- answered, unknown, somebody else's ------------------------------------------------------------------------------


def test_an_answered_ticket_is_told_with_outcome_age_position_and_reason() -> None:
    outcome = Answered(44, event(EventType.FAILED, ticket=9, reason="no such image"), NOW_S - 180)
    answer = explain(facts(), Asked(ticket=9, submitted=Submitted(KEY, "create", NOW_S - 200), outcome=outcome))
    assert answer.sentences == [
        "Ticket 9 (create of zone-a.vm.web-1) was answered `failed` 3 min ago, "
        "at position 44 of the log: no such image."
    ]
    assert (answer.outcome, answer.waits_for, answer.unit) == (Outcome.FAILED, Wait.NOTHING, None)


def test_an_answered_ticket_whose_outcome_is_gone_from_the_log() -> None:
    answer = explain(facts(), Asked(ticket=9, submitted=Submitted(KEY, "create", NOW_S - 200)))
    assert "was answered; its outcome has aged out of the log" in said(answer)
    assert answer.outcome is None


def test_a_ticket_that_the_zone_has_not_accepted_yet() -> None:
    answer = explain_unknown("zone-a", Asked(ticket=99, accepted_first=1, accepted_last=12))
    assert answer.sentences == ["Zone zone-a has not accepted a ticket 99; the last is 12."]


def test_a_ticket_in_a_zone_that_has_accepted_none() -> None:
    assert "it has accepted none" in said(explain_unknown("zone-a", Asked(ticket=1)))


def test_a_ticket_older_than_the_history() -> None:
    answer = explain_unknown("zone-a", Asked(ticket=3, accepted_first=17, accepted_last=90))
    assert answer.sentences == ["Ticket 3 is older than the history of zone zone-a, which begins at ticket 17."]


def test_a_ticket_of_another_resource() -> None:
    answer = explain(facts(unit(11)), Asked(ticket=11, key="vm.web-2"))
    assert answer.sentences == ["Ticket 11 is of zone-a.vm.web-1, not of zone-a.vm.web-2."]


# --- a resource for which nothing waits ------------------------------------------------------------------------------


def test_a_resource_that_nobody_has_heard_of() -> None:
    silent = replace(facts(), last=None, owner=ZONE, held=Held(), says=OwnerSays())
    answer = explain(silent, Asked(key=KEY))
    assert answer.sentences == ["Nothing was ever said of zone-a.vm.web-1, and no unit waits for it."]
    assert answer.state is None


def test_a_resource_at_rest_is_told_with_its_place_and_its_last_event() -> None:
    answer = explain(facts(), Asked(key=KEY))
    assert answer.sentences == [
        "zone-a.vm.web-1 exists on host h1 of pod pod-1.",
        "The last that was said of it is `completed` of ticket 10, 30 s ago.",
        "No unit waits for it.",
    ]


def test_a_resource_that_is_gone() -> None:
    gone = event(definition=None, pod=None, host=None, removed=True)
    assert said(explain(unplaced(says={}, last=gone), Asked(key=KEY))).startswith("zone-a.vm.web-1 does not exist.")


def test_a_paused_resource_without_units_says_what_would_wait() -> None:
    assert "It is paused" in said(explain(facts(last=event(paused=True)), Asked(key=KEY)))


def test_a_quarantined_resource_waits_for_a_release() -> None:
    last = event(EventType.QUARANTINED, quarantined=True, ticket=None, reason="crashed 6 times within 60 s")
    answer = explain(facts(last=last), Asked(key=KEY))
    assert answer.waits_for is Wait.QUARANTINE
    assert "`release`" in said(answer)
    assert "crashed 6 times within 60 s" in said(answer)


# --- held in WORK ----------------------------------------------------------------------------------------------------


def test_a_unit_behind_others_names_them_and_explains_the_first() -> None:
    first = {"phase": "called", "ticket": 11, "taken_s": 2.0, "called_s": 1.5}
    answer = explain(facts(unit(11, sent=True), unit(12, sent=True), unit(13), says=first), Asked(ticket=13))
    assert answer.waits_for is Wait.QUEUE
    assert answer.behind == [11, 12]
    assert "Before it come tickets 11 and 12 of the same resource" in said(answer)
    assert "Of the first of them, ticket 11 (stop):" in answer.sentences
    assert "the device has been at it for 1.5 s" in said(answer)


def test_many_tickets_ahead_are_counted_rather_than_listed() -> None:
    answer = explain(facts(*(unit(number, sent=True) for number in range(11, 31))), Asked(ticket=30))
    assert "tickets 11, 12, 13, 14, 15 and 14 more" in said(answer)


def test_a_pause_of_the_resource_holds_what_is_behind_it() -> None:
    answer = explain(facts(unit(12), held_by=11), Asked(ticket=12))
    assert answer.waits_for is Wait.PAUSE
    assert "Ticket 11 paused zone-a.vm.web-1" in said(answer)
    assert "`resume`" in said(answer)
    assert answer.unit is not None
    assert answer.unit.stage is Stage.HELD


def test_a_pause_of_the_pod_holds_its_resources() -> None:
    answer = explain(facts(unit(12), held_by_pod=5), Asked(ticket=12))
    assert answer.waits_for is Wait.PAUSE
    assert "Ticket 5 paused pod pod-1" in said(answer)


def test_a_unit_from_before_the_pause_is_not_held() -> None:
    answer = explain(facts(unit(11), held_by=12), Asked(ticket=11))
    assert answer.waits_for is Wait.NOTHING
    assert "about to be sent" in said(answer)


def test_a_unit_waits_for_the_tickets_it_names_and_says_whose_they_are() -> None:
    answer = explain(facts(unit(12, after=[3, 4])), Asked(ticket=12, others={3: "volume.v1", 4: "host.h9"}))
    assert answer.waits_for is Wait.AFTER
    assert "until tickets 3 and 4 (host.h9, volume.v1) have an outcome" in said(answer)


def test_a_unit_that_is_behind_another_and_held_itself_says_both() -> None:
    answer = explain(facts(unit(11), unit(12, after=[3])), Asked(ticket=12))
    assert answer.waits_for is Wait.QUEUE
    assert "And of ticket 12 itself:" in answer.sentences


def test_a_marked_unit_says_what_it_will_be_answered_with() -> None:
    answer = explain(facts(unit(12, mark=Outcome.CANCELLED, mark_reason="by ticket 14"), held_by=11), Asked(ticket=12))
    assert "It will not be started: `cancelled` is decided: by ticket 14." in said(answer)
    assert answer.waits_for is not Wait.PAUSE, "what is not started anyway is not held"


def test_a_unit_stands_in_line_for_credit() -> None:
    answer = explain(facts(unit(12), waits_for_credit=True), Asked(ticket=12))
    assert answer.waits_for is Wait.CREDIT
    assert "hold 4096 unanswered units" in said(answer)


def test_a_dispatcher_that_reads_the_last_event_first() -> None:
    assert "is reading the last event" in said(explain(facts(unit(12), fetching=True, position=-1), Asked(ticket=12)))


def test_a_dispatcher_that_knows_no_owner_yet() -> None:
    answer = explain(facts(unit(12), epoch=0), Asked(ticket=12))
    assert answer.waits_for is Wait.OWNER
    assert "Nobody has been claimed as the owner of pod pod-1 yet; that is up to the zone supervisor." in said(answer)


def test_a_dispatcher_that_does_not_answer_is_said_and_no_error() -> None:
    asked = Asked(ticket=12, submitted=Submitted(KEY, "stop", NOW_S - 4))
    answer = explain(replace(facts(), held=None), asked)
    assert "Ticket 12 (stop of zone-a.vm.web-1) was accepted 4.0 s ago and has no outcome yet." in answer.sentences
    assert "did not answer within 0.5 s" in said(answer)
    assert answer.silent == ["dispatcher"]


def test_a_dispatcher_that_is_still_reading_work() -> None:
    reading = Held(read_up_to=5, caught_up=False)
    answer = explain(replace(facts(), held=reading), Asked(ticket=12, submitted=Submitted(KEY, "stop", NOW_S)))
    assert "is still reading WORK and has come to ticket 5" in said(answer)


def test_a_unit_between_dispatcher_and_outcome() -> None:
    asked = Asked(ticket=12, submitted=Submitted(KEY, "stop", NOW_S))
    assert "it is being answered right now, or was" in said(explain(facts(), asked))


# --- at its owner ----------------------------------------------------------------------------------------------------


def owned(branch: Branch, says: OwnerSays | None = None) -> ExplainAnswer:
    return explain(replace(facts(SENT), owner=branch, says=says), Asked(ticket=12))


def test_no_owner() -> None:
    answer = owned(Branch("zone-a.pod-1"))
    assert answer.waits_for is Wait.OWNER
    assert "Nobody has been claimed as the owner of pod pod-1 yet; that is up to the zone supervisor." in said(answer)


def test_a_suspected_owner() -> None:
    answer = owned(POD._replace(presence=Presence("silent", "agent-1", 1.7)))
    assert answer.waits_for is Wait.OWNER
    assert "agent-1-abc, is suspected: silent for 1.7 s" in said(answer)
    assert "after 1.5 s of silence" in said(answer)
    assert answer.silent == ["owner"]


def test_an_owner_that_is_shutting_down() -> None:
    assert "is shutting down" in said(owned(POD._replace(presence=Presence("leaving", "agent-1", 0.1))))


def test_an_owner_of_whom_nothing_is_heard() -> None:
    assert "was named 60 s ago; nothing is heard of it" in said(owned(POD._replace(presence=Presence())))


def test_an_owner_that_does_not_act_in_its_epoch_yet() -> None:
    answer = owned(POD._replace(presence=PRESENT._replace(epochs=frozenset())))
    assert answer.waits_for is Wait.OWNER
    assert "does not act in epoch 40 yet" in said(answer)


def test_an_owner_that_is_there_and_does_not_answer() -> None:
    answer = owned(POD)
    assert answer.waits_for is Wait.OWNER
    assert "did not answer within 0.5 s; what it has in hand is not known" in said(answer)


def at_owner(last: Event | None = None, slow: bool = False, **says: Any) -> ExplainAnswer:
    return explain(facts(SENT, last=last, says=says, slow=slow), Asked(ticket=12))


def test_an_owner_that_takes_nothing_more() -> None:
    answer = at_owner(phase="ready", stopping=True)
    assert answer.waits_for is Wait.OWNER
    assert "takes nothing more" in said(answer)


def test_a_message_on_its_way_says_when_it_is_sent_again() -> None:
    answer = at_owner(phase="absent")
    assert answer.waits_for is Wait.NOTHING
    assert "it is sent again in 12 s" in said(answer)


def test_a_message_that_waits_for_the_last_event_of_its_resource() -> None:
    assert "It has arrived" in said(at_owner(phase="fetching"))


def test_a_unit_behind_one_that_the_dispatcher_thinks_answered() -> None:
    answer = at_owner(phase="called", ticket=9)
    assert answer.waits_for is Wait.QUEUE
    assert "Its process has ticket 9 in hand." in answer.sentences


def test_a_unit_in_the_mailbox() -> None:
    assert "It is in the mailbox" in said(at_owner(phase="ready", waiting=[12]))


def test_a_called_unit_waits_for_the_device_and_is_in_doubt_meanwhile() -> None:
    answer = at_owner(phase="called", ticket=12, operation="stop", taken_s=3.0, called_s=2.1)
    assert answer.waits_for is Wait.DEVICE
    assert "agent-1-abc has had it in hand for 3.0 s; the device has been at it for 2.1 s." in said(answer)
    assert "After 30 s without an answer its process crashes" in said(answer)
    assert "Until the device answers, nobody knows whether ticket 12 takes effect." in answer.sentences
    assert answer.unit is not None
    assert answer.unit.stage is Stage.IN_HAND
    assert answer.state is not None
    assert answer.state.doubt is not None


def test_a_unit_that_was_called_ahead_says_how_many_outcomes_before_it_are_not_stored() -> None:
    answer = at_owner(phase="called", ticket=12, operation="stop", taken_s=3.0, called_s=2.1, ahead=3)
    assert "It was called ahead: 3 outcomes before it are on their way to the log." in said(answer)


def test_an_unreachable_device() -> None:
    answer = at_owner(
        phase="synchronizing", ticket=12, device="tcp://10.0.0.1:7447", link="connecting", link_error="refused"
    )
    assert answer.waits_for is Wait.DEVICE
    assert "The device tcp://10.0.0.1:7447 cannot be reached: refused; it is tried without end." in answer.sentences


def test_a_busy_device_says_when_it_is_asked_again() -> None:
    answer = at_owner(phase="initialized", ticket=12, retries=2, retry_in_s=0.4, reason="busy: call 11 in progress")
    assert answer.waits_for is Wait.DEVICE
    assert "does not accept the new life: busy: call 11 in progress. It is asked again in 0.4 s." in said(answer)


def test_a_crashed_process_backs_off() -> None:
    last = event(EventType.CRASHED, ticket=12, verdict=Verdict.NOT_STARTED, reason="unreachable")
    answer = at_owner(last, phase="initialized", ticket=12, crashes=2, retry_in_s=1.3)
    assert answer.waits_for is Wait.BACK_OFF
    assert "Its process crashed twice within 60 s: unreachable. It is tried again in 1.3 s" in said(answer)
    assert "after more than 5 restarts it is quarantined" in said(answer)


def test_a_quarantined_process() -> None:
    answer = at_owner(phase="quarantined", reason="crashed 6 times within 60 s")
    assert answer.waits_for is Wait.QUARANTINE
    assert "crashed 6 times within 60 s. It waits until somebody submits `release`." in said(answer)


def test_a_unit_in_hand_that_is_about_to_begin() -> None:
    assert "is about to begin" in said(at_owner(phase="ready", ticket=12))


def test_an_outcome_on_its_way() -> None:
    assert "on its way to the log" in said(at_owner(phase="committing", ticket=12))


def test_a_unit_that_was_not_answered_for_long_is_sent_more_rarely() -> None:
    assert "the next time in 12 s" in said(at_owner(phase="absent", slow=True))


def test_attempts_and_deadline_are_told() -> None:
    pending = unit(12, sent=True, attempts=2, deadline_s=NOW_S + 90)
    answer = explain(facts(pending, says={"phase": "ready", "ticket": 12}), Asked(ticket=12))
    assert "It was called twice without an answer; after 5 times it is `failed`." in answer.sentences
    assert "Its deadline, for the start, is in 90 s; not started by then it is `expired`." in answer.sentences


# --- without a place -------------------------------------------------------------------------------------------------


def test_a_create_that_fits_nowhere_says_why() -> None:
    says = {"phase": "unplaced", "ticket": 12, "homeless": True, "reason": "no host has room for 4 cpus, 512 MiB now"}
    answer = explain(unplaced(SENT, says=says), Asked(ticket=12))
    assert answer.waits_for is Wait.ROOM
    assert "There is no place for it: no host has room for 4 cpus, 512 MiB now." in said(answer)


def test_a_zone_supervisor_that_does_not_know_yet_who_is_where() -> None:
    says = {"phase": "unplaced", "ticket": 12, "homeless": True, "fold_complete": False}
    answer = explain(unplaced(SENT, says=says), Asked(ticket=12))
    assert answer.waits_for is Wait.ROOM
    assert "still reading who is where" in said(answer)


def test_a_resource_that_was_handed_off_and_finds_no_place() -> None:
    last = event(EventType.HANDED_OFF, pod=None, host=None, existed=True, ticket=12, reason="asked to migrate")
    says = {"phase": "unplaced", "ticket": 12, "homeless": True, "reason": "no host has room"}
    answer = explain(unplaced(SENT, says=says, last=last), Asked(ticket=12))
    assert answer.waits_for is Wait.HAND_OFF
    assert "Its last pod handed it off: asked to migrate." in answer.sentences


def test_a_unit_that_the_zone_supervisor_is_about_to_place() -> None:
    answer = explain(unplaced(SENT, says={"phase": "unplaced", "ticket": 12}), Asked(ticket=12))
    assert "about to place or answer it" in said(answer)


def test_a_process_in_the_line_of_its_pod_says_its_place_and_when_its_turn_comes() -> None:
    answer = at_owner(phase="initialized", ticket=12, line_place=800, line_of=2000, restarts_per_s=200.0)
    assert answer.waits_for is Wait.BUDGET
    assert "stands in line to be restarted, with 1999 others: 800 are before it" in said(answer)
    assert "restarts 200 in a second, so its turn comes in 4.0 s or later" in said(answer)


def test_an_owner_that_suspects_itself_says_so_and_blames_nobody() -> None:
    last = event(EventType.CRASHED, ticket=12, verdict=Verdict.MAYBE_STARTED, reason="failed")
    answer = at_owner(
        last, phase="initialized", ticket=12, retry_in_s=1.3, suspects="the device is reached, and fails",
        suspects_for_s=5.0,
    )  # fmt: skip
    assert "It is tried again in 1.3 s, and that does not count against it." in said(answer)
    assert "its owner suspects itself (the device is reached, and fails), and blames none of them." in said(answer)


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        (None, "nothing is known yet of what is done about it."),
        ({"claim_in_s": 1.5}, "pod pod-1 is claimed anew in 1.5 s, for another instance if there is one."),
        ({"claim_in_s": 0.0}, "pod pod-1 is claimed anew now, for another instance if there is one."),
        ({}, "it is claimed anew as soon as there is another instance."),
        (
            {"hopeless": True, "quarantine_in_s": 2.0},
            "no further claim of it would help, and in 2.0 s it is quarantined unless root gives the zone to another "
            "before.",
        ),
        ({"hopeless": True}, "no further claim of it would help, and it is quarantined."),
    ],
)
def test_a_supervisor_that_has_asked_for_help_is_told_with_what_comes_of_it(
    does: dict[str, Any] | None, sentence: str
) -> None:
    asking = asking_of("zone-a.pod-1", "nothing helps", NOW_S - 3.0, Does(**does) if does is not None else None, NOW_S)
    answer = explain(replace(facts(), asking=(asking,)), Asked(key=KEY))
    begin = "The owner of pod pod-1 asked the zone supervisor for help 3.0 s ago: nothing helps; "
    assert begin + sentence in answer.sentences


def test_the_policy_that_holds_for_a_process_is_the_one_that_is_said() -> None:
    last = event(EventType.CRASHED, ticket=12, verdict=Verdict.NOT_STARTED, reason="unreachable")
    says: dict[str, Any] = {"phase": "initialized", "ticket": 12, "crashes": 2, "retry_in_s": 1.3}
    answer = at_owner(last, **says, restarts_max=9, restart_period_s=10.0)
    assert "crashed twice within 10 s: unreachable" in said(answer)
    assert "after more than 9 restarts it is quarantined" in said(answer)
