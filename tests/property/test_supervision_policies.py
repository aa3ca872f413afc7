"""Which policy holds, who restarts when, and what a supervisor thinks of itself: each rule against anything."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from treeward.supervision.limits import Limits
from treeward.supervision.policies import Budget, budget_of, configured, effective, restart_policy
from treeward.supervision.restart_line import EARLY_S, RestartLine
from treeward.supervision.self_suspicion import WINDOW_S, Failure, SelfSuspicion

FAILED_MIN = 10

FIELDS = ("restarts_max", "restart_period_s", "backoff_min_s", "backoff_max_s")
SAID = some.dictionaries(some.sampled_from(FIELDS), some.one_of(some.none(), some.integers(1, 50)), max_size=4)
POLICIES = some.builds(
    lambda own, kinds: own | ({"kinds": kinds} if kinds else {}),
    SAID,
    some.dictionaries(some.sampled_from(("vm", "volume")), some.one_of(some.none(), SAID), max_size=2),
)
CHAIN = some.lists(some.one_of(some.none(), POLICIES.map(lambda said: configured(None, said))), max_size=4)


# --- the nearest branch wins ----------------------------------------------------------------------------------------


@given(CHAIN, some.sampled_from(FIELDS), some.sampled_from(("vm", "volume", "host")))
def test_the_nearest_branch_that_says_something_wins(chain: list[dict[str, Any] | None], name: str, kind: str) -> None:
    def said_by(each: dict[str, Any] | None) -> Any:
        of_kind = ((each or {}).get("kinds") or {}).get(kind, {}).get(name)
        return of_kind if of_kind is not None else (each or {}).get(name)

    expected = next((said_by(each) for each in chain if said_by(each) is not None), None)
    assert effective(name, kind, chain) == expected


@given(CHAIN, some.sampled_from(("vm", "volume", "host")))
def test_whatever_branches_say_together_is_a_policy(chain: list[dict[str, Any] | None], kind: str) -> None:
    policy = restart_policy(Limits(), kind, chain)
    assert 0 < policy.backoff_s_min <= policy.backoff_s_max
    assert policy.restarts_max >= 0
    assert budget_of(Limits(), chain).restarts_per_s > 0


@given(POLICIES, POLICIES)
def test_what_a_configure_names_is_replaced_and_the_rest_stays(before: dict[str, Any], change: dict[str, Any]) -> None:
    known = configured(None, before)
    after = configured(known, change) or {}
    for name in FIELDS:
        assert after.get(name) == (change[name] if name in change else (known or {}).get(name))
    for kind in ("vm", "volume"):
        kinds = ((known or {}).get("kinds") or {}).get(kind)
        if kind in (change.get("kinds") or {}):
            fields = change["kinds"][kind]
            kinds = configured(kinds, fields) if fields is not None else None
        assert (after.get("kinds") or {}).get(kind) == kinds
    assert configured(after, change) == (after or None), "a configure that is read twice changes nothing"


@given(POLICIES)
def test_null_takes_back(said: dict[str, Any]) -> None:
    assert configured(configured(None, said), dict.fromkeys((*FIELDS, "kinds"))) is None


# --- the line -------------------------------------------------------------------------------------------------------

STEPS = some.lists(
    some.tuples(
        some.sampled_from(("ask", "ask again", "ask ahead", "end", "wait")),
        some.integers(0, 30),
        some.floats(0.0, 0.5),
    ),
    max_size=150,
)
BUDGET = some.builds(
    Budget, restarts_per_s=some.floats(0.5, 100.0), restarts_at_once=some.integers(1, 8), patience_s=some.just(60.0)
)


@given(BUDGET, STEPS)
def test_no_more_begin_than_the_budget_allows_whatever_is_asked(
    budget: Budget, steps: list[tuple[str, int, float]]
) -> None:
    line = RestartLine(budget)
    under_way: set[str] = set()
    now_s, begun_at_s = 0.0, []
    for what, number, seconds in steps:
        key = f"vm.{number}"
        begun: set[str] = set()
        if what == "end":
            line.ended(key)
            under_way.discard(key)
        elif what == "wait":
            now_s += seconds
            called = list(line.called(now_s))
            begun = set(called)
            assert len(begun) == len(called) and not begun & under_way
        elif line.may_begin(key, now_s, again=what == "ask again", ahead=what == "ask ahead"):
            begun = {key} - under_way
        else:
            assert line.place_of(key) is not None
        begun_at_s += [now_s] * len(begun)
        under_way |= begun
        assert len(under_way) <= budget.restarts_at_once
    for index, at_s in enumerate(begun_at_s):
        for count, later_s in enumerate(begun_at_s[index:], 1):
            assert count <= budget.restarts_per_s * (later_s - at_s + EARLY_S) + 1 + 1e-6


@given(BUDGET, some.lists(some.tuples(some.integers(0, 40), some.booleans()), min_size=1, max_size=60))
def test_everybody_in_line_has_a_turn(budget: Budget, asking: list[tuple[int, bool]]) -> None:
    line = RestartLine(budget)
    waiting = {f"vm.{number}" for number, _ in asking}
    now_s = 0.0
    for number, again in asking:
        if line.may_begin(f"vm.{number}", now_s, again=again):
            line.ended(f"vm.{number}")
            waiting.discard(f"vm.{number}")
    for _ in range(100):
        now_s += 1.0 / budget.restarts_per_s
        for key in list(line.called(now_s)):
            line.ended(key)
            waiting.discard(key)
    assert not waiting
    assert len(line) == 0


@given(some.integers(1, 30), some.integers(1, 90))
def test_those_that_failed_again_come_behind_all_others_but_for_every_fourth_turn(fresh: int, again: int) -> None:
    line = RestartLine(Budget(restarts_per_s=1.0, restarts_at_once=1, patience_s=60.0))
    assert line.may_begin("vm.first", 0.0, again=False)
    for number in range(again):
        line.may_begin(f"vm.again-{number}", 0.0, again=True)
    for number in range(fresh):
        line.may_begin(f"vm.fresh-{number}", 0.0, again=False)
    line.ended("vm.first")
    order = []
    for second in range(1, fresh + again + 1):
        (key,) = line.called(float(second))
        line.ended(key)
        order.append(key)
    last_fresh = max(index for index, key in enumerate(order) if key.startswith("vm.fresh"))
    assert last_fresh + 1 <= fresh + fresh // 3 + 1
    for kind in ("fresh", "again"):
        numbers = [int(key.rpartition("-")[2]) for key in order if key.startswith(f"vm.{kind}")]
        assert numbers == sorted(numbers), "first come, first served"


# --- suspicion ------------------------------------------------------------------------------------------------------


@given(some.lists(some.tuples(some.booleans(), some.integers(0, 15), some.floats(0.0, 0.5)), max_size=120))
def test_it_suspects_itself_only_when_many_failed_at_once_and_more_than_fared_well(
    happened: list[tuple[bool, int, float]],
) -> None:
    suspicion = SelfSuspicion(FAILED_MIN)
    now_s = 1000.0
    failed: dict[str, float] = {}
    helped: list[float] = []
    for fails, number, seconds in happened:
        now_s += seconds
        key = f"vm.{number}"
        if not fails:
            suspicion.on_helped(now_s)
            helped.append(now_s)
            continue
        failed[key] = now_s
        acquitted = suspicion.on_failed(key, Failure.FAILED, now_s)
        recent = {name for name, at_s in failed.items() if now_s - at_s <= WINDOW_S}
        well = sum(now_s - at_s <= WINDOW_S for at_s in helped)
        if acquitted:
            assert set(acquitted) == recent
            assert len(recent) >= FAILED_MIN
            assert len(recent) > well
        assert (suspicion.since_s is None) <= (len(recent) < FAILED_MIN or len(recent) <= well)


@given(some.floats(1.0, 100.0), some.floats(0.0, 300.0), some.booleans())
def test_the_parent_is_asked_when_nothing_helped_for_as_long_as_its_patience(
    patience_s: float, helped_after_s: float, accepted: bool
) -> None:
    suspicion = SelfSuspicion(FAILED_MIN)
    began_s = now_s = 1000.0
    for number in range(FAILED_MIN):
        suspicion.on_failed(f"vm.{number}", Failure.FAILED, now_s)
    asked_s = None
    while now_s < began_s + 2 * patience_s and asked_s is None:
        now_s += 0.5
        for number in range(FAILED_MIN):
            suspicion.on_failed(f"vm.{number}", Failure.FAILED, now_s)
        if accepted:
            suspicion.on_accepted(now_s)
        if 0 <= now_s - began_s - helped_after_s < 0.5:
            suspicion.on_helped(now_s)
        if suspicion.decide(now_s, patience_s) is not None:
            asked_s = now_s
    helped_s = began_s + helped_after_s if helped_after_s < patience_s - 0.5 else began_s
    if asked_s is not None:
        assert asked_s >= helped_s + patience_s - 1e-6
        assert suspicion.escalation is not None
        assert suspicion.escalation.out_of_reach is not accepted
    else:
        assert helped_after_s < patience_s + 0.5


@given(some.integers(-20, 20).map(lambda quarters: quarters / 4))
def test_only_a_gap_between_two_ticks_is_our_own_slowness(gap_s: float) -> None:
    suspicion = SelfSuspicion(FAILED_MIN)
    assert not suspicion.on_tick(1000.0)
    assert suspicion.on_tick(1000.0 + gap_s) == (gap_s < 0 or gap_s >= 1.0)
