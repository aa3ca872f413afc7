"""Placement never gives away what is not there, and keeps together and apart what it should."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from treeward.supervision.need import NOTHING, Demand, Need, demand_of
from treeward.supervision.placement import decide_placement
from treeward.supervision.places import Placed, Places

HOSTS = some.lists(
    some.fixed_dictionaries({
        "pod": some.sampled_from(("pod-1", "pod-2", "pod-3")),
        "cpus": some.integers(1, 16),
        "memory_mib": some.integers(1, 16),
        "gpus": some.sampled_from((0, 0, 0, 2)),
        "disk_gib": some.integers(0, 8),
        "labels": some.dictionaries(some.just("rack"), some.sampled_from("ab"), max_size=1),
    }),
    min_size=1,
    max_size=6,
)  # fmt: skip
DEMANDS = some.builds(
    Demand, some.integers(0, 8000), some.integers(0, 8), some.sampled_from((0, 0, 1000)), some.integers(0, 4)
)
STEPS = some.lists(
    some.tuples(
        DEMANDS,
        some.sampled_from((None, None, "group-1", "group-2")),
        some.dictionaries(some.just("rack"), some.sampled_from("ab"), max_size=1),
        some.integers(0, 3),
    ),
    max_size=25,
)


def defined(hosts: list[dict[str, Any]]) -> Places:
    places = Places()
    for number, definition in enumerate(hosts):
        places.define_host(f"host-{number}", definition["pod"], definition)
    return places


def used_of(places: Places, host: str) -> Demand:
    used = NOTHING
    for place in places.placed.values():
        if place.host == host:
            used = used.plus(place.need.demand)
    return used


@given(HOSTS, STEPS)
def test_nothing_is_ever_given_away_twice(hosts: list[dict[str, Any]], steps: list[tuple[Any, ...]]) -> None:
    places = defined(hosts)
    for number, (demand, spread, requires, drops) in enumerate(steps):
        need = Need(demand, tuple(requires.items()), spread)
        chosen = decide_placement(places, need)
        if chosen is not None:
            assert all(chosen.labels.get(name) == value for name, value in requires.items())
            places.put(f"vm.{number}", Placed(chosen.pod, chosen.name, need))
        if drops == 0 and places.placed:
            places.drop(min(places.placed))
        for host in places.hosts.values():
            assert host.used == used_of(places, host.name)
            assert host.used.fits(host.capacity)


@given(HOSTS, STEPS, DEMANDS, some.dictionaries(some.just("rack"), some.sampled_from("ab"), max_size=1))
def test_what_fits_somewhere_is_placed(
    hosts: list[dict[str, Any]], steps: list[tuple[Any, ...]], demand: Demand, requires: dict[str, str]
) -> None:
    places = defined(hosts)
    for number, (taken, spread, _, _) in enumerate(steps):
        need = Need(taken, spread=spread)
        chosen = decide_placement(places, need)
        if chosen is not None:
            places.put(f"vm.{number}", Placed(chosen.pod, chosen.name, need))
    fitting = {
        host.name
        for host in places.hosts.values()
        if demand.fits(host.free) and all(host.labels.get(name) == value for name, value in requires.items())
    }
    for spread in (None, "group-1"):
        chosen = decide_placement(places, Need(demand, tuple(requires.items()), spread))
        assert (chosen is None) == (not fitting)
        assert chosen is None or chosen.name in fitting


@given(HOSTS, some.integers(1, 12))
def test_members_of_a_group_share_a_pod_only_when_every_pod_that_fits_has_one(
    hosts: list[dict[str, Any]], count: int
) -> None:
    places = defined(hosts)
    need = Need(Demand(cpu_milli=1000, memory_mib=1), spread="group")
    for number in range(count):
        fitting = {host.pod for host in places.hosts.values() if need.demand.fits(host.free)}
        chosen = decide_placement(places, need)
        assert (chosen is None) == (not fitting)
        if chosen is None:
            return
        members = {pod: places.spread.get(("group", f"pod/{pod}"), 0) for pod in fitting}
        assert members[chosen.pod] == min(members.values())
        places.put(f"vm.{number}", Placed(chosen.pod, chosen.name, need))


@given(HOSTS, DEMANDS, some.integers(0, 5))
def test_a_move_avoids_the_host_that_it_leaves(hosts: list[dict[str, Any]], demand: Demand, left: int) -> None:
    places = defined(hosts)
    avoid = f"host-{left % len(hosts)}"
    chosen = decide_placement(places, Need(demand), avoid={avoid})
    assert chosen is None or chosen.name != avoid
    others = [host for host in places.hosts.values() if host.name != avoid and demand.fits(host.free)]
    assert (chosen is None) == (not others)


@given(HOSTS, some.permutations(range(6)), STEPS)
def test_what_is_used_is_the_same_in_whatever_order_hosts_and_places_are_learned(
    hosts: list[dict[str, Any]], order: list[int], steps: list[tuple[Any, ...]]
) -> None:
    places = defined(hosts)
    for number, (demand, spread, _, _) in enumerate(steps):
        need = Need(demand, spread=spread)
        chosen = decide_placement(places, need)
        if chosen is not None:
            places.put(f"vm.{number}", Placed(chosen.pod, chosen.name, need))
    again = Places()
    for key, place in reversed(places.placed.items()):
        again.put(key, place)
    for number in order:
        if number < len(hosts):
            again.define_host(f"host-{number}", hosts[number]["pod"], hosts[number])
    assert {name: host.free for name, host in again.hosts.items()} == {
        name: host.free for name, host in places.hosts.items()
    }
    assert again.spread == places.spread


def test_a_resource_without_gpu_leaves_hosts_with_one_to_those_who_need_it() -> None:
    places = Places()
    places.define_host("with", "pod-1", {"cpus": 4, "memory_mib": 8, "gpus": 1})
    places.define_host("without", "pod-1", {"cpus": 8, "memory_mib": 16})
    chosen = decide_placement(places, Need(Demand(1000, 1)))
    assert chosen is not None
    assert chosen.name == "without"


def test_hosts_that_are_isolated_are_counted_and_stay_so_when_their_definition_changes() -> None:
    places = defined([{"pod": "pod-1", "cpus": 4}, {"pod": "pod-1", "cpus": 4}])
    assert places.isolated() == 0
    places.hosts["host-1"].isolated = True
    places.define_host("host-1", "pod-1", {"cpus": 8})
    assert places.isolated() == 1
    places.remove_host("host-1")
    assert places.isolated() == 0


def test_what_a_definition_takes_is_counted_in_whole_thousandths() -> None:
    assert demand_of("vm", {"cpus": 0.1, "memory_mib": 512}) == Demand(100, 512)
    assert demand_of("volume", {"size_gib": 10}) == Demand(disk_gib=10)
    assert demand_of("network", {"cidr": "10.0.0.0/8"}) == NOTHING
    assert demand_of("vm", None) == NOTHING
