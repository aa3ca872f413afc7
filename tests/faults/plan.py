"""What goes wrong and when: drawn from a seed, so that the same seed is the same plan.

A plan is a row of cycles. Each begins with one kill in the quiet, so that its recovery can be measured, and goes on
with a storm of faults that overlap. A target is a number: which of the programs of a role it means is decided when it
comes to that, since the plan cannot know who lives then; who owns root is asked by name in the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """What can go wrong."""

    KILL_POD_AGENT = "kill_pod_agent"
    KILL_ZONE_SUPERVISOR = "kill_zone_supervisor"
    KILL_ORCHESTRATOR = "kill_orchestrator"
    KILL_ROOT_OWNER = "kill_root_owner"
    KILL_SIMULATOR = "kill_simulator"
    PAUSE_POD_AGENT = "pause_pod_agent"
    PAUSE_ZONE_SUPERVISOR = "pause_zone_supervisor"
    PAUSE_ORCHESTRATOR = "pause_orchestrator"
    END_POD_AGENT = "end_pod_agent"
    END_ZONE_SUPERVISOR = "end_zone_supervisor"
    END_ORCHESTRATOR = "end_orchestrator"
    HAND_OFF_ROOT = "hand_off_root"
    CUT_NATS = "cut_nats"
    CUT_NATS_TO_SERVER = "cut_nats_to_server"
    CUT_NATS_TO_CLIENT = "cut_nats_to_client"
    DELAY_NATS = "delay_nats"
    RESET_NATS = "reset_nats"
    CUT_DEVICE = "cut_device"
    CUT_DEVICE_TO_SERVER = "cut_device_to_server"
    CUT_DEVICE_TO_CLIENT = "cut_device_to_client"
    DELAY_DEVICE = "delay_device"
    RESET_DEVICE = "reset_device"
    LOSE_ANSWER = "lose_answer"
    CLOSE_CONNECTION = "close_connection"
    HANG = "hang"
    SLOW = "slow"
    FAIL_HALFWAY = "fail_halfway"
    REFUSE = "refuse"
    HOST_UNREACHABLE = "host_unreachable"
    KILL_NATS_SERVER = "kill_nats_server"
    KILL_NATS_CLUSTER = "kill_nats_cluster"
    ROLL_NATS = "roll_nats"
    ISOLATE_NATS_SERVER = "isolate_nats_server"
    LOSE_MAILBOX_COPIES = "lose_mailbox_copies"
    MAKE_MAILBOX_ANEW = "make_mailbox_anew"
    DISK_FULL = "disk_full"
    MOVE = "move"
    DRAIN_HOST = "drain_host"
    DRAIN_POD = "drain_pod"


MEASURED = {
    Kind.KILL_POD_AGENT: 8.0,
    Kind.KILL_ZONE_SUPERVISOR: 8.0,
    Kind.KILL_ORCHESTRATOR: 8.0,
    Kind.KILL_ROOT_OWNER: 8.0,
    Kind.KILL_NATS_SERVER: 15.0,
    Kind.KILL_NATS_CLUSTER: 30.0,
}
"""Kills whose recovery is measured, and how long it is quiet after one."""

CLUSTER = (Kind.KILL_NATS_SERVER, Kind.ROLL_NATS, Kind.ISOLATE_NATS_SERVER, Kind.LOSE_MAILBOX_COPIES)
"""What needs a cluster: a single server that is killed is the whole cluster killed."""

ASKED_FOR = (Kind.DISK_FULL,)
"""What is drawn by no seed: it takes a small disk for each NATS server, and so the right to mount one."""

RARE = {
    Kind.KILL_NATS_CLUSTER: 0.1, Kind.ROLL_NATS: 0.1, Kind.ISOLATE_NATS_SERVER: 0.4, Kind.KILL_NATS_SERVER: 0.5,
    Kind.LOSE_MAILBOX_COPIES: 0.1, Kind.MAKE_MAILBOX_ANEW: 0.5,
    Kind.DRAIN_POD: 0.4, Kind.DRAIN_HOST: 0.5, Kind.KILL_SIMULATOR: 0.5, Kind.MOVE: 2.0,
    Kind.KILL_POD_AGENT: 3.0, Kind.KILL_ZONE_SUPERVISOR: 1.5, Kind.PAUSE_POD_AGENT: 2.0,
}  # fmt: skip
"""How often a kind is drawn, where that is not 1."""

BEGIN_S = 3.0
STORM_FAULTS = 14
STORM_GAP_S = (0.3, 1.5)
STORM_END_S = 6.0
"""How long it is quiet after the last fault of a storm is over."""
LONG = ("pause", "cut", "hang", "host", "isolate")
LONG_S = 8.0
AWAY_S = 20.0
"""So long at least the second server is away that had a copy of the mailboxes: longer than they have no leader."""
LONG_SHARE = 0.15
"""Some of these last longer than pings, call time-outs and elections take."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One fault: when it begins (seconds since the plan did), whom it strikes, for how long, how hard."""

    number: int
    kind: Kind
    at_s: float
    target: int
    duration_s: float
    """How long it lasts: a cut, a pause, a device fault, a drain; of a kill: until the program is started again."""
    strength: float
    """0 to 1: delays, how many requests or units it strikes, whether a cut ends with a reset."""
    measured: bool = False


def draw_plan(seed: int, faults: int, *, cluster: bool = True) -> list[Planned]:
    """`faults` faults in the order in which they begin."""
    chance = Random(seed)
    return list(
        _number(
            _cycles(
                chance, faults, [kind for kind in Kind if kind not in ASKED_FOR and (cluster or kind not in CLUSTER)]
            )
        )
    )


def _cycles(chance: Random, faults: int, kinds: list[Kind]) -> Iterator[Planned]:
    weights = [RARE.get(kind, 1.0) for kind in kinds]
    measured = [kind for kind in MEASURED if kind in kinds]
    at_s, left, cycle = BEGIN_S, faults, 0
    while left:
        kind = measured[cycle % len(measured)]
        yield _draw(chance, kind, at_s, measured=True)
        at_s += MEASURED[kind]
        left, cycle = left - 1, cycle + 1
        over_s = at_s
        for kind in chance.choices(kinds, weights, k=min(left, STORM_FAULTS)):
            fault = _draw(chance, kind, at_s)
            yield fault
            over_s = max(over_s, at_s + fault.duration_s)
            at_s += chance.uniform(*STORM_GAP_S)
            left -= 1
        at_s = max(at_s, over_s) + STORM_END_S


def _draw(chance: Random, kind: Kind, at_s: float, *, measured: bool = False) -> Planned:
    duration_s = chance.uniform(2.0, 6.0) if kind.startswith("pause") else chance.uniform(0.3, 4.0)
    if chance.random() < LONG_SHARE and kind.startswith(LONG):
        duration_s += LONG_S
    if kind is Kind.LOSE_MAILBOX_COPIES:
        duration_s += AWAY_S
    return Planned(0, kind, at_s, chance.randrange(1 << 16), duration_s, chance.random(), measured)


def _number(plan: Iterator[Planned]) -> Iterator[Planned]:
    for number, fault in enumerate(plan, start=1):
        yield Planned(number, fault.kind, fault.at_s, fault.target, fault.duration_s, fault.strength, fault.measured)


def sequence(kinds: list[Kind], *, seed: int, gap_s: float) -> list[Planned]:
    """These kinds one after the other, `gap_s` apart: the short form."""
    chance = Random(seed)
    return list(
        _number(_draw(chance, kind, 1.0 + index * gap_s, measured=kind in MEASURED) for index, kind in enumerate(kinds))
    )
