"""`tw.api.work`: whether a unit waits, runs or is in doubt, since when, and of which place."""

from datetime import UTC, datetime

from tests.support.api_facts import NOW_S, event, facts, unit

from treeward.orchestrator.api.working import work_of
from treeward.schemas.api.work import WorkRequest, WorkState
from treeward.schemas.events import EventType, Verdict


def at(seconds_ago: float) -> datetime:
    return datetime.fromtimestamp(NOW_S - seconds_ago, UTC)


def test_what_is_called_runs_and_what_is_behind_it_waits() -> None:
    says = {"phase": "called", "ticket": 11, "taken_s": 3.0, "called_s": 2.0}
    found = work_of(facts(unit(11, sent=True), unit(12, sent=True), says=says), WorkRequest())
    assert [(each.ticket, each.state, each.since) for each in found] == [
        (11, WorkState.RUNNING, at(2.0)),
        (12, WorkState.WAITING, at(20.0)),
    ]


def test_a_unit_whose_process_crashed_in_its_call_is_in_doubt() -> None:
    crashed = event(EventType.CRASHED, ticket=11, answered=10, verdict=Verdict.MAYBE_STARTED, attempts=1)
    found = work_of(facts(unit(11, sent=True), unit(12), last=crashed), WorkRequest(state=WorkState.IN_DOUBT))
    assert [(each.ticket, each.since) for each in found] == [(11, at(30.0))]


def test_a_place_is_asked_for_by_pod_or_host() -> None:
    known = facts(unit(11))
    wanted = (WorkRequest(pod="pod-1"), WorkRequest(host="h1"), WorkRequest(pod="pod-2"), WorkRequest(host="h2"))
    assert [len(work_of(known, request)) for request in wanted] == [1, 1, 0, 0]
