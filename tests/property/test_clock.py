"""A steady clock never goes back, is never slower than it says, and comes to be right again."""

from hypothesis import given
from hypothesis import strategies as some

from treeward.runtime.clock import SLOWEST, SteadyClock


class SetClock:
    """A machine's clock that people set."""

    def __init__(self) -> None:
        self.wall_s = 1000.0
        self.counted_s = 50.0

    def now_s(self) -> float:
        return self.wall_s

    def monotonic_s(self) -> float:
        return self.counted_s


STEPS = some.lists(some.tuples(some.floats(0.0, 100.0), some.sampled_from([0.0, 0.0, 0.0, 1.0, -1.0, 3600.0, -3600.0])))


@given(STEPS)
def test_however_the_machine_is_set_time_goes_on(steps: list[tuple[float, float]]) -> None:
    machine = SetClock()
    clock = SteadyClock(machine)
    for passed_s, set_by_s in steps:
        before_s = clock.now_s()
        machine.counted_s += passed_s
        machine.wall_s += passed_s + set_by_s
        now_s = clock.now_s()
        assert now_s >= before_s + SLOWEST * passed_s - 1e-6
        assert now_s >= machine.wall_s


@given(some.floats(0.0, 3600.0))
def test_after_it_was_set_back_it_is_right_again_in_time(set_back_s: float) -> None:
    machine = SetClock()
    clock = SteadyClock(machine)
    machine.wall_s -= set_back_s
    patience_s = set_back_s / (1 - SLOWEST) + 1
    machine.counted_s += patience_s
    machine.wall_s += patience_s
    assert clock.now_s() == machine.wall_s
