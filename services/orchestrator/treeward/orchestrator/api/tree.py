"""The supervision tree of a zone, made from a snapshot: pods, hosts, what is on them, and who acts for them. Pure."""

from collections.abc import Mapping

from treeward.orchestrator.api.facts import Branch
from treeward.orchestrator.api.resource import owner_of, process_in
from treeward.orchestrator.api.snapshot import BRANCHES, Entry, Snapshot
from treeward.schemas.api.parts import Counts, ProcessState
from treeward.schemas.api.tree import Capacity, HostBranch, PodBranch
from treeward.supervision.need import Demand, demand_of

WAITING = "waiting"
"""Counted beside the states of processes: what has no place and units that wait."""


def branches_of(snapshot: Snapshot, owners: Mapping[str, Branch], pod: str | None) -> tuple[list[PodBranch], Counts]:
    """The pods (only `pod`, if given) with their hosts, and what exists without a pod."""
    pods = {
        key.partition(".")[2]: entry
        for key, entry in snapshot.entries.items()
        if entry.kind == "pod" and entry.exists and pod in (None, key.partition(".")[2])
    }
    branches = {name: _pod_branch(name, entry, owners.get(name)) for name, entry in sorted(pods.items())}
    hosts: dict[str, HostBranch] = {}
    used: dict[str, list[int]] = {}
    for key, entry in sorted(snapshot.entries.items()):
        if entry.kind == "host" and entry.pod in branches:
            name = key.partition(".")[2]
            hosts[name] = _host_branch(name, entry, _epoch(owners, entry.pod))
            branches[entry.pod].hosts.append(hosts[name])
    unplaced: Counts = {}
    for entry in snapshot.entries.values():
        if entry.kind in BRANCHES:
            continue
        if entry.pod is None:
            if entry.exists:
                _count(unplaced, entry, 0)
        elif entry.pod in branches:
            host = hosts.get(entry.host or "")
            _count(host.counts if host is not None else branches[entry.pod].counts, entry, _epoch(owners, entry.pod))
            if host is not None:
                _add(used.setdefault(host.id, [0, 0, 0, 0]), entry.demand)
    for name, sums in used.items():
        hosts[name].used = capacity_of(Demand(*sums))
    return list(branches.values()), unplaced


def capacity_of(demand: Demand) -> Capacity:
    """A demand, or what a host offers, as it is answered."""
    return Capacity(
        cpus=demand.cpu_milli / 1000,
        memory_mib=demand.memory_mib,
        gpus=demand.gpu_milli / 1000,
        disk_gib=demand.disk_gib,
    )


def branch_state(owner: Branch | None) -> ProcessState:
    """Of a zone or pod that is defined: ready when its owner says that it acts in the epoch it was claimed with."""
    if owner is None or owner.claim is None:
        return ProcessState.INITIALIZED
    return ProcessState.READY if owner.presence.state == "present" and owner.acts else ProcessState.INITIALIZED


def _pod_branch(name: str, entry: Entry, owner: Branch | None) -> PodBranch:
    event = entry.event
    assert event is not None, "of pods the event is kept"
    definition = event.definition or {}
    branch = PodBranch(
        id=name,
        state=branch_state(owner),
        paused=entry.paused,
        quarantined=entry.quarantined,
        draining=event.draining,
        labels=definition.get("labels") or {},
        device=definition.get("device"),
    )
    if owner is not None:
        branch.owner = owner_of(owner)
    return branch


def _host_branch(name: str, entry: Entry, epoch: int) -> HostBranch:
    event = entry.event
    assert event is not None, "of hosts the event is kept"
    definition = event.definition or {}
    return HostBranch(
        id=name,
        state=process_in(entry.kind, entry.type, entry.position, epoch, placed=True, exists=entry.exists),
        paused=entry.paused,
        quarantined=entry.quarantined,
        draining=event.draining,
        labels=definition.get("labels") or {},
        capacity=capacity_of(demand_of("host", definition)),
    )


def _add(sums: list[int], demand: Demand) -> None:
    """In place, since this is done for every resource of a zone."""
    for index, amount in enumerate(demand):
        sums[index] += amount


def _epoch(owners: Mapping[str, Branch], pod: str | None) -> int:
    owner = owners.get(pod or "")
    return owner.epoch if owner is not None else 0


def _count(counts: Counts, entry: Entry, epoch: int) -> None:
    placed = entry.pod is not None
    state = process_in(entry.kind, entry.type, entry.position, epoch, placed=placed, exists=entry.exists)
    by_state = counts.setdefault(entry.kind, {})
    for name, is_so in ((state.value, True), ("paused", entry.paused), ("quarantined", entry.quarantined)):
        if is_so:
            by_state[name] = by_state.get(name, 0) + 1
