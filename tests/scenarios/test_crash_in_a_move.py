"""A move whose owner dies at any step is carried on by the next: the object ends at one place, with one outcome."""

import pytest
from tests.support.plans import plan_of

from treeward.bus.interface import Stored
from treeward.schemas import subjects
from treeward.simulation.device import Entry
from treeward.simulation.plan import Plan
from treeward.simulation.run import Run
from treeward.simulation.server import Service
from treeward.simulation.streams import Stream

MADE_S, MOVES_S, END_S = 3.0, 5.0, 10.0
KEY = "vm.web-1"
STEPS = ("asks", "has a place", "leaving", "remove", "handed_off", "placed", "make", "completed")
"""What of ADR 8 was just done: the zone's owner asked, its answer given, or an event stored, or a device changed."""


def plan_of_a_move() -> Plan:
    steps = ((MADE_S, "create"), (MOVES_S, "migrate"), (MOVES_S + 0.01, "stop"))
    return plan_of(
        *((at_s, KEY, {"operation": operation}) for at_s, operation in steps), end_s=END_S,
        pods=2, hosts_per_pod=1, zone_supervisors=2, pod_agents=2, call_s=0.01, device_per_pod=True, cpus_per_host=64,
    )  # fmt: skip


class Move(Run):
    """Kills all programs of one kind once, as soon as a step of the move was taken."""

    def __init__(self, step: str, kind: str) -> None:
        super().__init__(plan_of_a_move())
        self.killed: list[str] = []
        self._step = step
        self._kind = kind
        self.server.on_stored.append(self._on_stored)
        self.books.on_effect.append(self._on_effect)
        self.loop.call_at(MOVES_S, self._watch_places, context=self.loop.world)

    def _on_stored(self, _stream: Stream, stored: Stored) -> None:
        if stored.subject.startswith(f"tw.log.zone-a.{KEY}."):
            self._taken(stored.subject.rpartition(".")[2])

    def _on_effect(self, entry: Entry) -> None:
        if entry.verb == "synchronize":
            self._taken(entry.operation)

    def _watch_places(self) -> None:
        for service in self.server.services:
            if service.subject == subjects.owner_api("place", "zone-a", "zone"):
                self._watch(service)

    def _watch(self, service: Service) -> None:
        answer = service.answer

        async def watched(subject: str, data: bytes) -> bytes:
            self._taken("asks")
            said = await answer(subject, data)
            self._taken("has a place")
            return said

        service.answer = watched

    def _taken(self, step: str) -> None:
        if step == self._step and not self.killed and self.loop.now_s >= MOVES_S:
            for program in self.programs.values():
                if program.name.startswith(self._kind):
                    self.killed.append(program.name)
                    self.loop.call_soon(program.kill, context=self.loop.world)
                    self.loop.call_later(0.5, program.start, context=self.loop.world)


@pytest.mark.parametrize("kind", ["agent", "supervisor"])
@pytest.mark.parametrize("step", STEPS)
def test_a_move_is_carried_on_whoever_dies_at_whichever_step(step: str, kind: str) -> None:
    run = Move(step, kind)
    verdict = run.go()
    assert run.killed, "the step was taken"
    assert not verdict.violations
    assert set(verdict.outcomes) == {"completed"}
    there = [device for device in run.devices.values() if f"zone-a.{KEY}" in device.things]
    assert len(there) == 1
    assert there[0].things[f"zone-a.{KEY}"].definition["running"] is False
    last = run.judge.last[("zone-a", KEY)][1]
    assert there[0].things[f"zone-a.{KEY}"].host == last.host
