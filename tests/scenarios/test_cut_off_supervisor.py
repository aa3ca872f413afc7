"""A supervisor whose server is cut off from the others: it hears only who is there with it, and blames nobody."""

from tests.support.plans import plan_of

from treeward.simulation.plan import Fault, Plan
from treeward.simulation.run import Run
from treeward.simulation.trace import Line

CUT_AT_S = 6.0
CUT_OFF_S = 5.0


class CutOff(Run):
    """Some programs are on a server that is cut off from the others for a while."""

    def cut_off(self, *names: str) -> None:
        def begin() -> None:
            for name in names:
                link = self.programs[name].link
                assert link is not None
                link.cut_off_server({name: stream.last for name, stream in self.server.streams.items()})

        def end() -> None:
            for name in names:
                link = self.programs[name].link
                assert link is not None
                link.mend()

        self.loop.call_at(CUT_AT_S, begin, context=self.loop.world)
        self.loop.call_at(CUT_AT_S + CUT_OFF_S, end, context=self.loop.world)

    def claims(self, since_s: float = 0.0) -> list[str]:
        """The branches that somebody was claimed for after a time."""
        return sorted(line.words[1] for line in self._claims if line.at_s > since_s)

    def owner_of(self, branch: str) -> str:
        """The instance that a branch was last claimed for."""
        last = [line.words for line in self._claims if line.words[1] == branch][-1]
        return next(word.removeprefix("owner: ") for word in last if word.startswith("owner: "))

    @property
    def _claims(self) -> list[Line]:
        return [line for line in self.trace.lines if line.what == "event" and line.words[2] == "claimed"]


def quiet_plan(faults: tuple[Fault, ...] = (), end_s: float = CUT_AT_S + CUT_OFF_S, **counts: int) -> Plan:
    return plan_of(end_s=end_s, faults=faults, pods=4, **counts)


PODS = [f"zone-a.pod.pod-{number}" for number in range(4)]


def test_a_zone_supervisor_claims_no_pod_of_an_agent_that_it_only_cannot_hear() -> None:
    run = CutOff(quiet_plan(pod_agents=2))
    run.cut_off("supervisor-0", "agent-1")
    verdict = run.go()
    assert not verdict.violations
    assert run.claims() == ["root.zone.root", *PODS, "zone-a.zone.zone-a"]
    assert run.claims(CUT_AT_S) == []


def test_root_claims_no_zone_of_a_supervisor_that_it_only_cannot_hear() -> None:
    run = CutOff(quiet_plan(zone_supervisors=3))
    run.cut_off("orchestrator-0", "supervisor-0", "supervisor-1")
    verdict = run.go()
    assert not verdict.violations
    assert run.owner_of("zone-a.zone.zone-a") == "supervisor-2-1"
    assert run.claims(CUT_AT_S) == []


def test_an_orchestrator_claims_no_root_of_another_that_it_only_cannot_hear() -> None:
    run = CutOff(quiet_plan(orchestrators=2))
    run.cut_off("orchestrator-1")
    verdict = run.go()
    assert not verdict.violations
    assert run.owner_of("root.zone.root") == "orchestrator-0-1"
    assert run.claims(CUT_AT_S) == []


def test_a_supervisor_that_waits_long_for_the_logs_leader_does_not_take_that_for_its_own_absence() -> None:
    """It would say that it was away, and give the dead the whole time once more before it claims."""
    slow = Fault(CUT_AT_S - 1.0, "delay_down", "supervisor-0", 10.0, 0.9)
    run = CutOff(quiet_plan((slow, Fault(CUT_AT_S, "kill", "agent-1", 8.0)), CUT_AT_S + 10.0, pod_agents=2))
    verdict = run.go()
    assert not verdict.violations
    at_s = [line.at_s for line in run._claims if "owner: agent-0-1" in line.words and line.at_s > CUT_AT_S]
    # Suspicion, 0.9 s for the last heartbeat and 0.9 s for the question: virtual time.
    assert at_s and at_s[0] < CUT_AT_S + 4.0
