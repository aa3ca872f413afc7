"""One resource with many units whose outcomes are late: it is called ahead, as far as its device remembers."""

from dataclasses import replace
from random import Random

import pytest
from tests.support.plans import plan_of

from treeward.simulation.device import Entry
from treeward.simulation.plan import Fault
from treeward.simulation.run import Run
from treeward.simulation.wishes import hot

ZONE, HOT, AT_S = "zone-a", "zone-a.vm.hot-0", 4.0


@pytest.mark.parametrize("remembers", [1, 2, 8])
@pytest.mark.parametrize("lost", [False, True])
def test_a_hot_resource_is_called_as_far_ahead_as_its_device_remembers(remembers: int, lost: bool) -> None:
    late = [Fault(AT_S - 0.1, "delay_up", "agent-0", 3.0, 0.3)]
    killed = [Fault(AT_S + 0.5, "kill", "agent-0", 0.5)] if lost else []
    plan = plan_of(end_s=8.0, faults=(*late, *killed), window=16, credit=64, call_s=0.005)
    run = Run(replace(plan, wishes=(*plan.wishes, *hot(Random(4), len(plan.wishes), AT_S))))
    for device in run.devices.values():
        device.remembers = remembers
    ahead: list[int] = []

    def count(entry: Entry) -> None:
        answered = {call.ticket for call in run.books.entries if call.key == entry.key == HOT and call.outcome}
        ahead.append(sum((ZONE, ticket) not in run.judge.answered for ticket in answered))

    run.books.on_begin.append(count)
    assert run.go().violations == ()
    assert max(ahead) == remembers - 1
