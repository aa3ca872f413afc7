"""A trace becomes the same topology and the same units each time, in the order of the trace."""

import json
from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from treeward.cli.replay.schedule import Planned, build_schedule, cancel_of
from treeward.cli.replay.trace import Node, Size, Trace, Workload, read_trace
from treeward.schemas.units import parse_unit

DATA = Path(__file__).parents[1] / "data"
SMALL, LARGE = Size(1_000, 100, 0), Size(8_000, 800, 1_000)
NODES = [Node(f"n-{number}", SMALL if number % 2 else LARGE, "m" if number % 2 else "") for number in range(8)]


def workload(name: str, created_s: float, deleted_s: float | None, size: Size = SMALL) -> Workload:
    return Workload(name, size, created_s, deleted_s)


def planned(*workloads: Workload, zones: int = 1, nodes: list[Node] = NODES) -> list[list[tuple[str, str]]]:
    schedule = build_schedule(Trace(nodes, list(workloads)), zones=zones, pods_per_zone=1)
    return [[(unit.action, unit.key.removeprefix("vm.")) for unit in units] for units in schedule.units.values()]


def test_hosts_are_dealt_to_zones_and_pods_with_their_capacities_and_models() -> None:
    trace = Trace(NODES, [workload("w", 0, 1)])
    zones = build_schedule(trace, zones=2, pods_per_zone=2, device="tcp://127.0.0.1:7").topology.zones
    assert list(zones) == ["openb-1", "openb-2"]
    assert [sorted(pod.hosts) for pod in zones["openb-1"].pods.values()] == [["n-0", "n-4"], ["n-2", "n-6"]]
    host = zones["openb-2"].pods["pod-1"].hosts["n-1"]
    assert (host.cpus, host.memory_mib, host.gpus, host.labels) == (1.0, 100, 0.0, {"model": "m"})
    assert zones["openb-2"].pods["pod-1"].device == "tcp://127.0.0.1:7"


def test_units_are_in_order_of_time_and_of_equal_time_in_order_of_creation() -> None:
    (units,) = planned(workload("a", 0, 5), workload("b", 1, 5), workload("c", 5, 5), workload("d", 5, None))
    assert units == [
        ("create", "a"), ("create", "b"), ("destroy", "a"), ("destroy", "b"),
        ("create", "c"), ("destroy", "c"), ("create", "d"),
    ]  # fmt: skip


def test_workloads_are_dealt_evenly_to_the_zones_that_can_hold_them() -> None:
    nodes = [Node("n-0", SMALL, ""), Node("n-1", LARGE, "")]
    many = [workload(f"w-{number}", number, None, LARGE if number < 2 else SMALL) for number in range(6)]
    zones = planned(*many, zones=2, nodes=nodes)
    assert [name for _, name in zones[1]] == ["w-0", "w-1", "w-5"]
    assert [name for _, name in zones[0]] == ["w-2", "w-3", "w-4"]


def test_what_fits_no_host_is_named_and_cancelled_when_it_would_have_been_deleted() -> None:
    trace = Trace(NODES, [workload("huge", 0, 3, Size(9_000, 1, 0)), workload("w", 1, 2)])
    schedule = build_schedule(trace, zones=1, pods_per_zone=1)
    assert [one.name for one in schedule.impossible] == ["huge"]
    actions = [(unit.action, unit.key) for unit in schedule.units["openb-1"]]
    assert actions == [("create", "vm.huge"), ("create", "vm.w"), ("destroy", "vm.w"), ("cancel", "vm.huge")]


def test_every_unit_passes_the_door() -> None:
    trace = read_trace(DATA / "openb_nodes.csv", DATA / "openb_workloads.csv")
    schedule = build_schedule(trace, zones=3, pods_per_zone=2)
    for zone, units in schedule.units.items():
        for unit in units:
            body = cancel_of(1, "why") if unit.action == "cancel" else unit.body
            parse_unit(body, zone=zone, key=unit.key, ticket=2)
    sizes = {one.name: one.size for one in trace.workloads}
    for unit in schedule.units["openb-1"]:
        if unit.action == "create":
            spec = json.loads(unit.body)["spec"]
            read = Size(round(spec["cpus"] * 1000), spec["memory_mib"], round(spec.get("gpus", 0) * 1000))
            assert read == sizes[unit.key.removeprefix("vm.")]


def test_a_schedule_is_the_same_each_time_but_for_the_name_of_the_run() -> None:
    trace = read_trace(DATA / "openb_nodes.csv", DATA / "openb_workloads.csv")
    first, second = (build_schedule(trace, zones=3, pods_per_zone=2, run="r") for _ in range(2))
    assert first.units == second.units and first.topology == second.topology
    assert first.count == 240 and len(first.impossible) == 3
    ids = [unit.message_id for units in first.units.values() for unit in units]
    other = build_schedule(trace, zones=3, pods_per_zone=2, run="s")
    others = [unit.message_id for units in other.units.values() for unit in units]
    assert len(set(ids)) == len(ids) and not set(ids) & set(others)


SIZES = st.builds(Size, st.integers(1, 9_000), st.integers(1, 900), st.sampled_from([0, 500, 1_000]))
TIMES = st.integers(0, 6)


@given(st.lists(st.tuples(SIZES, TIMES, st.none() | TIMES), min_size=1, max_size=25), st.integers(1, 4))
def test_each_vm_is_created_once_and_gone_once_in_its_own_zone(
    drawn: list[tuple[Size, int, int | None]], zones: int
) -> None:
    workloads = [
        workload(f"w-{index}", created, None if life is None else created + life, size)
        for index, (size, created, life) in enumerate(sorted(drawn, key=lambda one: one[1]))
    ]
    schedule = build_schedule(Trace(NODES, workloads), zones=zones, pods_per_zone=1)
    seen: dict[str, list[Planned]] = {}
    for zone, units in schedule.units.items():
        assert [unit.at_s for unit in units] == sorted(unit.at_s for unit in units)
        for unit in units:
            assert unit.zone == zone
            seen.setdefault(unit.key, []).append(unit)
    for one in workloads:
        units = seen[f"vm.{one.name}"]
        wanted = (
            ["create"] if one.deleted_s is None else ["create", "cancel" if one in schedule.impossible else "destroy"]
        )
        assert [unit.action for unit in units] == wanted
        assert len({unit.zone for unit in units}) == 1
        host_sizes = [node.size for index, node in enumerate(NODES) if f"openb-{index % zones + 1}" == units[0].zone]
        assert any(one.size.fits(size) for size in host_sizes) == (one not in schedule.impossible)
    assert max(Counter(seen[key][0].zone for key in seen).values()) <= len(workloads)
