"""A plan of the simulation made by hand: one zone, a quick network, and nothing but what is wished for."""

from dataclasses import replace
from typing import Any

from treeward.simulation.misfortune import make_plan
from treeward.simulation.plan import Fault, Plan, Wish
from treeward.simulation.wishes import set_up

ONE_OF_EACH: dict[str, Any] = {
    "zones": 1, "pods": 1, "orchestrators": 1, "zone_supervisors": 1, "pod_agents": 1, "latency_s": 0.002,
}  # fmt: skip


def plan_of(
    *wishes: tuple[float, str, dict[str, Any]], end_s: float, faults: tuple[Fault, ...] = (), **shape: Any
) -> Plan:
    """Units as (at_s, key, body), submitted by one client; `shape` is what differs from one of each."""
    plan = make_plan(0)
    made = replace(plan.shape, **ONE_OF_EACH | shape)
    all_wishes = set_up(made)
    for at_s, key, body in wishes:
        all_wishes.append(Wish(len(all_wishes), at_s, 0, "zone-a", key, body))
    return replace(plan, shape=made, wishes=tuple(all_wishes), faults=faults, faults_end_s=end_s)
