"""Restart intensity and back-off."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from treeward.supervision.policies import RestartPolicy
from treeward.supervision.restart import Escalate, Restart, decide_restart, jitter_of

POLICY = RestartPolicy(restarts_max=3, period_s=60.0, backoff_s_min=0.1, backoff_s_max=30.0)
TIMES = some.lists(some.floats(0.0, 1000.0), max_size=10).map(sorted)
JITTER = some.floats(0.0, 1.0, exclude_max=True)


@given(TIMES, JITTER)
def test_more_restarts_than_allowed_within_the_period_are_escalated(times_s: list[float], jitter: float) -> None:
    now_s = 1000.0
    recent = sum(now_s - at_s < POLICY.period_s for at_s in times_s)
    decision = decide_restart(POLICY, restarted_at_s=times_s, now_s=now_s, jitter=jitter)
    assert isinstance(decision, Escalate) == (recent >= POLICY.restarts_max)


@given(TIMES, JITTER)
def test_a_restart_older_than_the_period_is_forgiven(times_s: list[float], jitter: float) -> None:
    later_s = max(times_s, default=0.0) + POLICY.period_s + 0.001
    decision = decide_restart(POLICY, restarted_at_s=times_s, now_s=later_s, jitter=jitter)
    assert decision == decide_restart(POLICY, restarted_at_s=[], now_s=later_s, jitter=jitter)


@given(some.integers(0, 100), JITTER)
def test_the_pause_doubles_up_to_its_bound_and_half_of_it_is_spread(count: int, jitter: float) -> None:
    policy = replace(POLICY, restarts_max=1000)
    decision = decide_restart(policy, restarted_at_s=[0.0] * count, now_s=0.0, jitter=jitter)
    assert isinstance(decision, Restart)
    full_s = min(policy.backoff_s_max, policy.backoff_s_min * 2.0**count)
    assert full_s / 2 <= decision.delay_s <= full_s


@given(some.text(max_size=20), some.integers(0, 10**9))
def test_the_spread_is_the_same_for_the_same_life(key: str, life: int) -> None:
    assert 0.0 <= jitter_of(key, life) < 1.0
    assert jitter_of(key, life) == jitter_of(key, life)


def test_what_crashed_together_does_not_come_back_together() -> None:
    assert len({jitter_of(f"vm.web-{number}", 5) for number in range(100)}) == 100
