"""What connections do to a simulated device's answers: one is told for each request, however many come."""

from collections.abc import Callable
from random import Random

import pytest

from treeward.schemas.device import Answer
from treeward.simulation.device import Books, SimulatedDevice
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.trace import Trace

CREATE = {
    "verb": "call", "zone": "zone-a", "kind": "vm", "id": "web-1", "host": "host-1",
    "operation": "create", "ticket": 1, "life": 1, "owner": "agent-1",
}  # fmt: skip
FOREVER_S = 1000.0


class Way:
    """A program's way to a device that is in trouble."""

    def __init__(self, chance: int = 1) -> None:
        self.loop = VirtualLoop()
        self.device = SimulatedDevice("pod-1", self.loop, Random(1), Trace(), Books(), 0.01)
        self.link = DeviceLink(self.device, self.loop, Random(chance), self._call_program)
        self.came_s: list[float] = []
        """When something came to the program."""
        self.told: list[Answer] = []

    def _call_program(self, step: Callable[[], None]) -> None:
        self.came_s.append(self.loop.now_s)
        step()

    def ask(self) -> None:
        self.link.request(CREATE, self.told.append)

    def wait(self) -> None:
        """Whatever is on its way arrives."""
        self.loop.call_later(FOREVER_S, lambda: None, context=self.loop.world)
        self.loop.run_until(lambda: False, deadline_s=self.loop.now_s + FOREVER_S - 1.0)


def test_an_answer_comes_twice_and_is_told_once() -> None:
    late_s = []
    for chance in range(20):
        way = Way(chance)
        way.device.trouble.double = 1.0
        way.ask()
        way.wait()
        first_s, *later_s = way.came_s
        assert later_s
        assert len(way.told) == 1
        assert len(way.device.books.entries) == 1  # though the request was read twice
        late_s.append(later_s[-1] - first_s)
    assert min(late_s) < 1.0 < max(late_s)


def test_the_answer_to_the_copy_counts_when_the_first_is_never_given() -> None:
    """As on a real connection: both bear the same number, and which of them is read first is the answer."""
    told = []
    for chance in range(20):
        way = Way(chance)
        way.device.trouble.double, way.device.trouble.eat = 1.0, 0.5
        way.ask()
        way.wait()
        assert len(way.told) <= 1
        told.append(len(way.told))
    assert 10 < sum(told) < 20  # without copies one in two is never answered


@pytest.mark.parametrize("remembers", [1, 2, 8])
def test_it_remembers_as_many_tickets_as_its_plan_says(remembers: int) -> None:
    way = Way()
    way.device.remembers = remembers
    for ticket in (1, 2, 3):  # the second and the third are refused: it exists
        way.link.request({**CREATE, "ticket": ticket}, way.told.append)
        way.wait()
    way.link.request({**CREATE, "verb": "synchronize", "life": 2}, way.told.append)
    way.wait()
    for ticket in (1, 2, 3):
        way.link.request({**CREATE, "ticket": ticket, "life": 2}, way.told.append)
        way.wait()
    applied, refused, last, synchronized, *again = way.told
    assert (applied.recent, last.remembers, synchronized.remembers) == ([], 1, remembers), "told by synchronize only"
    assert [known.ticket for known in synchronized.recent] == [1, 2][max(0, 3 - remembers) :]
    assert [answer.status for answer in again] == ["older", "older", "older"][remembers:] + [
        answer.status for answer in (applied, refused, last)[max(0, 3 - remembers) :]
    ]
    assert (applied.status, refused.status) == ("applied", "refused")
    assert len(way.device.books.entries) == 3


@pytest.mark.parametrize("ended", ["cancelled", "dead"])
def test_what_comes_after_the_request_was_given_up_is_told_nobody(ended: str) -> None:
    way = Way()
    way.device.trouble.double = 1.0
    way.link.cancel(way.link.request(CREATE, way.told.append))
    if ended == "dead":
        way.link.die()
    way.wait()
    assert len(way.device.books.entries) == 1
    assert way.told == []
