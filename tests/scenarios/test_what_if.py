"""What `what-if` says of the loss of an instance, host, pod and zone is what then happens, in virtual time.

The same is compared on real processes in tests/e2e/test_what_if.py; here units wait, expire and fail as well.
"""

from dataclasses import dataclass

import pytest
from tests.support.world import ZONE, World, world

from treeward.schemas.events import Event
from treeward.simulation.device import DeviceTrouble
from treeward.simulation.what_if.live import Live, read_live
from treeward.simulation.what_if.losses import Loss, loss_of
from treeward.simulation.what_if.predict import predict
from treeward.simulation.what_if.prediction import Prediction

HORIZON_S = 40.0
EARLY_S = 0.6
"""Silence begins with the last heartbeat, and that may be so much older than the loss, here as there."""
SMALL = {"cpus": 1, "memory_mib": 16}


@dataclass
class Happened:
    """What the log of the zone said since the loss."""

    outcomes: dict[int, str | None]
    claims: dict[str, tuple[str | None, float]]
    crashed: set[str]


def busy(centre: World) -> list[int]:
    """Units of every fate: one is paused, one fits nowhere, one expires, one is in back-off, one will be `failed`."""
    for number in range(1, 9):
        centre.done(f"vm.web-{number}", "create", spec=SMALL)
    centre.done("vm.web-1", "pause")
    tickets = [centre.submit("vm.web-1", "stop")]  # behind the pause
    huge = {"cpus": 999, "memory_mib": 16}
    tickets.append(centre.submit("vm.huge", "create", spec=huge))
    tickets.append(centre.submit("vm.late", "create", spec=huge, deadline=centre.rfc3339(in_s=15.0)))
    for pod in ("pod-1", "pod-2"):
        centre.device_of(pod).trouble = DeviceTrouble(fail=1.0)
    failing = {f"vm.web-{number}": centre.submit(f"vm.web-{number}", "stop") for number in range(2, 9)}
    centre.until(lambda: all("crashed" in centre.types(key) for key in failing), "a crash of each")
    for pod in ("pod-1", "pod-2"):
        centre.device_of(pod).trouble = DeviceTrouble()
    return [*tickets, *failing.values()]


def snapshot(centre: World) -> Live:
    context = centre.asking
    assert context is not None, "the asker has begun"
    return centre.ask(lambda: read_live(context.bus, ZONE, context.limits, context.now_s))


def lose(centre: World, live: Live, loss: Loss, tickets: list[int]) -> Happened:
    """Let it happen, and tell what came of it."""
    before = {key: len(events) for key, events in centre.events.items()}
    lost_s = centre.server.now_s()
    programs = {program.instance: program for program in centre.programs.values()}
    for instance in loss.instances:
        programs[instance].restarts = False
        programs[instance].kill("lost")
    for pod in ("pod-1", "pod-2"):
        silent = 1.0 if f"tcp://{pod}:1" in loss.devices else 0.0
        centre.device_of(pod).trouble = DeviceTrouble(eat=silent, unreachable=frozenset(loss.hosts))
    centre.run_for(HORIZON_S)

    def since(key: str) -> list[Event]:
        return centre.events.get(key, [])[before.get(key, 0) :]

    claims = {}
    for key in ("zone.zone-a", "pod.pod-1", "pod.pod-2"):
        claimed = [event for event in since(key) if event.type == "claimed"]
        if claimed:
            claims[key] = claimed[-1].owner, claimed[-1].at.timestamp() - lost_s
    answered = {ticket: centre.answered.get((ZONE, ticket)) for ticket in tickets}
    outcomes = {ticket: event.type.value if event is not None else None for ticket, event in answered.items()}
    crashed = {key for key in centre.events if any(event.type == "crashed" for event in since(key))}
    return Happened(outcomes, claims, crashed)


def compare(prediction: Prediction, happened: Happened) -> None:
    assert {unit.ticket: unit.outcome for unit in prediction.units} == happened.outcomes
    for branch in prediction.branches:
        key = "zone.zone-a" if branch.branch == ZONE else f"pod.{branch.branch.partition('.')[2]}"
        if branch.claimed_after_s is None:
            assert key not in happened.claims
            continue
        owner, claimed_s = happened.claims[key]
        assert owner == branch.next_owner
        assert abs(claimed_s - branch.claimed_after_s) < EARLY_S


@pytest.mark.parametrize("what", ["instance", "host", "pod", "zone"])
def test_what_is_predicted_of_units_that_wait_is_what_becomes_of_them(what: str) -> None:
    with world(pods=2, hosts=2, supervisors=3, agents=3, backoff_s_min=6.0, backoff_s_max=6.0) as centre:
        tickets = busy(centre)
        live = snapshot(centre)
        owners = {held.branch: each.instance for each in live.instances for held in each.holds}
        name = {
            "instance": owners["zone-a.pod-1"], "host": "zone-a.host.pod-1-h1", "pod": "zone-a.pod.pod-1", "zone": ZONE,
        }[what]  # fmt: skip
        prediction = predict(live, name, horizon_s=HORIZON_S)
        assert prediction == predict(live, name, horizon_s=HORIZON_S), "a snapshot has one future"
        happened = lose(centre, live, loss_of(live, name), tickets)
    compare(prediction, happened)
    fates = [unit.outcome for unit in prediction.units]
    assert set(fates) >= {None, "expired"}
    assert fates.count(None) > 2 or what == "instance", "what is lost holds more than waits anyway"
    assert ("completed" in fates) is (what != "zone")
    (paused,) = (unit for unit in prediction.wait if unit.key == "vm.web-1")
    assert "in doubt" not in " ".join(paused.why), "it was never sent, whoever owned its pod"
