"""Members of one group are kept apart: never together where one of them insists, and no more than needed otherwise."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from treeward.supervision.anti_affinity import AntiAffinity
from treeward.supervision.need import Demand, Need
from treeward.supervision.placement import decide_placement, fits_nowhere
from treeward.supervision.places import Host, Placed, Places

SMALL = Demand(cpu_milli=1000, memory_mib=1)
HOSTS = some.lists(
    some.fixed_dictionaries({"pod": some.sampled_from(("pod-1", "pod-2", "pod-3")), "cpus": some.integers(1, 4)}),
    min_size=1,
    max_size=6,
)
GROUPS = some.builds(
    AntiAffinity, some.sampled_from(("db", "web")), some.sampled_from(("host", "pod")), some.booleans()
)
STEPS = some.lists(some.tuples(some.none() | GROUPS, some.integers(0, 4)), max_size=20)


def defined(hosts: list[dict[str, Any]]) -> Places:
    places = Places()
    for number, host in enumerate(hosts):
        places.define_host(f"host-{number}", host["pod"], host | {"memory_mib": 64})
    return places


def put(places: Places, key: str, apart: AntiAffinity | None) -> Host | None:
    need = Need(SMALL, apart=apart)
    chosen = decide_placement(places, need)
    if chosen is not None:
        places.put(key, Placed(chosen.pod, chosen.name, need))
    return chosen


def may_share(one: AntiAffinity | None, other: AntiAffinity | None, *, same_host: bool) -> bool:
    """Whether two in one pod may be where they are; this says it by pairs, the code by counts."""
    if one is None or other is None or one.group != other.group:
        return True
    return not any(each.required and (each.domain == "pod" or same_host) for each in (one, other))


@given(HOSTS, STEPS)
def test_no_two_of_a_group_are_where_one_of_them_does_not_allow_it(
    hosts: list[dict[str, Any]], steps: list[tuple[AntiAffinity | None, int]]
) -> None:
    places = defined(hosts)
    for number, (apart, drops) in enumerate(steps):
        put(places, f"vm.{number}", apart)
        if drops == 0 and places.placed:
            places.drop(min(places.placed))
        there = list(places.placed.values())
        for index, one in enumerate(there):
            for other in there[:index]:
                if one.pod == other.pod:
                    assert may_share(one.need.apart, other.need.apart, same_host=one.host == other.host)


@given(HOSTS, STEPS, GROUPS)
def test_it_is_placed_wherever_it_fits_and_all_others_allow_it(
    hosts: list[dict[str, Any]], steps: list[tuple[AntiAffinity | None, int]], apart: AntiAffinity
) -> None:
    places = defined(hosts)
    for number, (other, _) in enumerate(steps):
        put(places, f"vm.{number}", other)
    allowed = {
        host.name
        for host in places.hosts.values()
        if SMALL.fits(host.free)
        and all(
            may_share(apart, other.need.apart, same_host=other.host == host.name)
            for other in places.placed.values()
            if other.pod == host.pod
        )
    }
    room = any(SMALL.fits(host.free) for host in places.hosts.values())
    chosen = put(places, "vm.last", apart)
    assert (chosen is None) == (not allowed)
    assert chosen is None or chosen.name in allowed
    if chosen is None and room:
        reason = fits_nowhere(places, Need(SMALL, apart=apart), ["pod-1", "pod-2", "pod-3"])
        assert reason == f"where there is room for 1 cpus, 1 MiB, its group {apart.group!r} does not allow another"


@given(HOSTS, some.sampled_from(("host", "pod")), some.integers(1, 12))
def test_a_preference_shares_only_where_nothing_that_fits_has_fewer_of_its_group(
    hosts: list[dict[str, Any]], domain: str, count: int
) -> None:
    places = defined(hosts)
    apart = AntiAffinity("db", domain, required=False)
    for number in range(count):
        there = list(places.placed.values())
        crowds = {
            host.name: sum(host.pod == other.pod if domain == "pod" else host.name == other.host for other in there)
            for host in places.hosts.values()
            if SMALL.fits(host.free)
        }
        chosen = put(places, f"vm.{number}", apart)
        assert (chosen is None) == (not crowds)
        assert chosen is None or crowds[chosen.name] == min(crowds.values())


@given(HOSTS, STEPS, STEPS)
def test_what_was_dropped_leaves_no_trace_in_its_group(
    hosts: list[dict[str, Any]],
    steps: list[tuple[AntiAffinity | None, int]],
    more: list[tuple[AntiAffinity | None, int]],
) -> None:
    places, never = defined(hosts), defined(hosts)
    for number, (apart, _) in enumerate(steps):
        put(places, f"vm.old-{number}", apart)
    for key in list(places.placed):
        places.drop(key)
    for number, (apart, _) in enumerate(more):
        chosen, other = put(places, f"vm.{number}", apart), put(never, f"vm.{number}", apart)
        assert (chosen and chosen.name) == (other and other.name)


def test_what_moves_is_not_in_its_own_way() -> None:
    places = defined([{"pod": "pod-1", "cpus": 4}, {"pod": "pod-1", "cpus": 4}])
    apart = AntiAffinity("db", "pod", required=True)
    need = Need(SMALL, apart=apart)
    put(places, "vm.a", apart)
    assert decide_placement(places, need) is None
    with places.without(places.placed["vm.a"]):
        moved = decide_placement(places, need, avoid={places.placed["vm.a"].host})
    assert moved is not None
    assert decide_placement(places, need) is None


def test_what_a_definition_says_of_its_group_is_read_and_nothing_else_is() -> None:
    said = {"group": "db", "domain": "pod", "required": False}
    assert Need.of("vm", {"anti_affinity": said}).apart == AntiAffinity("db", "pod", required=False)
    assert Need.of("vm", {"anti_affinity": {"group": "db"}}).apart == AntiAffinity("db", "host", required=True)
    for nonsense in (None, "db", {"group": 3}, {}, ["db"]):
        assert Need.of("vm", {"anti_affinity": nonsense}).apart is None
