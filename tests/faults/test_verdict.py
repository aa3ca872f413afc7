"""The judge of receipts and the measure of recovery, on books made by hand."""

from datetime import UTC, datetime
from typing import Any

from tests.faults.inject import Injected
from tests.faults.load import Receipt
from tests.faults.plan import Kind, Planned
from tests.faults.recovery import recoveries
from tests.faults.verdict import RECEIPT_LOST, judge_receipts

from treeward.bus.interface import Stored
from treeward.runtime.judge import Books, Logged
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


def test_recovery_is_told_of_resources_that_were_in_a_pod_of_the_killed_agent_and_had_unanswered_work() -> None:
    log = [
        event(1, 1.0, EventType.PLACED, pod="a1"),
        event(2, 1.0, EventType.PLACED, "vm.web-2", pod="a2"),
        event(3, 12.5, EventType.COMPLETED, ticket=1, pod="a1"),
        event(4, 10.1, EventType.COMPLETED, "vm.web-2", ticket=2, pod="a2"),
        event(5, 13.0, EventType.COMPLETED, "vm.web-3", ticket=3, pod="a1"),
    ]
    receipts = [
        receipt(1, attempted_s=9.9), receipt(2, key="vm.web-2", attempted_s=9.9),
        receipt(3, key="vm.web-3", attempted_s=12.0),
    ]  # fmt: skip
    found = recoveries([killed(Kind.KILL_POD_AGENT, 10.0, "zone-a.a1")], Books([], log, [], []), receipts)
    assert found == {Kind.KILL_POD_AGENT: [2.5]}


def test_who_is_never_answered_counts_as_a_minute() -> None:
    log = [event(1, 1.0, EventType.PLACED, pod="a1")]
    injected = [killed(Kind.KILL_POD_AGENT, 10.0, "zone-a.a1")]
    found = recoveries(injected, Books([], log, [], []), [receipt(1, attempted_s=10.2)])
    assert found == {Kind.KILL_POD_AGENT: [60.0]}


def test_a_resource_whose_first_unit_waits_for_others_is_left_out() -> None:
    log = [event(1, 1.0, EventType.PLACED, pod="a1")]
    waits = receipt(5, body=b'{"operation":"stop","after":[4]}', attempted_s=9.0)
    injected = [killed(Kind.KILL_POD_AGENT, 10.0, "zone-a.a1")]
    assert recoveries(injected, Books([], log, [], []), [waits]) == {Kind.KILL_POD_AGENT: []}
