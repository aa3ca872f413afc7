"""The owner of a zone against everything that mailbox, log, replicas and its pods can do to it in any order."""

from hypothesis import given, settings
from hypothesis import strategies as some
from tests.support.zone_bench import CPUS, HOSTS, KEYS, Bench

KEY = some.sampled_from(KEYS)
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("send"), KEY, some.integers(0, 3), some.sampled_from((0, 0, 0, 1, 3))),
        some.tuples(some.just("send"), KEY, some.integers(0, 3), some.just(0)),
        some.tuples(some.just("acknowledge")),
        some.tuples(some.just("acknowledge")),
        some.tuples(some.just("fetch"), some.integers(0, 9)),
        some.tuples(some.just("fetch"), some.integers(0, 9)),
        some.tuples(some.just("read")),
        some.tuples(some.just("read")),
        some.tuples(some.just("pod"), KEY, some.booleans()),
        some.tuples(some.just("pod"), KEY, some.just(False)),
        some.tuples(some.just("tick"), some.sampled_from((0.05, 1.0, 3.0))),
        some.tuples(some.just("mark"), KEY, some.integers(0, 7)),
        some.tuples(some.just("purge")),
    ),
    max_size=150,
)


@settings(max_examples=300)
@given(STEPS)
def test_no_order_of_things_makes_it_answer_twice_or_give_a_place_away_twice(steps: list[tuple[object, ...]]) -> None:
    Bench().carry_out(steps)


@settings(max_examples=100)
@given(STEPS)
def test_when_things_calm_down_everything_is_answered(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    bench.carry_out(steps)
    assert not bench.gave_up, "nobody has replaced it"
    for _ in range(100):
        for key in KEYS:
            for index in range(3):
                bench.send(key, index, 0)
            bench.pod(key, False)
        while bench.appends or bench.fetches or bench.read_up_to < bench.last:
            bench.acknowledge()
            bench.fetch(-1)
            bench.read()
        bench.tick(0.5)
    for key, place in bench.places.items():
        assert place.answered == max(place.tickets), f"{key} has units without an outcome"


@settings(max_examples=100)
@given(STEPS)
def test_what_it_believes_to_be_free_is_free(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    bench.carry_out(steps)
    while bench.appends or bench.fetches or bench.read_up_to < bench.last:
        bench.acknowledge()
        bench.fetch(0)
        bench.read()
    for host in HOSTS:
        used = sum(place.host == host for place in bench.places.values())
        assert bench.owner.where.places.hosts[host].free.cpu_milli == (CPUS - used) * 1000
