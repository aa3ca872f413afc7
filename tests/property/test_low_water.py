"""What may be purged of WORK: nothing that is not answered, and in the end all that is."""

from hypothesis import given
from hypothesis import strategies as some

from treeward.supervision.low_water import LowWater

KEYS = ("vm.a", "vm.b", "vm.c")
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("read"), some.sampled_from(KEYS)),
        some.tuples(some.just("read"), some.sampled_from(KEYS)),
        some.tuples(some.just("answer"), some.sampled_from(KEYS)),
        some.tuples(some.just("purge"), some.sampled_from(KEYS)),
        some.tuples(some.just("purge above"), some.integers(0, 60)),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_is_purged_was_answered_and_what_is_not_stays_counted(steps: list[tuple[str, object]]) -> None:
    water = LowWater()
    work: dict[int, str] = {}
    unanswered: dict[int, str] = {}
    read = 0
    for what, argument in steps:
        if what == "read":
            read += 1
            work[read] = unanswered[read] = str(argument)
            water.on_read(read, str(argument))
        elif what == "answer":
            first = next((ticket for ticket, key in unanswered.items() if key == argument), None)
            if first is not None:
                del unanswered[first]
        elif what == "purge":
            below = water.first(unanswered) or read + 1
            work = {ticket: key for ticket, key in work.items() if ticket >= below}
        else:
            assert isinstance(argument, int)
            for key, below in water.take_answered(unanswered, argument).items():
                work = {ticket: of for ticket, of in work.items() if of != key or ticket >= below}
        assert unanswered.keys() <= work.keys(), "something was purged that nobody has answered"
        assert len(water) >= len(unanswered)
    water.take_answered(unanswered, read)
    assert len(water) == len(unanswered)
    assert (water.first(unanswered) or 0) == min(unanswered, default=0)
