"""What a zone's owner has half done when it dies is ended by the next, and nothing of it is done twice."""

from collections import Counter
from typing import Any

import pytest
from tests.support.plans import plan_of

from treeward.bus.interface import Stored
from treeward.schemas.streams import work
from treeward.simulation.plan import Fault
from treeward.simulation.run import Run
from treeward.simulation.streams import Stream

MADE_S, DRAINED_S, END_S = 3.0, 6.0, 14.0
VMS = [f"vm.web-{number}" for number in range(6)]


SHAPE: dict[str, Any] = {
    "pods": 2, "hosts_per_pod": 1, "zone_supervisors": 2, "call_s": 0.01, "device_per_pod": False, "cpus_per_host": 64,
}  # fmt: skip


class Drained(Run):
    """Kills the supervisors when the drain has submitted so many of its units."""

    def __init__(self, submitted: int) -> None:
        creates = [(MADE_S, key, {"operation": "create"}) for key in VMS]
        super().__init__(plan_of(*creates, (DRAINED_S, "pod.pod-0", {"operation": "drain"}), end_s=END_S, **SHAPE))
        self.asked: list[str] = []
        self._kill_at = submitted
        self.server.on_stored.append(self._on_stored)

    def _on_stored(self, stream: Stream, stored: Stored) -> None:
        if stream.spec.name == work("zone-a") and b'"leave"' in stored.data:
            self.asked.append(".".join(stored.subject.split(".")[3:]))
            if len(self.asked) == self._kill_at:
                for name in ("supervisor-0", "supervisor-1"):
                    self.loop.call_soon(self.programs[name].kill, context=self.loop.world)
                    self.loop.call_later(0.5, self.programs[name].start, context=self.loop.world)


@pytest.mark.parametrize("submitted", [1, 2, 3])
def test_a_drain_whose_owner_dies_is_ended_by_the_next_and_moves_nothing_twice(submitted: int) -> None:
    run = Drained(submitted)
    verdict = run.go()
    assert not verdict.violations
    assert len(set(run.asked)) >= 3, "there was something to empty"
    events = [line.words for line in run.trace.lines if line.what == "event" and line.words[1].startswith("zone-a.vm.")]
    moved = Counter(words[1] for words in events if words[2] == "handed_off")
    assert moved == {f"zone-a.{key}": 1 for key in set(run.asked)}
    assert {run.judge.last[("zone-a", key)][1].pod for key in VMS} == {"pod-1"}
    assert set(verdict.outcomes) == {"completed"}


def test_a_pod_is_not_destroyed_while_a_host_is_on_its_way_to_it() -> None:
    """The agents sleep: the host is placed, and neither made nor refused, when the pod is to go."""
    late = {"operation": "create", "spec": {"pod": "pod-9", "cpus": 4, "memory_mib": 1024}}
    plan = plan_of(
        (MADE_S, "pod.pod-9", {"operation": "create", "spec": {}}),
        (DRAINED_S + 0.5, "host.late", late),
        (DRAINED_S + 1.5, "pod.pod-9", {"operation": "destroy"}),
        faults=(Fault(DRAINED_S, "freeze", "agent-0", 4.0),),
        end_s=END_S,
        **SHAPE,
    )
    run = Run(plan)
    assert not run.go().violations
    events = [line.words for line in run.trace.lines if line.what == "event"]
    of_pod = [words[2] for words in events if words[1] == "zone-a.pod.pod-9" and words[2] != "claimed"]
    assert of_pod == ["completed", "failed"]
    assert run.judge.last[("zone-a", "host.late")][1].pod == "pod-9"
