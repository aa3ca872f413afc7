"""The short form of `make faults`: the main kinds of faults under load, every promise kept."""

from pathlib import Path

import pytest
from tests.faults.__main__ import new_folder
from tests.faults.plan import ASKED_FOR, Kind, draw_plan, sequence
from tests.faults.run import run
from tests.faults.servers import NatsServers
from tests.faults.site import Size

KINDS = [
    Kind.KILL_POD_AGENT, Kind.LOSE_ANSWER, Kind.PAUSE_POD_AGENT, Kind.CUT_DEVICE, Kind.KILL_ZONE_SUPERVISOR,
    Kind.RESET_NATS, Kind.FAIL_HALFWAY, Kind.KILL_ORCHESTRATOR, Kind.MOVE, Kind.CUT_NATS, Kind.END_POD_AGENT,
    Kind.KILL_SIMULATOR, Kind.MAKE_MAILBOX_ANEW, Kind.HAND_OFF_ROOT, Kind.KILL_ROOT_OWNER, Kind.KILL_NATS_CLUSTER,
]  # fmt: skip
SIZE = Size(
    servers=1, orchestrators=2, zone_supervisors=2, agents=3, zones=1, pods=2, hosts=2,
    settings={"TREEWARD_CALL_TIMEOUT_S": "3", "TREEWARD_AHEAD_MAX": "8"},
)  # fmt: skip


def test_the_page_says_how_many_kinds_the_short_form_has() -> None:
    page = Path(__file__).parents[2] / "docs" / "faults.md"
    assert f"test_faults_short.py`, {len(set(KINDS))} kinds" in page.read_text()


def test_two_runs_never_mix_in_one_folder(tmp_path: Path) -> None:
    wanted = tmp_path / "faults-1"
    first = new_folder(wanted)
    (first / "report.json").touch()
    assert (first, new_folder(wanted)) == (wanted, tmp_path / "faults-1-2")


def test_of_two_servers_that_are_cut_off_one_rejoins_only_the_third(tmp_path: Path) -> None:
    servers = NatsServers(tmp_path, tmp_path, 3)
    whole = ("nats-1", "nats-3"), ("nats-3", "nats-1")

    def mended() -> set[tuple[str, str]]:
        return {pair for pair, link in servers.routes.items() if not link.to_server.held}

    servers.isolate("nats-1")
    servers.isolate("nats-2")
    assert mended() == set()
    servers.rejoin("nats-1")
    assert mended() == set(whole)
    servers.rejoin("nats-2")
    assert mended() == set(servers.routes)


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
