"""The owner of a pod against everything that mailbox, device, log and time can do to it in any order."""

from hypothesis import event, given, settings
from hypothesis import strategies as some
from tests.support.pod_bench import EPOCH, KEYS, Bench

from treeward.schemas.mailbox import Message

KEY = some.sampled_from(KEYS)
REMEMBERS = some.sampled_from((1, 2, 8))
FATE = some.sampled_from(("answer", "answer", "answer", "lose", "fail"))
ANSWERED = some.just(("device", 0, "answer"))
BUSY = some.lists(
    some.one_of(ANSWERED, ANSWERED, ANSWERED, some.tuples(some.just("send"), KEY, some.integers(0, 2), some.just(0))),
    min_size=20,
    max_size=40,
)
"""The device is quicker than the log."""
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("send"), KEY, some.integers(0, 3), some.sampled_from((0, 0, 0, 1, 2, 5))),
        some.tuples(some.just("device"), some.integers(0, 3), FATE),
        some.tuples(some.just("device"), some.integers(0, 3), FATE),
        some.tuples(some.just("acknowledge")),
        some.tuples(some.just("acknowledge")),
        some.tuples(some.just("fetch"), some.integers(0, 9)),
        some.tuples(some.just("tick"), some.sampled_from((0.05, 0.5, 3.0, 6.0))),
        some.tuples(some.just("sleep"), some.sampled_from((3.0, 6.0))),
        some.tuples(some.just("mark"), KEY, some.integers(0, 7)),
        some.tuples(some.just("take_over"), some.integers(0, 3)),
    ),
    max_size=120,
)


@settings(max_examples=300)
@given(STEPS, REMEMBERS)
def test_no_order_of_things_makes_it_break_a_rule(steps: list[tuple[object, ...]], remembers: int) -> None:
    Bench(remembers).carry_out(steps)


@settings(max_examples=100)
@given(STEPS, REMEMBERS)
def test_when_things_calm_down_everything_that_is_still_here_is_answered(
    steps: list[tuple[object, ...]], remembers: int
) -> None:
    bench = Bench(remembers)
    bench.carry_out(steps)
    _calm_down(bench)


@settings(max_examples=200)
@given(some.lists(some.tuples(KEY, *(some.integers(0, 16) for _ in range(4))), max_size=30))
def test_messages_for_another_epoch_or_life_change_nothing(garbage: list[tuple[str, int, int, int, int]]) -> None:
    bench = Bench()
    for key, epoch, life, ticket, previous in garbage:
        if (epoch, life) != (EPOCH, bench.state(key, bench.last)[0]):
            bench.deliver(key, Message(epoch=epoch, life=life, ticket=ticket, previous=previous, operation="kick"))
    while bench.requests or bench.appends or bench.fetches:
        bench.fetch(-1)
        bench.device(0, "answer")
        bench.acknowledge()
    assert not bench.called
    assert len(bench.log) == len(KEYS)


@settings(max_examples=100)
@given(STEPS)
def test_an_owner_that_was_told_to_stop_takes_nothing_more(steps: list[tuple[object, ...]]) -> None:
    bench = Bench()
    bench.carry_out(steps[: len(steps) // 2])
    bench.owner.stop_taking()
    in_hand = {key: row.hand.ticket for key, row in bench.owner.rows.items() if row.hand is not None}
    before = set(bench.called)
    bench.carry_out(step for step in steps[len(steps) // 2 :] if step[0] != "take_over")
    assert {(key, ticket) for key, _, ticket in bench.called - before} <= set(in_hand.items())


@settings(max_examples=200)
@given(BUSY, some.sampled_from((2, 8)), some.integers(0, 8))
def test_who_takes_over_from_one_that_called_ahead_answers_each_unit_as_the_device_did(
    steps: list[tuple[object, ...]], remembers: int, stored: int
) -> None:
    """The device answers at once, what is said waits on its way to the log, and then only the first of it is stored."""
    bench = Bench(remembers)
    for key in KEYS:
        for index in range(3):
            bench.send(key, index, 0)
            bench.fetch(-1)
    bench.carry_out(steps)
    event(f"called ahead: {bench.called_ahead > 0}")
    bench.take_over(stored)
    _calm_down(bench)


def _calm_down(bench: Bench) -> None:
    """Everything is sent, answered and stored; then each unit has its outcome, if its resource is still here."""
    assert not bench.gave_up, "nobody has replaced it"
    for _ in range(400):
        for key in KEYS:
            for index in range(3):
                bench.send(key, index, 0)
        while bench.requests or bench.appends or bench.fetches:
            bench.device(0, "answer")
            bench.acknowledge()
            bench.fetch(0)
        bench.tick(0.5)
    for key in KEYS:
        _, answered, here = bench.state(key, bench.last)
        quarantined = any(event.quarantined for _, event in bench.log[-20:] if event.key == key)
        assert quarantined or not here or answered == max(bench.units[key])
