"""How the lag of the event loop is told, with time as a value."""

import pytest

from treeward.runtime.loop_watch import PERIOD_S, SPAN_S, LoopWatch


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def now_s(self) -> float:
        return self.time_s

    def monotonic_s(self) -> float:
        return self.time_s


def watched(clock: HandClock, *sleeps_s: float) -> LoopWatch:
    watch = LoopWatch(clock)
    for sleep_s in sleeps_s:
        watch.fall_asleep()
        clock.time_s += sleep_s
        watch.wake_up()
    return watch


def test_a_loop_that_is_in_time_has_no_lag() -> None:
    assert LoopWatch(HandClock()).lag_s() == 0
    assert watched(HandClock(), PERIOD_S, PERIOD_S).lag_s() == pytest.approx(0)


def test_a_hold_up_is_told_while_it_lasts() -> None:
    clock = HandClock()
    watch = watched(clock, PERIOD_S)
    watch.fall_asleep()
    clock.time_s += PERIOD_S + 2
    assert watch.lag_s() == pytest.approx(2)


def test_the_longest_hold_up_is_remembered_for_ten_seconds() -> None:
    clock = HandClock()
    watch = watched(clock, PERIOD_S + 2, PERIOD_S + 1)
    assert watch.lag_s() == pytest.approx(2)
    for _ in range(int(SPAN_S / PERIOD_S) - 11):
        watch.fall_asleep()
        clock.time_s += PERIOD_S
        watch.wake_up()
    assert watch.lag_s() == pytest.approx(1), "the longer one was noted 1.1 s earlier"
    for _ in range(12):
        watch.fall_asleep()
        clock.time_s += PERIOD_S
        watch.wake_up()
    assert watch.lag_s() == pytest.approx(0)
