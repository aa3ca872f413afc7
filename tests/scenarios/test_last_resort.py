"""Pods that no agent can take: their zone supervisor acts for them, and goes on after it had to give one up."""

from tests.support.plans import plan_of

from treeward.simulation.plan import Plan
from treeward.simulation.run import Run
from treeward.supervision.limits import Limits

TAKEN_S = 2.0 + Limits().orphan_s
"""By then the supervisor acts for the pod itself."""
TROUBLE_S = TAKEN_S + 8.0


def plan_without_agents() -> Plan:
    steps = ((TAKEN_S, "create"), (TROUBLE_S, "stop"), (TROUBLE_S + 0.5, "destroy"))
    units = ((at_s, "vm.web-1", {"operation": operation}) for at_s, operation in steps)
    return plan_of(*units, end_s=TROUBLE_S + 1.0, pod_agents=0, call_s=0.01)


def claims(run: Run) -> list[float]:
    """When the pod was claimed."""
    events = (line for line in run.trace.lines if line.what == "event" and line.words[1] == "zone-a.pod.pod-0")
    return [line.at_s for line in events if line.words[2] == "claimed"]


def test_a_pod_without_agents_is_taken_once() -> None:
    run = Run(plan_without_agents())
    assert not run.go().violations
    assert len(claims(run)) == 1


def test_a_pod_that_its_supervisor_had_to_give_up_is_taken_again_although_there_is_no_agent() -> None:
    run = Run(plan_without_agents())
    run.loop.call_at(TROUBLE_S, lambda: setattr(run.server.trouble, "doubt", 1.0), context=run.loop.world)
    verdict = run.go()
    assert not verdict.violations
    assert verdict.outcomes == {"completed": len(run.plan.wishes) + 1}
    assert len(claims(run)) > 1
    assert claims(run)[1] > TROUBLE_S
