"""A host with fifty VMs is lost: what was never called there goes elsewhere, all else waits for it or for `isolate`.

Two zones lose a host each at the same time: that of zone-a comes back by itself, that of zone-b is isolated first.
"""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.support.command import treeward
from tests.support.device import JUDGES
from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.cli.device_control import ask
from treeward.runtime.books import query
from treeward.schemas.device_control import Fault, FaultAdd, FaultClear, FaultEffect
from treeward.schemas.events import Event, EventType, Verdict
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone

CPUS = 0.5
NEW, OLD = 20, 30
DOUBTFUL, NEVER_CALLED = range(5), range(5, 15)
"""Of the old VMs: a `stop` that crashed; a `stop` that was submitted after the loss."""
pytestmark = pytest.mark.timeout(240)


def zone(memory_mib: int) -> TopologyZone:
    """One pod. What fits on host 1 goes there, as the fullest by CPU; its neighbours have so much memory."""
    hosts = {"h1": TopologyHost(cpus=CPUS * (OLD + NEW), memory_mib=2**20)}
    hosts |= {name: TopologyHost(cpus=32, memory_mib=memory_mib) for name in ("h2", "h3")}
    return TopologyZone(pods={"p1": TopologyPod(hosts=hosts)})


class LostHost:
    """What happens in one zone."""

    def __init__(self, centre: Stack, name: str) -> None:
        self.centre = centre
        self.name = name
        self.old = [f"{name}.vm.old-{number}" for number in range(OLD)]
        self.new = [f"{name}.vm.new-{number}" for number in range(NEW)]

    async def outcomes(self, tickets: list[int]) -> list[Event]:
        """Of these tickets, in their order."""
        return [await self.centre.wait_for_outcome(self.name, ticket) for ticket in tickets]

    async def submit(self, names: list[str], operation: str, **fields: Any) -> list[int]:
        """Tickets of one unit for each."""
        return list(await asyncio.gather(*(self.centre.submit(each, operation, **fields) for each in names)))

    def seen(self, names: list[str], type_: EventType) -> list[Event]:
        """Events of that type so far."""
        return [event for each in names for event in self.centre.events_of(each, type_)]

    def unanswered(self, tickets: list[int]) -> int:
        """How many have no outcome."""
        return sum((self.name, ticket) not in self.centre.answers for ticket in tickets)

    def hosts(self) -> Counter[str]:
        """How many VMs the device has on each host."""
        found = query(self.centre.device_file, "SELECT zone, host FROM resources WHERE kind = 'vm'")
        return Counter(host for zone, host in found if zone == self.name)

    def fault(self, effect: str, **fields: Any) -> int:
        """Let something fail in this zone; returns what takes it back."""
        fault = Fault(effect=FaultEffect(effect), zone=self.name, **fields)
        return (ask(self.centre.centre.control, FaultAdd(fault=fault)).faults or [])[0].number

    def mend(self, number: int) -> None:
        """Take it back."""
        ask(self.centre.centre.control, FaultClear(number=number))

    async def lose(self, how: str) -> tuple[int, list[int], list[int], list[int]]:
        """Host 1 is lost with 30 VMs and 20 more on their way; its fault, and tickets: in doubt, not called, creates.

        `how`: what became of the calls that are in doubt.
        """
        created = await self.outcomes(await self.submit(self.old, "create", spec={"cpus": CPUS}))
        assert {(event.type, event.host) for event in created} == {("completed", "h1")}
        in_doubt = [self.old[number] for number in DOUBTFUL]
        for name in in_doubt:
            self.fault(how, id=name.rpartition(".")[2], operation="stop", times=1)
        quiet = self.fault("hang", id="old-*", operation="synchronize")
        doubtful = await self.submit(in_doubt, "stop")
        await until(lambda: len(self.seen(in_doubt, EventType.CRASHED)) == len(doubtful), "nobody knows of the five")
        lost = self.fault("unreachable", host="h1")
        self.mend(quiet)
        stops = await self.submit([self.old[number] for number in NEVER_CALLED], "stop", on_failure="reallocate")
        creates = await self.submit(self.new, "create", spec={"cpus": CPUS}, on_failure="reallocate")
        return lost, doubtful, stops, creates


async def _comes_back(here: LostHost) -> None:
    """Its neighbours have room for 16 of the 20: four wait with those whose device is away, until it is back."""
    lost, doubtful, stops, creates = await here.lose("lose")
    await until(lambda: here.unanswered(creates) == 4, "16 creates are completed elsewhere")
    await until(lambda: len(here.seen(here.new, EventType.PLACED)) == NEW + 16, "the other four are placed")
    answers = here.centre.answers
    done = [answers[here.name, ticket][0] for ticket in creates if (here.name, ticket) in answers]
    assert Counter((event.type, event.host) for event in done) == {("completed", "h2"): 8, ("completed", "h3"): 8}
    assert here.unanswered(doubtful + stops) == 15, "what was there waits"
    assert not here.seen(here.old, EventType.HANDED_OFF)
    left = here.seen(here.new, EventType.HANDED_OFF)
    assert {(event.left, event.existed, event.last) for event in left} == {("h1", False, None)}

    here.mend(lost)
    done = await here.outcomes(doubtful + stops + creates)
    assert {event.type for event in done} == {"completed"}
    assert {event.host for event in done[:15]} == {"h1"}
    assert Counter(event.host for event in done[15:]) == {"h1": 4, "h2": 8, "h3": 8}
    assert here.hosts() == {"h1": OLD + 4, "h2": 8, "h3": 8}


async def _is_isolated(here: LostHost) -> None:
    """A person gives it up: what was there goes on elsewhere, and what may have been done there has failed."""
    lost, doubtful, stops, creates = await here.lose("fail")
    assert {event.type for event in await here.outcomes(creates)} == {"completed"}
    assert here.unanswered(doubtful + stops) == 15, "what was there waits"
    isolate = ("isolate", f"{here.name}.host.h1", "--reason", "the rack burns", "--wait")
    await treeward(*isolate, url=here.centre.url)
    assert {event.type for event in await here.outcomes(stops)} == {"completed"}
    unknown = await here.outcomes(doubtful)
    assert {(event.type, event.verdict) for event in unknown} == {("failed", Verdict.MAYBE_STARTED)}
    await until(lambda: "h1" not in here.hosts(), "the device has nothing left on the host")
    assert here.hosts().total() == OLD + NEW

    here.mend(lost)
    spec = {"pod": "p1", "cpus": 1, "memory_mib": 1024, "labels": {"is": "repaired"}}
    tickets = await here.submit([f"{here.name}.host.h1"], "destroy")
    tickets += await here.submit([f"{here.name}.host.h1"], "create", spec=spec)
    tickets += await here.submit([f"{here.name}.vm.last"], "create", spec={"requires": {"is": "repaired"}})
    assert {event.type for event in await here.outcomes(tickets)} == {"completed"}
    assert here.hosts()["h1"] == 1


async def test_what_was_never_called_on_a_lost_host_runs_elsewhere_and_all_else_waits(tmp_path: Path) -> None:
    quick = {"TREEWARD_CALL_TIMEOUT_S": "1", "TREEWARD_BACKOFF_MAX_S": "0.4"}
    hosts = Topology(zones={"zone-a": zone(8 * 512), "zone-b": zone(2**20)})
    async with stack(tmp_path, topology=hosts, settings=quick) as centre:
        await asyncio.gather(_comes_back(LostHost(centre, "zone-a")), _is_isolated(LostHost(centre, "zone-b")))
        assert (await centre.judge()).violations == []
        found = {view: query(centre.device_file, f"SELECT count(*) FROM {view}")[0][0] for view in JUDGES}
        assert found == dict.fromkeys(JUDGES, 0)
        effects = query(centre.device_file, "SELECT zone, operation FROM calls WHERE effect = 1 AND kind = 'vm'")
        ran = Counter(row for row in effects if not row[1].startswith("synchronize"))
        assert ran == {
            ("zone-a", "create"): OLD + NEW, ("zone-a", "stop"): 15,
            ("zone-b", "create"): OLD + NEW + 1, ("zone-b", "stop"): 10,
        }  # fmt: skip
