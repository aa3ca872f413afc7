"""What moved to a device that refuses to make it goes on elsewhere, whoever dies meanwhile (ADR 15)."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from treeward.bus.interface import Stored
from treeward.runtime import codec
from treeward.schemas.events import Event, EventType
from treeward.simulation.device import DeviceTrouble, Entry
from treeward.simulation.misfortune import make_plan
from treeward.simulation.plan import Plan, Wish
from treeward.simulation.run import Run
from treeward.simulation.streams import Stream
from treeward.simulation.wishes import set_up

MADE_S, MOVES_S, MENDED_S, END_S = 3.0, 5.0, 15.0, 20.0
"""The devices refuse until the end: what is answered before that was answered in spite of them."""
LONGEST_PAUSE_S = 1.0
"""The `backoff_max_s` of the simulation; half of it is jitter."""
KEY = "vm.web-1"
HOSTS = ("host-00", "host-10", "host-20")


def plan_of(*, device_per_pod: bool, spec: dict[str, Any] | None = None, cpus_per_host: int = 64) -> Plan:
    plan = make_plan(0)
    shape = replace(
        plan.shape, zones=1, pods=3, hosts_per_pod=1, orchestrators=1, zone_supervisors=2, pod_agents=2, restarts_max=2,
        latency_s=0.002, call_s=0.01, device_per_pod=device_per_pod, cpus_per_host=cpus_per_host,
    )  # fmt: skip
    wishes = set_up(shape)
    for at_s, operation in ((MADE_S, "create"), (MOVES_S, "migrate"), (MOVES_S + 0.01, "stop")):
        body: dict[str, Any] = {"operation": operation}
        if operation == "create" and spec is not None:
            body["spec"] = spec
        wishes.append(Wish(len(wishes), at_s, 0, "zone-a", KEY, body))
    return replace(plan, shape=shape, wishes=tuple(wishes), faults=(), faults_end_s=END_S)


class Refused(Run):
    """The host that it first moves to makes nothing, or all do; some programs die once, at a step of it."""

    def __init__(self, plan: Plan, *, all_refuse: bool = False, dies: str = "", at: tuple[str, int] = ("", 0)) -> None:
        super().__init__(plan)
        self.said: list[Event] = []
        self.killed: list[str] = []
        self.refusing: set[str] = set()
        self.answered_s = 0.0
        """When the last unit was, so far."""
        self._all = all_refuse
        self._dies = dies
        self._at = at
        self._taken: Counter[str] = Counter()
        self.server.on_stored.append(self._on_stored)
        self.books.on_effect.append(self._on_effect)

    def refuse(self, hosts: Collection[str]) -> None:
        """These hosts make nothing from now on."""
        self.refusing |= set(hosts)
        for device in self.devices.values():
            device.trouble = DeviceTrouble(unwilling=frozenset(self.refusing))

    def mend(self) -> None:
        self.refusing.clear()
        self.refuse(())

    def _on_stored(self, _stream: Stream, stored: Stored) -> None:
        if not stored.subject.startswith(f"tw.log.zone-a.{KEY}."):
            return
        event = codec.event_of(stored.data)
        assert event is not None
        self.said.append(event)
        if event.is_outcome:
            self.answered_s = self.loop.now_s
        if event.type is EventType.HANDED_OFF and not self.refusing:
            self.refuse(HOSTS if self._all else (event.to or "",))
        self._step(event.type.value)

    def _on_effect(self, entry: Entry) -> None:
        if entry.verb == "synchronize":
            self._step(entry.operation)

    def _step(self, what: str) -> None:
        self._taken[what] += 1
        if (what, self._taken[what]) == self._at:
            for program in self.programs.values():
                if program.name.startswith(self._dies):
                    self.killed.append(program.name)
                    self.loop.call_soon(program.kill, context=self.loop.world)
                    self.loop.call_later(0.5, program.start, context=self.loop.world)

    def hosts(self) -> list[str]:
        """Where it was placed, in order."""
        return [event.host or "" for event in self.said if event.type is EventType.PLACED]

    def there(self) -> dict[str, Any]:
        """What the devices have of it, by host."""
        key = f"zone-a.{KEY}"
        things = [device.things[key] for device in self.devices.values() if key in device.things]
        return {thing.host or "": thing.definition for thing in things}


STEPS = (
    ("handed_off", 1), ("placed", 2), ("leaving", 2), ("handed_off", 2), ("placed", 3), ("make", 1), ("completed", 2),
)  # fmt: skip
"""What of the two moves was just done: an event stored, how often that was, or a thing made. 1 `placed`: the create."""


@pytest.mark.parametrize("dies", ["agent", "supervisor"])
@pytest.mark.parametrize("at", STEPS, ids=[f"{what}-{number}" for what, number in STEPS])
def test_a_device_that_refuses_for_ever_is_left_for_another_whoever_dies(at: tuple[str, int], dies: str) -> None:
    run = Refused(plan_of(device_per_pod=True), dies=dies, at=at)
    verdict = run.go()
    assert run.killed, "the step was taken"
    assert not verdict.violations
    assert set(verdict.outcomes) == {"completed"}
    first, (refusing,) = run.hosts()[0], run.refusing
    assert refusing not in (first, run.hosts()[-1])
    ((where, thing),) = run.there().items()
    assert (where, thing["running"]) == (run.hosts()[-1], False)
    assert run.answered_s < END_S, "the device has not changed its mind"
    assert run.said[-1].tried == ()


def test_without_a_death_it_moves_once_more_and_to_no_host_twice() -> None:
    run = Refused(plan_of(device_per_pod=True))
    verdict = run.go()
    assert not verdict.violations
    first, refusing, last = run.hosts()
    assert len({first, refusing, last}) == 3, "there was another that had not refused"
    gave_up = [event for event in run.said if event.type is EventType.HANDED_OFF][1]
    assert (gave_up.left, gave_up.tried, gave_up.emptied, gave_up.existed) == (refusing, (first, refusing), True, True)
    assert gave_up.reason == f"host {refusing} has refused to make it 3 times: host {refusing} makes nothing (injected)"


def test_it_is_not_let_go_before_a_device_has_refused_more_often_than_restarts_are_allowed() -> None:
    run = Refused(plan_of(device_per_pod=True))
    run.loop.call_at(MOVES_S + 0.1, run.mend, context=run.loop.world)
    verdict = run.go()
    assert not verdict.violations
    assert run.refusing == set() and len(run.hosts()) == 2, "the back-off is longer than the trouble"


def test_where_all_refuse_it_goes_round_with_pauses_and_is_made_when_one_does_not_any_more() -> None:
    run = Refused(plan_of(device_per_pod=True), all_refuse=True)
    run.loop.call_at(MENDED_S, run.mend, context=run.loop.world)
    verdict = run.go()
    assert not verdict.violations
    assert run.answered_s > MENDED_S
    assert len(run.there()) == 1
    assert set(run.hosts()) == set(HOSTS), "all were tried"
    (migrated,) = [event for event in run.said if event.is_outcome and event.operation == "migrate"]
    assert migrated.type == ("failed" if run.hosts()[-1] == run.hosts()[0] else "completed")
    times_s = [event.at.timestamp() for event in run.said if event.type is EventType.PLACED][1:]
    hops_s = [after - before for before, after in pairwise(times_s)]
    round_s = [sum(hops_s[at : at + len(HOSTS)]) for at in range(len(hops_s) - len(HOSTS) + 1)]
    assert min(round_s) >= LONGEST_PAUSE_S / 2, "each round has a pause"


def test_what_stays_with_its_device_goes_back_where_it_was() -> None:
    """One device for all pods: it has the thing all along, and only refuses to move it."""
    run = Refused(plan_of(device_per_pod=False), all_refuse=True)
    verdict = run.go()
    assert not verdict.violations
    ((where, thing),) = run.there().items()
    assert (where, thing["running"]) == (run.said[-1].host, False)
    assert not [entry for entry in run.books.entries if entry.operation in ("make", "remove")], "it never left it"
