"""The simulation's faults happen: every kind changes a run; one whole chain shows what the judge sees of a hole."""

from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

import pytest

from treeward.bus.interface import Draft
from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.simulation.faults import BUS_TROUBLES
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.misfortune import KINDS, make_plan
from treeward.simulation.plan import Fault, Plan, Shape, Wish, make_shape
from treeward.simulation.run import Run, Verdict, run_plan
from treeward.simulation.server import BusServer
from treeward.simulation.trace import Line, Trace
from treeward.simulation.wishes import set_up

ZONE = "zone-a"
OF_AGENTS = {
    "kill",
    "freeze",
    "stop",
    "cut",
    "cut_up",
    "cut_down",
    "cut_off",
    "reset",
    "delay_up",
    "delay_down",
    "clock",
}
OF_AGENTS |= {"device_cut"}
DRAWN_APART = {"cut_off", "leaderless_mailbox", "device_tamper", "device_unwilling"}
"""Kinds that have sources of chance of their own in `make_plan`."""
NOT_ALONE = {"replica_lag"}
"""Changes what is answered only to who asks for what is newer than all that it knows; has a test of its own."""
ALWAYS = (Fault(3.2, "kill", "agent-0", 1.0), Fault(3.3, "kill", "supervisor-0", 1.0))
"""Owners change in every run here, the undisturbed one included."""
VALUES = {"clock": 3600.0, "device_unwilling": 0.2}


def make_wishes(shape: Shape) -> tuple[Wish, ...]:
    """Some VMs that are busy while the faults last, each with a deadline in a minute."""
    wishes = set_up(shape)

    def wish(at_s: float, vm: int, operation: str, **unit: Any) -> None:
        wishes.append(Wish(len(wishes), at_s, 0, ZONE, f"vm.vm-{vm}", {"operation": operation, **unit}))

    for vm in range(6):
        wish(2.5, vm, "create", spec={"cpus": 1}, deadline="2023-11-14T22:15:00Z")
        for turn in range(4):
            wish(3.0 + 0.4 * turn + 0.05 * vm, vm, ("stop", "start")[turn % 2])
        if vm < 2:
            wish(4.2, vm, "migrate")
        wish(4.7, vm, "destroy")
        wish(4.8, vm, "create", spec={"cpus": 2}, deadline="2023-11-14T22:15:00Z")
    return tuple(wishes)


SHAPE = replace(
    make_shape(Random(1)),
    zones=1, pods=2, hosts_per_pod=2, orchestrators=2, zone_supervisors=1, pod_agents=2, cpus_per_host=64,
    device_per_pod=True, latency_s=0.002, call_s=0.1, call_timeout_s=0.5, resend_s=0.5, idle_row_s=0.2,
    window=16, credit=64, bodies_max=8, background_s=0.5,
)  # fmt: skip
PLAN = Plan(1, SHAPE, make_wishes(SHAPE), ALWAYS, 6.0)


def happened(verdict: Verdict) -> list[Line]:
    """All but that a fault was to begin."""
    return [line for line in verdict.trace.lines if line.what != "fault"]


@cache
def undisturbed() -> Verdict:
    return run_plan(PLAN)


def test_every_kind_of_fault_is_in_the_first_seeds() -> None:
    seen = {fault.kind for seed in range(200) for fault in make_plan(seed).faults}
    assert seen == {*KINDS, *DRAWN_APART}


@pytest.mark.parametrize("kind", sorted({*KINDS, *DRAWN_APART} - NOT_ALONE))
def test_a_fault_changes_what_happens_and_breaks_no_promise(kind: str) -> None:
    target = "agent-0" if kind in OF_AGENTS else "bus" if kind in BUS_TROUBLES else ZONE
    fault = Fault(3.0, kind, target, 2.9, VALUES.get(kind, 1.0))
    verdict = run_plan(replace(PLAN, faults=(fault, *ALWAYS)))
    assert happened(verdict) != happened(undisturbed())
    assert verdict.violations == undisturbed().violations == ()


def test_a_replica_that_lags_answers_from_the_past_but_not_before_what_was_asked_for() -> None:
    server = BusServer(VirtualLoop(), Random(1), Trace())
    server.provision(ROOT, Retention())
    server.trouble.replica_lag = 1.0
    subject = subjects.log(ROOT, "zone.zone-a", "ready")
    positions = [server.append(streams.log(ROOT), Draft(subject, b"", None), None, None) for _ in range(4)]

    def answers(at_least: int) -> set[int]:
        found = [server.last(streams.log(ROOT), subject, at_least) for _ in range(100)]
        return {stored.position for stored in found if stored is not None}

    assert positions == [1, 2, 3, 4]
    assert answers(at_least=2) == {2, 3, 4}
    assert answers(at_least=4) == {4}


class ForgetfulRecord(DeviceRecord):
    """A device that keeps no memory of what it has answered."""

    def decide_ticket(self, ticket: int) -> Decision:
        return Decision.RUN if self.in_progress is None else Decision.JOIN


class ForgetfulRecords(dict[str, DeviceRecord]):
    def setdefault(self, key: str, default: DeviceRecord | None = None) -> DeviceRecord:
        del default
        return super().setdefault(key, ForgetfulRecord())


@pytest.mark.parametrize("remembers", [True, False])
def test_the_judge_sees_what_a_doubled_request_does_to_a_device_that_forgets(remembers: bool) -> None:
    resizes = [
        Wish(100 + turn, 3.0 + 0.3 * turn, 0, ZONE, "vm.vm-0", {"operation": "resize", "spec": {"cpus": turn + 2}})
        for turn in range(4)
    ]
    kept = [wish for wish in PLAN.wishes if wish.is_set_up or (wish.at_s, wish.key) == (2.5, "vm.vm-0")]
    run = Run(replace(PLAN, wishes=(*kept, *resizes), faults=(Fault(2.9, "device_double", ZONE, 3.0, 1.0),)))
    if not remembers:
        for device in run.devices.values():
            device.records = ForgetfulRecords()
    rules = {violation.rule for violation in run.go().violations}
    assert not rules if remembers else "applied twice" in rules
