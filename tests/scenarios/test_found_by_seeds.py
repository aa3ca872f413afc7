"""What the simulation has found, kept: each run was wrong once."""

from dataclasses import replace

import pytest
from tests.support.plans import plan_of

from treeward.simulation.misfortune import make_plan
from treeward.simulation.plan import Fault, Plan
from treeward.simulation.run import Verdict, run_plan


def carry_out(plan: Plan) -> Verdict:
    verdict = run_plan(plan)
    assert not verdict.violations
    return verdict


@pytest.mark.parametrize("program", ["supervisor-0", "supervisor-1", "agent-0", "orchestrator-0", "orchestrator-1"])
@pytest.mark.parametrize("set_by_s", [-3600.0, -10.0, 3600.0])
def test_a_clock_that_is_set_does_not_stop_suspicion_or_time_outs(program: str, set_by_s: float) -> None:
    plan = make_plan(0)
    shape = replace(plan.shape, orchestrators=2, zone_supervisors=2, pod_agents=2)
    others = [other for other in ("agent-0", "agent-1", "orchestrator-0", "supervisor-0") if other != program]
    faults = (Fault(3.0, "clock", program, 1.0, set_by_s), *(Fault(3.3, "kill", other, 1.0) for other in others))
    carry_out(replace(plan, shape=shape, faults=faults))


@pytest.mark.parametrize("seed", [776, 1170, 20255])
def test_what_leaves_while_it_restarts_gives_its_place_in_the_line_back(seed: int) -> None:
    """The slot of what was handed off stayed taken: with a pod's only one gone, nothing there restarted any more."""
    carry_out(make_plan(seed))


@pytest.mark.parametrize("cut_s", [1.82, 1.88, 1.93])
def test_a_zone_is_created_although_the_answers_about_its_streams_are_lost_for_a_while(cut_s: float) -> None:
    """Seed 3993: the create was answered failed, and nothing of the zone ever ran."""
    faults = (Fault(cut_s, "cut_down", "orchestrator-0", 8.0, 1.0),)
    verdict = carry_out(plan_of(end_s=30.0, faults=faults, latency_s=0.1))
    assert verdict.outcomes.keys() == {"completed"}
