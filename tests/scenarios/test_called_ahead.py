"""A hot resource is called ahead of the log (PROTOCOL S13): what its next owner makes of it."""

import pytest
from tests.scenarios.test_late_isolation import owner_of_the_pod
from tests.support.world import World, world

from treeward.schemas.events import EventType, Verdict

KEY = "vm.hot"
SPEC = {"cpus": 1, "memory_mib": 512}


def hot(centre: World, count: int = 12) -> list[int]:
    """Units for a VM that exists; the log takes none of their outcomes. Returns the tickets."""
    centre.done(KEY, "create", spec=SPEC)
    centre.run_for(1.0)
    centre.server.trouble.passing = 1.0
    return [centre.submit(KEY, "resize", spec={"memory_mib": 512 + number}) for number in range(count)]


def applied(centre: World) -> list[int]:
    return [entry.ticket for entry in centre.books.entries if entry.key.endswith(KEY) and entry.outcome == "applied"]


@pytest.mark.parametrize("remembers", [1, 2, 8])
def test_as_many_are_called_as_the_device_remembers_and_the_next_owner_answers_each(remembers: int) -> None:
    with world(agents=2) as centre:
        centre.device_of("pod-1").remembers = remembers
        tickets = hot(centre)
        centre.run_for(3.0)
        assert applied(centre)[1:] == tickets[:remembers]
        assert not any(("zone-a", ticket) in centre.answered for ticket in tickets)
        centre.kill(owner_of_the_pod(centre).name)
        centre.server.trouble.passing = 0.0
        centre.until(lambda: ("zone-a", tickets[-1]) in centre.answered, "an outcome of each")
        answers = [centre.answered["zone-a", ticket] for ticket in tickets]
        assert [answer.type for answer in answers] == [EventType.COMPLETED] * len(tickets)
        assert [answer.verdict for answer in answers[:remembers]] == [Verdict.DONE] * remembers
        assert applied(centre)[1:] == tickets, "each once, in order"


def test_what_was_called_ahead_where_nobody_can_be_asked_is_in_doubt_and_nothing_else() -> None:
    """The pod's device dies with all that it remembers, and a person says so."""
    with world(pods=2, agents=2) as centre:
        tickets = hot(centre)
        centre.run_for(3.0)
        before = centre.events[KEY][-1]
        pod = str(before.pod)
        done = applied(centre)[1:]
        assert (pod, done) == ("pod-1", tickets[:8])
        centre.kill(owner_of_the_pod(centre).name)
        centre.server.trouble.passing = 0.0
        centre.submit(f"pod.{pod}", "isolate")
        later = centre.submit(KEY, "resize", spec={"memory_mib": 1024})
        centre.until(lambda: ("zone-a", later) in centre.answered, "an outcome of each")
        answers = {ticket: centre.answered["zone-a", ticket] for ticket in [*tickets, later]}
        in_doubt = [ticket for ticket, answer in answers.items() if answer.verdict is Verdict.MAYBE_STARTED]
        assert in_doubt == done
        assert {answers[ticket].type for ticket in in_doubt} == {EventType.FAILED}
        assert {answers[ticket].type for ticket in (*tickets[8:], later)} == {EventType.COMPLETED}
        assert centre.events[KEY][-1].pod != pod
