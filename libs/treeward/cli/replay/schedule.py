"""Turns a trace into a topology and into units, in the order in which each zone gets them: pure and repeatable."""

import heapq
import json
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from treeward.cli.replay.trace import Size, Trace, Workload
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone

Action = Literal["create", "destroy", "cancel"]


class Planned(NamedTuple):
    """A unit of the replay, to be submitted at `at_s` of the trace; a `cancel` names the ticket of its VM's create."""

    at_s: float
    zone: str
    key: str
    action: Action
    body: bytes
    message_id: str


@dataclass(slots=True)
class Schedule:
    """What a replay does."""

    topology: Topology
    units: dict[str, list[Planned]]
    """By zone, in the order in which they are submitted."""
    impossible: list[Workload] = field(default_factory=list)
    """Larger than every host: their creates are cancelled when they would have been deleted."""
    begins_s: float = 0.0

    @property
    def count(self) -> int:
        """How many units there are."""
        return sum(len(units) for units in self.units.values())


def zone_name(index: int) -> str:
    """Of the n-th zone, from 0."""
    return f"openb-{index + 1}"


def build_schedule(
    trace: Trace, *, zones: int, pods_per_zone: int, run: str = "run", device: str | None = None
) -> Schedule:
    """The topology and the units of a replay; `run` makes the message ids of one run, `device` is that of the pods."""
    hosts: list[list[Size]] = [[] for _ in range(zones)]
    pods: list[list[dict[str, TopologyHost]]] = [[{} for _ in range(pods_per_zone)] for _ in range(zones)]
    for index, node in enumerate(trace.nodes):
        zone, pod = index % zones, index // zones % pods_per_zone
        hosts[zone].append(node.size)
        pods[zone][pod][node.name] = TopologyHost(
            cpus=node.size.cpu_milli / 1000,
            memory_mib=node.size.memory_mib,
            gpus=node.size.gpu_milli / 1000,
            labels={"model": node.model} if node.model else {},
        )
    topology = Topology(
        zones={
            zone_name(zone): TopologyZone(
                pods={
                    f"pod-{pod + 1}": TopologyPod(device=device, hosts=pods[zone][pod]) for pod in range(pods_per_zone)
                }
            )
            for zone in range(zones)
        }
    )
    schedule = Schedule(topology, {zone_name(zone): [] for zone in range(zones)}, begins_s=trace.workloads[0].created_s)
    _plan(schedule, trace, _Dealer(hosts), run)
    return schedule


class _Dealer:
    """Deals workloads to zones: the one with the fewest so far of those that have a host large enough."""

    def __init__(self, hosts: list[list[Size]]) -> None:
        self._kinds = [set(sizes) for sizes in hosts]
        self._loads = [(0, zone) for zone in range(len(hosts))]

    def deal(self, size: Size) -> tuple[int, bool]:
        """The zone, and whether any host can hold it at all."""
        passed_over = []
        chosen = None
        while self._loads and chosen is None:
            load = heapq.heappop(self._loads)
            if any(size.fits(host) for host in self._kinds[load[1]]):
                chosen = load
            else:
                passed_over.append(load)
        possible = chosen is not None
        if chosen is None:
            chosen = passed_over.pop(0)
        for load in passed_over:
            heapq.heappush(self._loads, load)
        heapq.heappush(self._loads, (chosen[0] + 1, chosen[1]))
        return chosen[1], possible


def _plan(schedule: Schedule, trace: Trace, dealer: _Dealer, run: str) -> None:
    """Units by time; of equal time in order of creation, a VM's create before its destroy."""
    moments: list[tuple[float, int, int, Planned]] = []
    for index, workload in enumerate(trace.workloads):
        zone_index, possible = dealer.deal(workload.size)
        if not possible:
            schedule.impossible.append(workload)
        zone, key = zone_name(zone_index), f"vm.{workload.name}"
        created = Planned(workload.created_s, zone, key, "create", _create(workload.size), f"{run}-{index}-create")
        moments.append((workload.created_s, index, 0, created))
        if workload.deleted_s is not None:
            action: Action = "destroy" if possible else "cancel"
            body = b'{"operation":"destroy"}' if possible else b""
            gone = Planned(workload.deleted_s, zone, key, action, body, f"{run}-{index}-{action}")
            moments.append((workload.deleted_s, index, 1, gone))
    moments.sort(key=lambda moment: moment[:3])
    for *_, planned in moments:
        schedule.units[planned.zone].append(planned)


def _create(size: Size) -> bytes:
    spec: dict[str, float] = {"cpus": size.cpu_milli / 1000, "memory_mib": size.memory_mib}
    if size.gpu_milli:
        spec["gpus"] = size.gpu_milli / 1000
    return json.dumps({"operation": "create", "spec": spec}, separators=(",", ":")).encode()


def cancel_of(ticket: int, reason: str) -> bytes:
    """The body that cancels a unit."""
    return json.dumps({"operation": "cancel", "ticket": ticket, "reason": reason}, separators=(",", ":")).encode()
