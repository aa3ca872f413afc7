"""Units that were called ahead where a resource was; its zone answers them after the hand-off (PROTOCOL S13, S7)."""

from typing import Any

import pytest
from tests.unit.test_supervision_unplaced import DEFINITION, KEY, Zone, event, message

from treeward.schemas.events import DeviceOutcome, Event, EventType, Verdict
from treeward.supervision.effects import Append

LAST = DeviceOutcome(ticket=7, applied=True)
RECENT = (DeviceOutcome(ticket=5, applied=True), DeviceOutcome(ticket=6, applied=False, reason="no"))
UNITS = ((5, 4), (6, 5), (7, 6), (8, 7))
"""Ticket and the one before it."""


def handed_off(**fields: Any) -> Event:
    told: dict[str, Any] = {"answered": 4, "ticket": 5, "left": "h1", "left_pod": "pod-1", "emptied": True}
    return event(EventType.HANDED_OFF, **(told | fields))


def open_zone() -> Zone:
    zone = Zone()
    zone.fold.on_fold_complete()
    return zone


def answers(last: Event, operations: tuple[str, ...], *, anew: bool) -> list[Event]:
    """What a zone says to units 5, 6, ...; `anew`: another owner takes the zone over between any two of them."""
    zone, told, position = open_zone(), [], 20
    before = last
    for (ticket, previous), operation in zip(UNITS, operations, strict=False):
        if anew:
            zone = open_zone()
        spec = DEFINITION if operation == "create" else None
        said = zone.send(message(ticket, operation, previous=previous, spec=spec), before)
        zone.store(position)
        (before,) = said
        told.append(before)
        position += 1
    return told


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("existed", [False, True])
def test_each_unit_that_the_old_device_remembers_is_answered_as_it_said(anew: bool, existed: bool) -> None:
    came = handed_off(last=LAST, recent=RECENT, existed=existed, definition=DEFINITION if existed else None)
    told = answers(came, ("start", "start", "stop", "create"), anew=anew)
    assert [(each.type, each.ticket, each.reason) for each in told[:3]] == [
        (EventType.COMPLETED, 5, None),
        (EventType.FAILED, 6, "no"),
        (EventType.COMPLETED, 7, None),
    ]
    assert told[3].type is EventType.PLACED
    assert told[3].existed is existed


@pytest.mark.parametrize("anew", [False, True])
def test_as_many_as_are_in_doubt_fail_maybe_started_and_no_more(anew: bool) -> None:
    told = answers(handed_off(last_unknown=True, in_doubt=3), ("start", "stop", "destroy", "create"), anew=anew)
    assert [(each.type, each.verdict) for each in told[:3]] == [(EventType.FAILED, Verdict.MAYBE_STARTED)] * 3
    assert [each.in_doubt for each in told[:3]] == [2, 1, 0]
    assert told[3].type is EventType.PLACED


@pytest.mark.parametrize("anew", [False, True])
def test_what_was_submitted_after_the_isolation_is_not_in_doubt(anew: bool) -> None:
    came = handed_off(last_unknown=True, in_doubt=8, in_doubt_to=6, existed=True, definition=DEFINITION)
    told = answers(came, ("start", "start", "start"), anew=anew)
    assert [each.type for each in told] == [EventType.FAILED, EventType.FAILED, EventType.PLACED]


@pytest.mark.parametrize("anew", [False, True])
def test_behind_a_destroy_in_an_isolated_pod_units_may_be_in_doubt_and_then_nothing_exists(anew: bool) -> None:
    destroyed = event(EventType.COMPLETED, answered=4, ticket=4, pod=None, removed=True, in_doubt=7, in_doubt_to=5)
    told = answers(destroyed, ("start", "start"), anew=anew)
    assert [(each.type, each.verdict) for each in told] == [
        (EventType.FAILED, Verdict.MAYBE_STARTED),
        (EventType.REJECTED, None),
    ]


@pytest.mark.parametrize("anew", [False, True])
def test_behind_those_remembered_one_may_be_in_doubt(anew: bool) -> None:
    came = handed_off(last=LAST, recent=RECENT, in_doubt=1, existed=True, definition=DEFINITION)
    told = answers(came, ("start", "start", "stop", "stop"), anew=anew)
    assert [each.in_doubt for each in told] == [1, 1, 1, 0]
    assert (told[3].type, told[3].verdict) == (EventType.FAILED, Verdict.MAYBE_STARTED)


@pytest.mark.parametrize("anew", [False, True])
def test_nothing_was_called_past_a_unit_that_no_device_is_called_for(anew: bool) -> None:
    came = handed_off(last_unknown=True, in_doubt=8, existed=True, definition=DEFINITION)
    told = answers(came, ("start", "pause", "start"), anew=anew)
    assert [each.type for each in told] == [EventType.FAILED, EventType.COMPLETED, EventType.PLACED]


@pytest.mark.parametrize(
    "told",
    [{"last": LAST, "recent": RECENT[1:]}, {"in_doubt": 1, "in_doubt_to": 6}, {"in_doubt": 1}],
    ids=["remembered", "in doubt", "unknown"],
)
def test_an_address_with_units_that_its_device_has_told_of_is_not_forgotten(told: dict[str, Any]) -> None:
    """The first of them is answered, and WORK begins above it."""
    zone = Zone()
    answered = event(EventType.COMPLETED, answered=5, ticket=5, **told)
    zone.fold.on_event(30, answered, 0.0)
    zone.fold.on_work_first(6, 0.0)
    assert not any(isinstance(effect, Append) for effect in zone.fold.effects)
    zone.fold.on_event(31, event(EventType.COMPLETED, answered=7, ticket=7, last=LAST), 0.0)
    zone.fold.on_work_first(8, 0.0)
    (said,) = zone.said()
    assert (said.type, said.key) == (EventType.FORGOTTEN, KEY)


def test_a_unit_that_the_old_device_has_passed_and_forgotten_is_in_doubt() -> None:
    """It remembered fewer than it had said: nobody can tell what became of the unit, and it is not run again."""
    told = answers(handed_off(last=LAST, recent=RECENT[1:]), ("start", "start", "start", "create"), anew=False)
    assert [(each.type, each.ticket, each.verdict) for each in told[:3]] == [
        (EventType.FAILED, 5, Verdict.MAYBE_STARTED),
        (EventType.FAILED, 6, None),
        (EventType.COMPLETED, 7, None),
    ]
    assert told[3].type is EventType.PLACED
