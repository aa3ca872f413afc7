"""The short form of `make faults`: the main kinds of faults under load, every promise kept."""

from pathlib import Path

import pytest
from tests.faults.plan import ASKED_FOR, Kind, draw_plan, sequence
from tests.faults.run import run
from tests.faults.site import Size

KINDS = [
    Kind.KILL_POD_AGENT, Kind.LOSE_ANSWER, Kind.PAUSE_POD_AGENT, Kind.CUT_DEVICE, Kind.KILL_ZONE_SUPERVISOR,
    Kind.RESET_NATS, Kind.FAIL_HALFWAY, Kind.KILL_ORCHESTRATOR, Kind.MOVE, Kind.CUT_NATS, Kind.END_POD_AGENT,
    Kind.KILL_SIMULATOR, Kind.MAKE_MAILBOX_ANEW, Kind.HAND_OFF_ROOT, Kind.KILL_ROOT_OWNER, Kind.KILL_NATS_CLUSTER,
]  # fmt: skip
SIZE = Size(
    servers=1, orchestrators=2, zone_supervisors=2, agents=3, zones=1, pods=2, hosts=2,
    settings={"TREEWARD_CALL_TIMEOUT_S": "3"},
)  # fmt: skip


def test_the_same_seed_is_the_same_plan() -> None:
    assert draw_plan(7, 500) == draw_plan(7, 500) != draw_plan(8, 500)


def test_a_plan_has_as_many_faults_as_asked_for_and_every_kind() -> None:
    plan = draw_plan(1, 1000)
    assert len(plan) == 1000
    assert {fault.kind for fault in plan} == set(Kind) - set(ASKED_FOR)
    assert [fault.at_s for fault in plan] == sorted(fault.at_s for fault in plan)


@pytest.mark.timeout(240)
async def test_every_promise_is_kept_while_everything_fails_in_turn(tmp_path: Path) -> None:
    plan = sequence(KINDS, seed=11, gap_s=1.6)
    report = await run(tmp_path, plan, seed=11, size=SIZE, units_per_s=60)
    struck = {fault.planned.kind for fault in report.injected if fault.target is not None}
    assert len(struck) >= len(KINDS) - 2, report.injected
    assert report.fine, (report.broken[:5], report.ended)
