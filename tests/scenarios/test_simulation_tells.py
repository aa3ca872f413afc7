"""What the simulation says of a run that failed: which rule, the shortest story of it, and with which exit code."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from treeward.runtime.context import Context
from treeward.simulation.misfortune import make_plan
from treeward.simulation.plan import Fault, Plan, Wish, make_shape
from treeward.simulation.program import Program
from treeward.simulation.run import Run, run_plan
from treeward.simulation.shrink import shrink
from treeward.simulation.story import tell
from treeward.simulation.wishes import set_up

SHAPE = replace(
    make_shape(Random(1)), zones=1, pods=1, hosts_per_pod=1, orchestrators=1, zone_supervisors=1, pod_agents=1
)
SET_UP = tuple(set_up(SHAPE))
HUGE, SMALL = "vm.huge", "vm.small"
GENERATOR = """
import runpy
from tests.scenarios.test_simulation_tells import make_impossible_plan
from treeward.simulation import misfortune
misfortune.make_plan = make_impossible_plan
runpy.run_module("treeward.simulation", run_name="__main__")
"""


def create(number: int, key: str, cpus: int) -> Wish:
    return Wish(number, 2.5, 0, "zone-a", key, {"operation": "create", "spec": {"cpus": cpus}})


def make_hopeless_plan(seed: int) -> Plan:
    """A unit that there will never be room for, an innocent one, and a fault that has nothing to do with it."""
    wishes = (*SET_UP, create(100, SMALL, 1), create(101, HUGE, 100_000))
    return Plan(seed, SHAPE, wishes, (Fault(2.6, "kill", "agent-0", 1.0),), 4.0)


def make_impossible_plan(seed: int) -> Plan:
    """A fault that the simulation does not know, which it says at once, beside one that it knows."""
    faults = (Fault(2.6, "kill", "agent-0", 1.0), Fault(2.8, "explode", "agent-0", 1.0))
    return Plan(seed, SHAPE, (*SET_UP, create(100, SMALL, 1)), faults, 4.0)


def run_process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_of_a_run_that_fails_only_what_it_takes_is_left_and_told() -> None:
    smaller, verdict = shrink(make_hopeless_plan(1))
    assert (smaller.faults, smaller.wishes) == ((), (*SET_UP, create(101, HUGE, 100_000)))
    assert [violation.rule for violation in verdict.violations] == ["unanswered"]
    story = tell(smaller, verdict)
    assert '2.500 wish 101: zone-a.vm.huge {"operation": "create", "spec": {"cpus": 100000}}' in story
    assert "VIOLATION  unanswered zone-a.vm.huge ticket 3 (create)" in story
    assert "tw.mailbox.zone-a.zone.vm.huge" in story  # what was sent for it
    assert SMALL not in story
    assert "host.host-00" in str(verdict.trace)
    assert "host.host-00" not in story  # what everything else needs is not told
    assert "fault: " not in story
    times_s = [line.at_s for line in verdict.trace.details]
    assert times_s == sorted(times_s)


def test_shrinking_stops_when_it_has_tried_enough() -> None:
    plan = make_impossible_plan(1)
    assert shrink(plan, attempts_max=0)[0] == plan
    assert shrink(plan)[0] == replace(plan, faults=plan.faults[1:], wishes=SET_UP)


def test_an_exception_of_a_program_is_told_with_its_line() -> None:
    run = Run(Plan(1, SHAPE, SET_UP, (), 4.0))
    began = []

    async def serve(_program: Program, _context: Context, stopping: asyncio.Event) -> None:
        began.append(run.loop.now_s)
        if len(began) == 1:
            raise KeyError("nobody expects this")
        await stopping.wait()

    run._add("broken", serve)
    run.loop.call_at(1.0, lambda: 1 // 0, context=run.loop.world)
    verdict = run.go()
    assert [violation.rule for violation in verdict.violations] == ["crash", "crash"]
    first, second = (violation.what for violation in verdict.violations)
    assert first.startswith("broken at 0.000: KeyError('nobody expects this') at ")
    assert second == "of the simulation: ZeroDivisionError('integer division or modulo by zero')"
    assert began == [0.0, 1.0]  # it is started again, as a real one would be


def test_a_seed_as_a_process_is_told_from_its_trace_to_its_verdict() -> None:
    done = run_process("-m", "treeward.simulation", "--seed", "12", "--trace")
    verdict = run_plan(make_plan(12), loud=True)
    counted = f"seed 12: {verdict.units} units, {verdict.outcomes}, {verdict.crashes} crashes, {verdict.digest[:16]}"
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{verdict.trace}\n{counted}\n  no violation\n"


def test_many_seeds_as_a_process_are_summed_up() -> None:
    done = run_process("-m", "treeward.simulation", "--seeds", "2", "--first", "11", "--jobs", "2")
    units = sum(run_plan(make_plan(seed)).units for seed in (11, 12))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("2 seeds in ")
    assert f" virtual hours, {units} units, " in done.stdout
    assert " 0 seeds failed; " in done.stdout


@pytest.mark.parametrize("which", [("--seed", "12"), ("--seeds", "1", "--first", "12", "--jobs", "1")])
def test_a_seed_that_fails_ends_the_process_with_1_and_its_story(which: tuple[str, ...]) -> None:
    done = run_process("-c", GENERATOR, *which)
    assert done.returncode == 1, done.stderr
    assert "crash: of the simulation: AssertionError('there is no fault explode')" in done.stdout
    assert "\nseed 12, faults end at 4 s; zones 1, pods 1, " in f"\n{done.stdout}"
    assert "2.800 fault: explode agent-0 for 1.00 s" in done.stdout
    assert "2.600 fault: kill" not in done.stdout
