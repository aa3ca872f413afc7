"""What is told as state: the process, the units that wait, and what is in doubt."""

from dataclasses import replace
from typing import Any

import pytest
from tests.support.api_facts import NOW_S, POD, SENT, event, facts, unit

from treeward.orchestrator.api.explaining import explain
from treeward.orchestrator.api.facts import Asked, Claim, Last, OwnerSays
from treeward.orchestrator.api.resource import doubt_of, process_of, state_of
from treeward.schemas.api.explain import ExplainAnswer
from treeward.schemas.api.parts import ProcessState
from treeward.schemas.events import EventType, Verdict


def said(answer: ExplainAnswer) -> str:
    return " ".join(answer.sentences)


# --- doubt -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", [EventType.CRASHED, EventType.READY])
def test_a_unit_that_maybe_started_is_in_doubt_until_its_outcome(type_: EventType) -> None:
    last = event(type_, ticket=12, operation="stop", attempts=1, verdict=Verdict.MAYBE_STARTED)
    doubt = doubt_of(facts(SENT, last=last, says={"phase": "initialized", "ticket": 12}))
    assert doubt is not None
    assert (doubt.ticket, doubt.verdict, doubt.attempts) == (12, Verdict.MAYBE_STARTED, 1)
    answer = explain(facts(SENT, last=last, says={"phase": "initialized", "ticket": 12}), Asked(ticket=12))
    assert "Ticket 12 is in doubt" in said(answer)


def test_an_outcome_ends_the_doubt() -> None:
    assert doubt_of(facts(last=event(ticket=12, answered=12, verdict=Verdict.MAYBE_STARTED))) is None


def test_a_quarantine_keeps_the_doubt_of_the_crash_before_it() -> None:
    last = event(EventType.QUARANTINED, ticket=None, verdict=Verdict.MAYBE_STARTED, quarantined=True)
    of = facts(SENT, last=last, says={"phase": "quarantined"})
    doubt = doubt_of(of)
    assert doubt is not None
    assert doubt.ticket == 12
    assert "after a `release` the device tells" in said(explain(of, Asked(ticket=12)))


def test_what_an_owner_may_have_called_before_it_was_replaced_is_in_doubt_until_the_next_is_ready() -> None:
    replaced = POD._replace(claim=Claim("agent-2-xyz", 60, NOW_S - 5))
    waiting = replace(facts(SENT), owner=replaced, says=OwnerSays(epoch=60, phase="synchronizing", ticket=12))
    doubt = doubt_of(waiting)
    assert doubt is not None
    assert (doubt.ticket, doubt.verdict) == (12, Verdict.MAYBE_STARTED)
    assert doubt_of(replace(waiting, says=OwnerSays(epoch=60, phase="ready", ticket=12))) is None


@pytest.mark.parametrize(
    ("after", "queue", "doubts"),
    [
        ([], {"held_by": 11}, False),
        ([], {"held_by_pod": 11}, False),
        ([8], {}, False),
        ([], {"held_by": 13}, True),
        ([], {"held_by_pod": 13}, True),
        ([], {"held_by_zone": True}, True),
    ],
)
def test_what_was_never_sent_is_in_no_doubt_whoever_was_replaced(
    after: list[int], queue: dict[str, Any], doubts: bool
) -> None:
    """Behind a pause, or waiting for others; that of a zone is not in the order of its tickets."""
    replaced = POD._replace(claim=Claim("agent-2-xyz", 60, NOW_S - 5))
    waiting = replace(facts(unit(12, after=after), **queue), owner=replaced)
    assert (doubt_of(waiting) is not None) is doubts


def test_what_was_submitted_after_the_takeover_is_in_no_doubt() -> None:
    replaced = POD._replace(claim=Claim("agent-2-xyz", 60, NOW_S - 5))
    later = facts(unit(12, sent=True, submitted_s=NOW_S - 1))
    assert doubt_of(replace(later, owner=replaced, says=OwnerSays(epoch=60, phase="synchronizing", ticket=12))) is None


def test_what_was_sent_to_an_owner_that_does_not_answer_is_in_doubt() -> None:
    assert doubt_of(replace(facts(SENT), says=None)) is not None
    assert doubt_of(replace(facts(unit(12)), says=None)) is None, "it was not even sent"


def test_a_unit_that_is_not_called_is_in_no_doubt() -> None:
    assert doubt_of(facts(SENT, says={"phase": "ready", "ticket": 12})) is None


# --- state -----------------------------------------------------------------------------------------------------------


def test_state_has_age_source_and_position() -> None:
    state = state_of(facts())
    assert state is not None
    assert (state.age_s, state.source, state.position, state.exists) == (30.0, "log", 50, True)
    assert (state.owner, state.epoch, state.process) == ("agent-1-abc", 40, ProcessState.READY)


def test_units_that_the_last_event_says_to_be_answered_do_not_wait() -> None:
    state = state_of(facts(unit(9), unit(10), unit(12), last=event(answered=10)))
    assert state is not None
    assert [waiting.ticket for waiting in state.queued] == [12]
    assert state.queued_units == 1


@pytest.mark.parametrize(
    ("type_", "changes", "process"),
    [
        (EventType.PLACED, {"definition": None}, ProcessState.INITIALIZED),
        (EventType.READY, {}, ProcessState.READY),
        (EventType.COMPLETED, {}, ProcessState.READY),
        (EventType.CRASHED, {}, ProcessState.CRASHED),
        (EventType.QUARANTINED, {"quarantined": True}, ProcessState.CRASHED),
        (EventType.RELEASED, {}, ProcessState.INITIALIZED),
        (EventType.COMPLETED, {"removed": True, "pod": None, "definition": None}, ProcessState.NONE),
        (EventType.HANDED_OFF, {"pod": None, "definition": None, "existed": True}, ProcessState.INITIALIZED),
        (EventType.FORGOTTEN, {"pod": None, "definition": None}, ProcessState.NONE),
    ],
)
def test_the_process_as_its_last_event_has_it(type_: EventType, changes: dict[str, Any], process: ProcessState) -> None:
    assert process_of(Last(50, event(type_, **changes), NOW_S), 40) is process


def test_a_claim_behind_the_last_event_has_begun_a_new_life() -> None:
    assert process_of(Last(50, event(), NOW_S), 51) is ProcessState.INITIALIZED
