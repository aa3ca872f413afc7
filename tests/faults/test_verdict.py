"""The judge of receipts and the measure of recovery, on books made by hand."""

from datetime import UTC, datetime
from typing import Any

from tests.faults.injected import Injected
from tests.faults.load import Receipt
from tests.faults.plan import Kind, Planned
from tests.faults.recovery import Recovery, recoveries
from tests.faults.verdict import RECEIPT_LOST, judge_receipts

from treeward.bus.interface import Stored
from treeward.runtime.judge import Books, DeviceCall, Logged
from treeward.schemas.events import Event, EventType

BODY = b'{"operation":"stop"}'


def receipt(ticket: int, *, key: str = "vm.web-1", body: bytes = BODY, attempted_s: float = 0.0) -> Receipt:
    return Receipt("zone-a", key, ticket, f"id-{ticket}", body, attempted_s, attempted_s, 1)


def stored(ticket: int, *, key: str = "vm.web-1", body: bytes = BODY, message_id: str | None = None) -> Stored:
    headers = {"Nats-Msg-Id": message_id or f"id-{ticket}"}
    return Stored(ticket, f"tw.work.zone-a.{key}", body, headers, 0.0)


def test_a_receipt_that_the_history_keeps_is_no_violation() -> None:
    assert judge_receipts([receipt(1), receipt(2)], [stored(2), stored(1), stored(3)]) == []


def test_a_receipt_is_lost_if_the_history_has_nothing_or_something_else_there() -> None:
    history = [stored(2, key="vm.web-2"), stored(3, body=b"{}"), stored(4, message_id="another")]
    broken = judge_receipts([receipt(ticket) for ticket in (1, 2, 3, 4)], history)
    assert [(violation.rule, violation.ticket) for violation in broken] == [(RECEIPT_LOST, n) for n in (1, 2, 3, 4)]


def event(position: int, at_s: float, type_: EventType, key: str = "vm.web-1", **fields: Any) -> Logged:
    kind, _, id_ = key.partition(".")
    at = datetime.fromtimestamp(at_s, UTC)
    return Logged(position, at_s, Event(type=type_, zone="zone-a", kind=kind, id=id_, life=1, at=at, **fields))


def killed(kind: Kind, at_s: float, *held: str) -> Injected:
    return Injected(Planned(1, kind, 0.0, 0, 1.0, 0.5, measured=True), at_s, "pod-agent-1", list(held))


def recovered(
    log: list[Logged],
    receipts: list[Receipt],
    kind: Kind = Kind.KILL_POD_AGENT,
    held: tuple[str, ...] = ("zone-a.a1",),
    calls: tuple[DeviceCall, ...] = (),
) -> Recovery:
    """Of `vm.web-1` in pod a1 and whoever else is in the log, after a kill at second 10."""
    log = [event(0, 1.0, EventType.PLACED, pod="a1"), *log]
    injected = killed(kind, 10.0, *held)
    injected.dispatched = ["zone-a"]
    (found,) = recoveries([injected], Books([], log, calls, []), receipts).values()
    return found


def called(ticket: int, started_s: float, ended_s: float | None, outcome: str) -> DeviceCall:
    return DeviceCall(1, "zone-a", "vm", "web-1", "stop", ticket, 1, "somebody", started_s, ended_s, 0, outcome, None)


def test_recovery_is_told_of_resources_that_were_in_a_pod_of_the_killed_agent_and_had_unanswered_work() -> None:
    log = [
        event(2, 1.0, EventType.PLACED, "vm.web-2", pod="a2"),
        event(3, 12.5, EventType.COMPLETED, ticket=1, pod="a1"),
        event(4, 10.1, EventType.COMPLETED, "vm.web-2", ticket=2, pod="a2"),
        event(5, 13.0, EventType.COMPLETED, "vm.web-3", ticket=3, pod="a1"),
    ]
    receipts = [
        receipt(1, attempted_s=9.9), receipt(2, key="vm.web-2", attempted_s=9.9),
        receipt(3, key="vm.web-3", attempted_s=12.0),
    ]  # fmt: skip
    assert recovered(log, receipts) == Recovery([2.5])


def test_who_is_never_answered_counts_as_a_minute() -> None:
    assert recovered([], [receipt(1, attempted_s=10.2)]) == Recovery([60.0])


def test_a_resource_whose_first_unit_waits_for_others_is_left_out() -> None:
    assert recovered([], [receipt(5, body=b'{"operation":"stop","after":[4]}', attempted_s=9.0)]) == Recovery()


REJECTED = event(1, 10.5, EventType.REJECTED, ticket=1, pod="a1")


def test_an_outcome_that_is_not_completed_is_no_recovery_yet_and_what_nobody_had_asked_for_costs_no_time() -> None:
    log = [REJECTED, event(2, 24.0, EventType.COMPLETED, ticket=2, pod="a1")]
    receipts = [receipt(1, attempted_s=9.9), receipt(2, attempted_s=20.0)]
    assert recovered(log, receipts) == Recovery([0.5 + 4.0])


def test_a_resource_without_completed_unit_is_left_out_and_counted() -> None:
    first = receipt(1, attempted_s=9.9)
    assert recovered([REJECTED], [first]) == Recovery(uncompleted=1)
    late = event(2, 70.0, EventType.COMPLETED, ticket=2, pod="a1")
    assert recovered([REJECTED, late], [first, receipt(2, attempted_s=69.0)]) == Recovery(uncompleted=1)


def test_a_unit_in_a_call_does_not_need_an_orchestrator_that_died_but_its_agent() -> None:
    log = [event(1, 12.0, EventType.COMPLETED, ticket=1, pod="a1")]
    receipts = [receipt(1, attempted_s=9.0)]
    for call, at_device in (
        (called(1, 9.5, None, "in_progress"), True), (called(1, 9.5, 11.0, "failed"), True),
        (called(1, 9.5, 9.6, "applied"), True), (called(1, 9.5, 9.6, "failed"), False),
        (called(1, 10.5, 10.6, "applied"), False), (called(7, 9.5, 11.0, "applied"), False),
    ):  # fmt: skip
        expected = Recovery(at_device=1) if at_device else Recovery([2.0])
        assert recovered(log, receipts, Kind.KILL_ORCHESTRATOR, ("root",), (call,)) == expected, call
        assert recovered(log, receipts, calls=(call,)) == Recovery([2.0])


def test_a_unit_that_was_handed_in_again_counts_though_a_younger_one_has_the_lower_ticket() -> None:
    log = [
        event(1, 14.1, EventType.COMPLETED, ticket=4, pod="a1"),
        event(2, 15.0, EventType.COMPLETED, ticket=5, pod="a1"),
    ]
    receipts = [receipt(4, attempted_s=14.0), receipt(5, attempted_s=9.9)]
    assert recovered(log, receipts) == Recovery([5.0])
