"""Makes a failing run smaller: takes out faults and units, many at a time and then one by one, while it still fails."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from treeward.simulation.plan import Plan
from treeward.simulation.run import Verdict, run_plan

ATTEMPTS_MAX = 400
T = TypeVar("T")


def shrink(plan: Plan, *, attempts_max: int = ATTEMPTS_MAX) -> tuple[Plan, Verdict]:
    """The smallest plan found that breaks the same rule as `plan` does first, and its verdict."""
    first = run_plan(plan)
    assert first.violations, f"seed {plan.seed} breaks no promise"
    rule = first.violations[0].rule
    left = attempts_max

    def fails(candidate: Plan) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and any(violation.rule == rule for violation in run_plan(candidate).violations)

    smaller = _shrink_once(plan, fails)
    while smaller != plan and left > 0:
        plan, smaller = smaller, _shrink_once(smaller, fails)
    return smaller, run_plan(smaller, loud=True)


def _shrink_once(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    faults = _reduce(plan.faults, lambda some: fails(replace(plan, faults=some)))
    kept = tuple(wish for wish in plan.wishes if wish.is_set_up)
    wishes = tuple(wish for wish in plan.wishes if not wish.is_set_up)
    wishes = _reduce(wishes, lambda some: fails(replace(plan, faults=faults, wishes=(*kept, *some))))
    return replace(plan, faults=faults, wishes=(*kept, *wishes))


def _reduce(items: tuple[T, ...], fails: Callable[[tuple[T, ...]], bool]) -> tuple[T, ...]:
    """Leave out ever smaller parts of `items` as long as what is left fails."""
    size = max(1, len(items) // 2)
    while items:
        start = 0
        while start < len(items):
            some = items[:start] + items[start + size :]
            if fails(some):
                items = some
            else:
                start += size
        if size == 1:
            break
        size //= 2
    return items
