"""Rows at rest: what an owner knows of a process that nobody uses, kept small and exactly as it was."""

from typing import Any

import pytest
from tests.support.one_vm import KEY, Owner, message, said

from treeward.schemas.device import Status
from treeward.schemas.events import EventType, Outcome, Verdict
from treeward.schemas.mailbox import Mark
from treeward.supervision.effects import Append, Call, Fetch
from treeward.supervision.idle_rows import KEPT, REST_S, IdleRows
from treeward.supervision.limits import Limits
from treeward.supervision.need import Demand, Need
from treeward.supervision.places import Placed, Places
from treeward.supervision.row import Phase, Row

SPEC = {"cpus": 2, "memory_mib": 512, "requires": {"disk": "ssd"}}
ANSWERED: dict[str, Any] = {"exists": True, "definition": SPEC, "observed": {"state": "running"}}


def some(number: int) -> Any:
    """A value that no other number gives, of one of the sorts that a row may keep."""
    sorts = (number, f"text {number}", {"size": number, "inner": {"list": [number]}}, number / 7, -number, "ü" * number)
    return sorts[number % len(sorts)]


def used_once(**unit: Any) -> Owner:
    """An owner that has completed ticket 5."""
    owner = Owner()
    call = owner.synchronized(message(**unit))
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, **ANSWERED)
    owner.store(append)
    return owner


def rest(owner: Owner, for_s: float = 2 * REST_S) -> None:
    """Let time pass for so long, by ticks."""
    end_s = owner.now_s + for_s
    while owner.now_s < end_s:
        owner.now_s += 0.25
        owner.fold.tick(owner.now_s)
    assert owner.take() == []


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("first", range(6))
def test_a_row_at_rest_wakes_as_it_was(first: int, ready: bool) -> None:
    idle, row = IdleRows(Limits()), Row(KEY, 7)
    values = [some(number) for number, _ in enumerate(KEPT, first)]
    for name, value in zip(KEPT, values, strict=True):
        setattr(row, name, value)
    row.phase = Phase.READY if ready else Phase.INITIALIZED
    rows = {KEY: row}
    for _ in range(2):  # the first round begins only then
        idle.sweep(rows, 2 * REST_S)
    assert (rows, len(idle)) == ({}, 1)
    woken = idle.wake(KEY, rows)
    assert woken is rows[KEY] is not row
    assert {name: getattr(woken, name) for name in KEPT} == dict(zip(KEPT, values, strict=True))
    assert (woken.phase, woken.key, woken.idle, len(idle)) == (row.phase, KEY, True, 0)


def test_a_row_that_nobody_used_for_a_moment_rests_and_its_next_unit_is_called_at_once() -> None:
    owner = used_once()
    rest(owner)
    assert (owner.fold.rows, owner.fold.in_use) == ({}, 1)
    (call,) = owner.send(message(ticket=6))
    assert isinstance(call, Call)
    assert (list(owner.fold.rows), owner.fold.in_use) == ([KEY], 1)


def test_a_row_that_rested_takes_no_ticket_twice() -> None:
    owner = used_once()
    rest(owner)
    assert owner.send(message(ticket=5)) == []
    assert owner.fold.dropped == 1


def test_a_row_that_rested_says_all_that_it_knew() -> None:
    owner = used_once()
    rest(owner)
    (append,) = owner.send(message(ticket=6, mark=Mark(outcome=Outcome.CANCELLED, reason="by ticket 7")))
    event = said(append)
    assert (event.type, event.definition, event.observed) == (EventType.CANCELLED, SPEC, {"state": "running"})
    assert (event.host, event.pod) == ("host-1", "pod-1")


def test_a_paused_row_is_paused_when_it_wakes() -> None:
    owner = Owner()
    append = owner.synchronized(message(operation="pause"))
    owner.store(append)
    rest(owner)
    (call,) = owner.send(message(ticket=6))
    (append,) = owner.answer(call, Status.APPLIED, last=6, last_applied=True, **ANSWERED)
    assert said(append).paused


def test_a_row_at_rest_is_explained_and_goes_on_resting() -> None:
    owner = used_once()
    rest(owner)
    assert owner.fold.describe(KEY, owner.now_s)["phase"] == "ready"
    assert owner.fold.rows == {}


def test_a_row_at_rest_is_forgotten_after_a_while() -> None:
    owner = used_once()
    rest(owner, Limits().idle_row_s - 1.0)
    assert owner.fold.in_use == 1
    rest(owner, 2.0)
    assert owner.fold.in_use == 0
    (fetch,) = _sent(owner)
    assert isinstance(fetch, Fetch)


def test_a_row_with_a_unit_in_hand_or_waiting_never_rests() -> None:
    owner = Owner()
    call = owner.synchronized(message())
    rest(owner)
    assert list(owner.fold.rows) == [KEY]
    (append,) = owner.answer(call, Status.APPLIED, last=5, last_applied=True, **ANSWERED)
    rest(owner)
    assert isinstance(append, Append)
    assert list(owner.fold.rows) == [KEY]
    owner.store(append)
    assert owner.send(message(ticket=9, previous=8)) == []  # a gap waits
    rest(owner)
    assert list(owner.fold.rows) == [KEY]


def test_a_row_whose_crashes_still_count_does_not_rest() -> None:
    owner = Owner()
    call = owner.synchronized(message())
    crashed = owner.answer(call, Status.FAILED, reason="it went wrong")[-1]
    assert said(crashed).type is EventType.CRASHED
    owner.store(crashed)
    rest(owner)
    assert list(owner.fold.rows) == [KEY]
    rest(owner, Limits().restart_period_s + Limits().idle_row_s)
    assert owner.fold.in_use == 0


def test_a_row_that_keeps_the_verdict_of_its_last_life_does_not_rest_and_is_forgotten_all_the_same() -> None:
    owner = used_once()
    owner.fold.rows[KEY].verdict = Verdict.NOT_STARTED
    rest(owner)
    assert list(owner.fold.rows) == [KEY]
    rest(owner, Limits().idle_row_s)
    assert owner.fold.in_use == 0


def test_resources_that_take_the_same_of_one_host_share_one_place() -> None:
    places = Places()
    for key in ("vm.a", "vm.b"):
        places.put(key, Placed("pod-1", "host-1", Need(Demand(cpu_milli=500))))
    assert places.placed["vm.a"] is places.placed["vm.b"]
    assert places.drop("vm.a")
    assert places.pod_used["pod-1"] == Demand(cpu_milli=500)


def test_an_owner_that_gives_up_knows_nothing_of_those_at_rest() -> None:
    owner = used_once()
    rest(owner)
    owner.fold.give_up("replaced", fenced=True)
    assert owner.fold.in_use == 0


def _sent(owner: Owner) -> list[object]:
    owner.fold.on_message(KEY, message(ticket=6), owner.now_s)
    return list(owner.take())
