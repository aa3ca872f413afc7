"""An owner that was replaced, or could not begin, leaves nothing behind that is still told or asked."""

from tests.support.plans import plan_of

from treeward.bus.interface import Stored
from treeward.schemas import subjects
from treeward.simulation.plan import Fault, Plan
from treeward.simulation.run import Run
from treeward.simulation.streams import Stream

AWAY_S = 3.0
ROUND_S = 6.0


class Counting(Run):
    """Counts what the bus keeps for a program."""

    def kept_for(self, name: str) -> dict[str, int]:
        link = self.programs[name].link
        assert link is not None
        consumers = (each.consumers for each in self.server.streams.values())
        return {
            "told of the connection": len(link.listeners),
            "subscriptions": sum(each.link is link for each in self.server.subscribers),
            "served": sum(each.link is link for each in self.server.services),
            "readers": sum(map(len, consumers)),
        }


def plan_with(*faults: Fault, **counts: int) -> Plan:
    return plan_of(end_s=faults[-1].at_s + 3 * ROUND_S, faults=faults, **counts)


def test_root_that_comes_and_goes_leaves_nothing_behind() -> None:
    """Each instance in turn stands still until the other owns root."""
    turns = ["orchestrator-0", "orchestrator-1", "orchestrator-0", "orchestrator-1", "orchestrator-0"]
    faults = [Fault(ROUND_S * number, "freeze", name, AWAY_S) for number, name in enumerate(turns, 1)]
    run = Counting(plan_with(*faults, orchestrators=2))
    counted = []
    for number in (1, 3, 5):  # the other has taken root from it
        at_s = ROUND_S * number + 1.9 * AWAY_S
        run.loop.call_at(at_s, lambda: counted.append(run.kept_for("orchestrator-0")), context=run.loop.world)
    assert not run.go().violations
    claims = [line for line in run.trace.lines if line.what == "event" and line.words[1] == "root.zone.root"]
    assert len(claims) == 1 + len(turns)
    assert counted[0] == counted[1] == counted[2]


def test_an_owner_that_cannot_begin_leaves_nothing_behind() -> None:
    """The bus answers nobody from the moment in which the zone is claimed for another; then the first has it again."""
    run = Counting(plan_with(Fault(ROUND_S, "freeze", "supervisor-1", 1.5 * ROUND_S), zone_supervisors=2))
    claims: list[float] = []
    counted = []

    def watch(_stream: Stream, stored: Stored) -> None:
        if stored.subject == subjects.claim_of_zone("zone-a"):
            claims.append(run.loop.now_s)
            run.server.trouble.unavailable = 1.0 if len(claims) == 2 else 0.0

    def answer_again() -> None:
        run.server.trouble.unavailable = 0.0

    run.server.on_stored.append(watch)
    names = ("supervisor-0", "supervisor-1")
    for at_s in (ROUND_S - 0.5, 3.5 * ROUND_S):
        run.loop.call_at(at_s, lambda: counted.append([*map(run.kept_for, names)]), context=run.loop.world)
    run.loop.call_at(2.5 * ROUND_S, answer_again, context=run.loop.world)
    assert not run.go().violations
    assert len(claims) == 3
    assert counted[0] == counted[1]
