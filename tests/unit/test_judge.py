"""The judge finds each wrong that is planted in otherwise right books, and nothing in right ones."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.runtime.judge import Books, DeviceCall, DeviceResource, Logged, Rule, Submitted, Takeover, judge
from treeward.schemas.events import Event, EventType, Verdict

ZONE = "zone-a"
DEFINITION = {"cpus": 2.0}


def logged(position: int, type_: str, id_: str = "web-1", kind: str = "vm", **fields: Any) -> Logged:
    at = datetime.fromtimestamp(1_000 + position, UTC)
    event = Event(type=EventType(type_), zone=ZONE, kind=kind, id=id_, life=1, at=at, **fields)
    return Logged(position, 1_000.0 + position, event)


def call(id_: int, ticket: int | None, operation: str = "start", **fields: Any) -> DeviceCall:
    started_at = fields.pop("started_at", 1_000.0 + id_)
    row = DeviceCall(
        id=id_, zone=ZONE, kind="vm", resource="web-1", operation=operation, ticket=ticket, life=5, owner="agent-1",
        started_at=started_at, ended_at=started_at + 0.5, effect=1, outcome="applied", effect_number=id_,
    )  # fmt: skip
    return row._replace(**fields)


def right_books() -> Books:
    """A VM is created, stopped, cannot be stopped again, and is started; another is created and destroyed."""
    return Books(
        submitted=[
            *(Submitted(ZONE, "vm.web-1", ticket, 999.0) for ticket in (1, 2, 3, 4)),
            *(Submitted(ZONE, "vm.web-2", ticket, 999.0) for ticket in (5, 6)),
        ],
        log=[
            logged(5, "placed", ticket=1, pod="p", host="h"),
            logged(6, "ready", ticket=1, pod="p", host="h"),
            logged(7, "completed", ticket=1, operation="create", pod="p", host="h", definition=DEFINITION),
            logged(8, "completed", ticket=2, operation="stop", pod="p", host="h", definition=DEFINITION),
            logged(9, "failed", ticket=3, operation="stop", pod="p", host="h", definition=DEFINITION),
            logged(10, "completed", ticket=4, operation="start", pod="p", host="h", definition=DEFINITION),
            logged(11, "completed", "web-2", ticket=5, operation="create", pod="p", definition=DEFINITION),
            logged(12, "completed", "web-2", ticket=6, operation="destroy", removed=True),
        ],
        calls=[
            call(1, 1, "create"),
            call(2, 2, "stop"),
            call(3, 3, "stop", effect=0, outcome="refused", effect_number=None),
            call(4, 4, effect=0, outcome="fenced", life=3, effect_number=None),
            call(5, 4),
            call(6, 4, effect=0, outcome="remembered", effect_number=None),
            call(7, 5, "create", resource="web-2"),
            call(8, 6, "destroy", resource="web-2"),
        ],
        resources=[DeviceResource(ZONE, "vm.web-1", "present")],
    )


def test_right_books_have_figures_and_no_violation() -> None:
    judgement = judge(right_books())
    assert judgement.violations == []
    assert (judgement.submitted, judgement.outcomes) == (6, {"completed": 5, "failed": 1})
    assert (judgement.calls, judgement.effects, judgement.remembered, judgement.stale) == (6, 5, 1, 1)
    assert judgement.resources == 1


def with_event(books: Books, *rows: Logged) -> Books:
    return replace(books, log=[*books.log, *rows])


def with_call(books: Books, *rows: DeviceCall) -> Books:
    return replace(books, calls=[*books.calls, *rows])


def without_event(books: Books, position: int) -> Books:
    return replace(books, log=[row for row in books.log if row.position != position])


RIGHT = right_books()
ANSWER: dict[str, Any] = {"operation": "start", "pod": "p", "host": "h", "definition": DEFINITION}
PLANTED: dict[str, tuple[Books, set[tuple[Rule, int | None]]]] = {
    "a second outcome": (
        with_event(RIGHT, logged(20, "completed", ticket=4, **ANSWER)),
        {(Rule.ANSWERED_TWICE, 4)},
    ),
    "no outcome": (without_event(RIGHT, 10), {(Rule.UNANSWERED, 4)}),
    "an outcome of a unit that nobody submitted": (
        with_event(RIGHT, logged(20, "failed", ticket=9, **ANSWER)),
        {(Rule.ANSWERED_UNKNOWN, 9)},
    ),
    "an outcome for another resource": (
        replace(RIGHT, submitted=[*RIGHT.submitted[:3], Submitted(ZONE, "vm.web-3", 4, 999.0), *RIGHT.submitted[4:]]),
        {(Rule.ANSWERED_UNKNOWN, 4)},
    ),
    "outcomes out of order": (
        with_event(without_event(RIGHT, 8), logged(20, "completed", ticket=2, **ANSWER)),
        {(Rule.ORDER, 2)},
    ),
    "effects out of order": (
        replace(RIGHT, calls=[row._replace(effect_number=40) if row.id == 1 else row for row in RIGHT.calls]),
        {(Rule.ORDER, 1)},
    ),
    "an effect of a replaced life": (
        replace(RIGHT, calls=[row._replace(life=4) if row.id == 5 else row for row in RIGHT.calls]),
        {(Rule.ORDER, 4)},
    ),
    "a doubled effect": (with_call(RIGHT, call(9, 4)), {(Rule.DOUBLED_EFFECT, 4)}),
    "overlapping calls": (
        replace(RIGHT, calls=[row._replace(ended_at=1_002.1) if row.id == 1 else row for row in RIGHT.calls]),
        {(Rule.OVERLAP, 2)},
    ),
    "a call in progress for ever under later ones": (
        replace(RIGHT, calls=[row._replace(ended_at=None) if row.id == 1 else row for row in RIGHT.calls]),
        {(Rule.OVERLAP, 2), (Rule.OVERLAP, 3), (Rule.OVERLAP, 4)},
    ),
    "an effect of a unit that was answered failed": (
        replace(RIGHT, calls=[row._replace(effect=1, effect_number=3) if row.id == 3 else row for row in RIGHT.calls]),
        {(Rule.EFFECT_WITHOUT_COMPLETED, 3)},
    ),
    "completed without effect": (
        replace(RIGHT, calls=[row for row in RIGHT.calls if row.id != 2]),
        {(Rule.COMPLETED_WITHOUT_EFFECT, 2)},
    ),
    "an object without definition": (
        replace(RIGHT, resources=[*RIGHT.resources, DeviceResource(ZONE, "vm.web-2", "present")]),
        {(Rule.DANGLING, None)},
    ),
    "a definition without object": (replace(RIGHT, resources=[]), {(Rule.DANGLING, None)}),
}


@pytest.mark.parametrize("planted", PLANTED)
def test_each_planted_wrong_is_found_and_named(planted: str) -> None:
    books, expected = PLANTED[planted]
    assert {(violation.rule, violation.ticket) for violation in judge(books).violations} == expected


def test_what_a_failed_unit_admits_to_have_begun_is_no_violation() -> None:
    admitted = logged(9, "failed", ticket=3, verdict=Verdict.MAYBE_STARTED, **{**ANSWER, "operation": "stop"})
    calls = [row._replace(effect=1, effect_number=3) if row.id == 3 else row for row in RIGHT.calls]
    books = with_event(replace(without_event(RIGHT, 9), calls=calls), admitted)
    assert judge(books).violations == []
    late = [row._replace(ended_at=2_000.0, started_at=1_999.0) if row.id == 3 else row for row in calls]
    found = judge(replace(books, calls=late)).violations
    assert [violation.rule for violation in found] == [Rule.EFFECT_WITHOUT_COMPLETED]


def test_what_is_in_doubt_is_unanswered_and_not_dangling() -> None:
    books = replace(without_event(RIGHT, 12), resources=RIGHT.resources)
    assert {violation.rule for violation in judge(books).violations} == {Rule.UNANSWERED}


def test_steering_and_moves_are_completed_without_a_call_of_their_own() -> None:
    units = [Submitted(ZONE, "vm.web-1", ticket, 999.0) for ticket in (7, 8)]
    books = with_event(
        replace(RIGHT, submitted=[*RIGHT.submitted, *units]),
        logged(20, "completed", ticket=7, **{**ANSWER, "operation": "pause"}),
        logged(21, "completed", ticket=8, **{**ANSWER, "operation": "migrate"}),
    )
    assert judge(books).violations == []


def test_a_branch_that_is_claimed_again_is_a_takeover_with_the_time_until_it_was_ready() -> None:
    books = with_event(
        RIGHT,
        logged(1, "claimed", ZONE, "zone", owner="zs-1"),
        logged(2, "claimed", "p", "pod", owner="agent-1", pod=None),
        logged(20, "claimed", "p", "pod", owner="agent-2", reason="agent-1 is suspected"),
        logged(23, "ready", ticket=None, pod="p", host="h", definition=DEFINITION),
    )
    assert judge(books).takeovers == [
        Takeover("zone-a.p", 20, 1_020.0, "agent-1", "agent-2", "agent-1 is suspected", 3.0)
    ]
