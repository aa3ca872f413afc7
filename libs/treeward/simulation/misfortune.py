"""What goes wrong in a run, and the plan of a seed.

Swarms: each run has only some kinds of faults, so that rare meetings of two are not drowned by the others. Most of
them come when something is being done.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from treeward.schemas.address import ROOT
from treeward.simulation.plan import Fault, Plan, Shape, Wish, make_budget, make_shape, zone_name
from treeward.simulation.wishes import READY_S, Wisher, configure, crowd, hot, on_drift, set_up

OF_PROGRAMS = {
    "kill": 4,
    "freeze": 4,
    "stop": 1,
    "cut": 2,
    "cut_up": 1,
    "cut_down": 1,
    "reset": 2,
    "delay_up": 1,
    "delay_down": 1,
    "clock": 1,
}
OF_ZONES = {
    "wipe_mailbox": 1,
    "stall_bucket": 1,
    "stall_history": 1,
    "second_dispatcher": 2,
    "device_slow": 2,
    "device_hang": 1,
    "device_refuse": 1,
    "device_fail": 1,
    "device_lose": 2,
    "device_double": 2,
    "device_eat": 1,
    "device_unreachable": 1,
    "device_dies": 1,
}
OF_THE_BUS = {
    "lose_answer": 2,
    "doubt": 1,
    "passing": 1,
    "mailbox_lost": 2,
    "mailbox_doubled": 2,
    "mailbox_late": 2,
    "replica_lag": 1,
    "unavailable": 1,
}
OF_AGENTS = {"device_cut": 1}
THEMES = (
    ("mailbox_lost", "mailbox_doubled", "mailbox_late", "wipe_mailbox"),
    ("mailbox_late", "mailbox_doubled", "second_dispatcher", "freeze", "delay_up"),
    ("freeze", "cut", "cut_up", "device_slow", "device_double", "kill"),
    ("kill", "device_lose", "device_cut", "device_slow", "device_double"),
    ("kill", "replica_lag", "stall_bucket", "reset", "mailbox_lost"),
    ("lose_answer", "passing", "doubt", "reset", "cut_down", "delay_down"),
    ("device_fail", "device_refuse", "device_eat", "device_hang", "device_unreachable", "device_double", "kill"),
    ("stall_history", "kill", "second_dispatcher", "mailbox_late"),
    ("device_dies", "device_slow", "kill", "freeze", "device_lose"),
)
"""Faults that together attack one rule."""
POLICIES_IN = 0.5
"""How many runs have a tight budget of restarts, and operators who change policies."""
CROWDS_IN = 0.3
"""How many of those have a crowd whose calls all fail, hang or are lost at once."""
AT_ONCE = ("device_fail", "device_fail", "device_eat", "device_lose")
DRIFT_IN = 0.2
"""In how many runs somebody changes things at the devices."""
SERVERS_IN = 0.25
"""In how many runs a NATS server is cut off from the others, or a mailbox has no leader for long."""
HOT_IN = 0.25
"""In how many runs one resource gets many units at once, whose outcomes are long on their way to the log."""
AROUND_THE_HOT = ("kill", "freeze", "stop", "cut", "cut_up", "cut_down", "reset", "device_cut")
AT_THE_HOT = (
    "device_lose", "device_double", "device_refuse", "device_fail", "device_eat", "device_hang", "lose_answer",
)  # fmt: skip
UNWILLING_IN = 0.17
"""In how many runs hosts refuse for a while to make what moves to them."""
KINDS = OF_PROGRAMS | OF_ZONES | OF_THE_BUS | OF_AGENTS


def make_plan(seed: int) -> Plan:
    """The plan of a seed."""
    chance = Random(f"plan/{seed}")
    shape = make_shape(chance)
    wishes = set_up(shape)
    end_s = READY_S + chance.choice((3.0, 6.0, 12.0))
    wishes += Wisher(shape, chance, len(wishes)).wish_all(chance.choice((8, 16, 30, 50)), end_s)
    faults = make_faults(shape, chance, wishes, end_s)
    if (steering := Random(f"policies/{seed}")).random() < POLICIES_IN:
        shape = make_budget(shape, steering)
        wishes += configure(shape, steering, len(wishes), end_s)
        if steering.random() < CROWDS_IN:
            at_s = steering.uniform(READY_S + 1.0, end_s)
            seconds = steering.choice((0.5, 2.0, 6.0, 15.0))
            wishes += crowd(shape, steering, len(wishes), at_s)
            faults.append(Fault(at_s - 0.05, steering.choice(AT_ONCE), zone_name(0), seconds, 1.0))
            end_s = max(end_s, at_s + seconds)
    if (others := Random(f"drift/{seed}")).random() < DRIFT_IN:
        shape = replace(shape, background_s=others.choice((0.5, 1.0, 3.0)))
        wishes += on_drift(shape, others, len(wishes), end_s)
        for _ in range(others.choice((1, 2, 5))):
            at_s = others.choice((others.uniform(READY_S, end_s), others.uniform(end_s - 1.0, end_s + 1.9)))
            target = zone_name(others.randrange(shape.zones))
            faults.append(Fault(at_s, "device_tamper", target, 0.0, others.random()))
    if (servers := Random(f"servers/{seed}")).random() < SERVERS_IN:
        faults += make_server_faults(shape, servers, end_s)
    if (heat := Random(f"hot/{seed}")).random() < HOT_IN:
        window = heat.choice((4, 16, 16))
        shape = replace(shape, window=window, credit=max(shape.credit, window), call_s=heat.choice((0.005, 0.02)))
        at_s = heat.uniform(READY_S, end_s)
        wishes += hot(heat, len(wishes), at_s)
        faults += make_hot_faults(shape, heat, at_s)
    if (unwilling := Random(f"unwilling/{seed}")).random() < UNWILLING_IN:
        for _ in range(unwilling.choice((1, 2, 3))):
            target = zone_name(unwilling.randrange(shape.zones))
            seconds = unwilling.choice((1.0, 3.0, 8.0, 60.0))
            faults.append(
                Fault(unwilling.uniform(READY_S, end_s), "device_unwilling", target, seconds, unwilling.random())
            )
    return Plan(seed, shape, tuple(wishes), tuple(sorted(faults, key=lambda fault: fault.at_s)), end_s + 2.0)


def make_faults(shape: Shape, chance: Random, wishes: Sequence[Wish], end_s: float) -> list[Fault]:
    """The faults of a run."""
    if chance.random() < 0.03:
        return []
    if chance.random() < 0.5:
        chosen = list(chance.choice(THEMES))
    else:
        chosen = chance.sample(sorted(KINDS), chance.choice((1, 2, 3, 5, 8, 12)))
    weights = [KINDS[kind] for kind in chosen]
    begin_s = chance.choice((0.0, READY_S, READY_S))
    busy_s = [wish.at_s for wish in wishes if not wish.is_set_up]
    faults = []
    for _ in range(chance.choice((1, 3, 6, 10, 20))):
        kind = chance.choices(chosen, weights)[0]
        at_s = chance.uniform(begin_s, end_s)
        if busy_s and chance.random() < 0.6:
            at_s = max(begin_s, chance.choice(busy_s) + chance.uniform(-0.2, 0.5))
        duration_s = chance.choice((0.1, 0.5, 1.0, 2.0, 3.0, 6.0)) * chance.uniform(0.7, 1.3)
        faults.append(Fault(at_s, kind, _target(shape, chance, kind), duration_s, _value(chance, kind)))
    return faults


def make_server_faults(shape: Shape, chance: Random, end_s: float) -> list[Fault]:
    """Some programs on a server that is cut off from the others, or a mailbox that has no leader.

    Drawn apart from the rest, so that a seed from before these were known is still the same run otherwise.
    """
    faults = []
    for _ in range(chance.choice((1, 2, 3))):
        at_s = chance.uniform(READY_S, end_s)
        if chance.random() < 0.5:
            target = chance.choice((*(zone_name(number) for number in range(shape.zones)), ROOT))
            faults.append(Fault(at_s, "leaderless_mailbox", target, chance.choice((3.0, 8.0, 20.0))))
        else:
            duration_s = chance.choice((1.0, 3.0, 8.0)) * chance.uniform(0.7, 1.3)
            together = chance.sample(_programs(shape), chance.choice((1, 1, 2, 3)))
            faults += [Fault(at_s, "cut_off", name, duration_s) for name in together]
    return faults


def make_hot_faults(shape: Shape, chance: Random, at_s: float) -> list[Fault]:
    """What is said by all agents is late, so that much is called and not stored; and then an owner is lost, or not."""
    delay_s = chance.choice((0.05, 0.3, 1.0))
    faults = [
        Fault(at_s - 0.1, "delay_up", f"agent-{number}", chance.choice((1.0, 3.0)), delay_s)
        for number in range(shape.pod_agents)
    ]
    for _ in range(chance.choice((0, 1, 1, 2))):
        kind, when_s = chance.choice(AROUND_THE_HOT), at_s + chance.uniform(0.0, 1.0)
        faults.append(Fault(when_s, kind, f"agent-{chance.randrange(shape.pod_agents)}", chance.choice((0.5, 3.0))))
    for _ in range(chance.choice((0, 0, 1, 2))):
        kind = chance.choice(AT_THE_HOT)
        target = "bus" if kind in OF_THE_BUS else zone_name(0)
        faults.append(Fault(at_s + chance.uniform(-0.1, 0.5), kind, target, 1.0, _value(chance, kind)))
    return faults


def _programs(shape: Shape) -> list[str]:
    return [
        *(f"orchestrator-{number}" for number in range(shape.orchestrators)),
        *(f"supervisor-{number}" for number in range(shape.zone_supervisors)),
        *(f"agent-{number}" for number in range(shape.pod_agents)),
    ]


def _target(shape: Shape, chance: Random, kind: str) -> str:
    if kind in OF_THE_BUS:
        return "bus"
    if kind in OF_ZONES:
        return zone_name(chance.randrange(shape.zones))
    agents = [f"agent-{number}" for number in range(shape.pod_agents)]
    if kind in OF_AGENTS:
        return chance.choice(agents)
    orchestrators = [f"orchestrator-{number}" for number in range(shape.orchestrators)]
    supervisors = [f"supervisor-{number}" for number in range(shape.zone_supervisors)]
    return chance.choice(chance.choice((orchestrators, supervisors, agents)))


def _value(chance: Random, kind: str) -> float:
    match kind:
        case "clock":
            return chance.choice((-3600.0, -10.0, -1.0, 1.0, 10.0, 3600.0))
        case "delay_up" | "delay_down" | "second_dispatcher":
            return chance.choice((0.05, 0.3, 1.0, 4.0))
        case "device_hang" | "doubt":
            return chance.choice((0.05, 0.3))
        case "unavailable":
            return chance.choice((0.2, 0.5))
        case _:
            return chance.choice((0.05, 0.2, 0.5, 1.0))
