"""What `what-if` predicts, and what then really happens: one data centre that loses one thing after the other."""

import asyncio
import time
from functools import partial
from pathlib import Path

from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.schemas import streams
from treeward.simulation.what_if.live import Live, Reading, read_live
from treeward.simulation.what_if.predict import predict
from treeward.simulation.what_if.prediction import Prediction
from treeward.supervision.limits import DEFAULTS

CALL_S = 1.0
"""How long the calls of this test take at the device."""
EARLY_S = 0.6
"""Silence begins with the last heartbeat, which may be that much older than the loss, here as there."""


async def snapshot(centre: Stack) -> Live:
    return await read_live(centre.bus, "zone-a", DEFAULTS, time.time)


async def ahead(live: Live, name: str, *, reported: bool = True) -> Prediction:
    """`reported`: what a test kills is a program, whose connection the server reports as closed."""
    return await asyncio.to_thread(predict, live, name, horizon_s=40.0, call_s=CALL_S, reported=reported)


def owner(live: Live, branch: str) -> str:
    """The instance that says that it acts for a branch."""
    (found,) = [each.instance for each in live.instances for held in each.holds if held.branch == branch]
    return found


def claims_since(centre: Stack, address: str, position: int) -> list[tuple[str | None, float]]:
    """(owner, stored) of each claim of a branch beyond a position."""
    zone, _, key = address.partition(".")
    return [
        (row.event.owner, row.at_s) for row in centre.events
        if row.position > position and (row.event.zone, row.event.key, row.event.type) == (zone, key, "claimed")
    ]  # fmt: skip


async def test_what_is_predicted_is_what_then_happens(tmp_path: Path) -> None:
    async with stack(tmp_path, pods=2, hosts=2, pod_agents=3, zone_supervisors=2) as centre:
        names = [f"zone-a.vm.v{number}" for number in range(4)]
        for ticket in [await centre.submit(name, "create") for name in names]:
            await centre.wait_for_outcome("zone-a", ticket)
        await _loses_a_pod(centre, names)
        await _loses_a_supervisor(centre)
        await _loses_a_host(centre, names)
        await _loses_the_zone(centre, names)
        assert (await centre.judge()).violations == []


async def _loses_a_pod(centre: Stack, names: list[str]) -> None:
    """Its agent dies with a call at the device and a unit behind it: both complete at the other agent."""
    home = {name: centre.events_of(name, "completed")[-1].pod for name in names}
    name = next(name for name in names if home[name] == "a1")
    centre.add_fault(effect="latency", kind="vm", operation="stop", seconds=CALL_S)
    stop, start = await centre.submit(name, "stop"), await centre.submit(name, "start")
    live = await snapshot(centre)
    lost, left = owner(live, "zone-a.a1"), owner(live, "zone-a.a2")
    position = centre.events[-1].position
    before = await positions(centre)
    prediction = await ahead(live, "zone-a.pod.a1")
    again = await ahead(live, "zone-a.pod.a1")
    assert prediction == again, "a snapshot has one future"
    assert await positions(centre) == before, "a prediction submits nothing, and tells root nothing"
    said = {(row.event.ticket, row.event.type) for row in centre.events if row.position > position}
    assert said <= {(stop, "completed"), (start, "completed")}, "nor does it tell the zone"
    (branch,) = prediction.branches
    assert (branch.branch, branch.owner) == ("zone-a.a1", lost)
    assert lost in prediction.instances and left not in prediction.instances, "those that are labelled for it as well"
    assert branch.resources == sum(pod == "a1" for pod in home.values()) + 2, "two hosts, and what is on them"

    position = centre.events[-1].position
    lost_s = time.time()
    gone = [instance.rpartition("-")[0] for instance in prediction.instances]
    for program in gone:
        centre.kill(program)
    await until(lambda: claims_since(centre, "zone-a.pod.a1", position), "a claim of pod a1")
    claimed, claimed_s = claims_since(centre, "zone-a.pod.a1", position)[0]
    assert claimed == branch.next_owner == left
    assert branch.claimed_after_s is not None
    by_silence = (await ahead(live, "zone-a.pod.a1", reported=False)).branches[0].claimed_after_s
    assert by_silence is not None
    assert branch.claimed_after_s < DEFAULTS.suspicion_s - EARLY_S < by_silence
    assert claimed_s - lost_s >= branch.claimed_after_s - EARLY_S
    outcomes = {ticket: (await centre.wait_for_outcome("zone-a", ticket)).type for ticket in (stop, start)}
    predicted = {unit.ticket: unit.outcome for unit in prediction.units if unit.ticket in outcomes}
    assert predicted.items() <= {ticket: type_.value for ticket, type_ in outcomes.items()}.items()
    assert (prediction.crash, prediction.move, prediction.wait, prediction.fail) == ((), (), (), ())
    assert not [event for each in names for event in centre.events_of(each, "crashed")]
    centre.clear_faults()
    for program in gone:
        centre.start(program)


async def _loses_a_supervisor(centre: Stack) -> None:
    """The other one takes the zone; the pods are adopted: nobody claims them again."""
    live = await snapshot(centre)
    lost = owner(live, "zone-a")
    prediction = await ahead(live, lost)
    (branch,) = prediction.branches
    assert (branch.branch, branch.owner) == ("zone-a", lost)

    position = centre.events[-1].position
    lost_s = time.time()
    centre.kill(lost.rpartition("-")[0])
    await until(lambda: claims_since(centre, "zone-a.zone.zone-a", position), "a claim of the zone")
    claimed, claimed_s = claims_since(centre, "zone-a.zone.zone-a", position)[0]
    assert claimed == branch.next_owner != lost
    assert branch.claimed_after_s is not None
    assert claimed_s - lost_s >= branch.claimed_after_s - EARLY_S
    ticket = await centre.submit("zone-a.vm.newcomer", "create")
    assert (await centre.wait_for_outcome("zone-a", ticket)).type == "completed"
    assert [claims_since(centre, f"zone-a.pod.{pod}", position) for pod in ("a1", "a2")] == [[], []]
    assert (prediction.crash, prediction.move, prediction.wait, prediction.fail) == ((), (), (), ())


async def _loses_a_host(centre: Stack, names: list[str]) -> None:
    """What is on it is out of reach: a unit for it waits for the device, one for another host completes."""
    home = {name: centre.events_of(name, "completed")[-1].host for name in [*names, "zone-a.vm.newcomer"]}
    host = home[names[0]]
    other = next(name for name in names if home[name] != host)
    live = await snapshot(centre)
    prediction = await ahead(live, f"zone-a.host.{host}")
    there = {name.removeprefix("zone-a.") for name in home if home[name] == host}
    assert set(prediction.out_of_reach) == there | {f"host.{host}"}
    assert prediction.branches == ()

    centre.add_fault(effect="unreachable", host=host)
    waits, goes_on = await centre.submit(names[0], "stop"), await centre.submit(other, "stop")
    assert (await centre.wait_for_outcome("zone-a", goes_on)).type == "completed"
    assert ("zone-a", waits) not in centre.answers
    waiting = await ahead(await snapshot(centre), f"zone-a.host.{host}")
    assert [unit.ticket for unit in waiting.wait] == [waits]
    assert "does not answer" in " ".join(waiting.wait[0].why)
    centre.clear_faults()
    assert (await centre.wait_for_outcome("zone-a", waits)).type == "completed"


async def _loses_the_zone(centre: Stack, names: list[str]) -> None:
    """Whoever owns it or a pod of it dies at once; what is left takes all of it, and the units in hand complete."""
    supervisors = ("zone-supervisor-1", "zone-supervisor-2")
    centre.start(next(name for name in supervisors if centre.centre.programs[name].process_id is None))
    centre.add_fault(effect="latency", kind="vm", operation="destroy", seconds=CALL_S)
    branches = {"zone-a", "zone-a.a1", "zone-a.a2"}
    await until(lambda: _spares(centre, "zone-supervisor"), "a supervisor that owns nothing")
    for spare in (await _spares(centre, "pod-agent"))[1:]:
        centre.kill(spare.rpartition("-")[0])  # of two that are alike, whoever is heard first may be chosen
    tickets = [await centre.submit(names[0], "destroy"), await centre.submit("zone-a.vm.late", "create")]
    live = await snapshot(centre)
    owners = {branch: owner(live, branch) for branch in branches}
    prediction = await ahead(live, "zone-a")
    predicted = {branch.branch: branch for branch in prediction.branches}
    assert (set(prediction.instances), set(predicted)) == (set(owners.values()), branches)

    position = centre.events[-1].position
    lost_s = time.time()
    for instance in prediction.instances:
        centre.kill(instance.rpartition("-")[0])
    outcomes = {ticket: (await centre.wait_for_outcome("zone-a", ticket)).type.value for ticket in tickets}
    addresses = {"zone-a": "zone-a.zone.zone-a", "zone-a.a1": "zone-a.pod.a1", "zone-a.a2": "zone-a.pod.a2"}
    for branch, address in addresses.items():
        await until(partial(claims_since, centre, address, position), f"a claim of {branch}")
        claimed, claimed_s = claims_since(centre, address, position)[-1]
        assert claimed == predicted[branch].next_owner not in prediction.instances
        claimed_after_s = predicted[branch].claimed_after_s
        assert claimed_after_s is not None
        assert claimed_s - lost_s >= claimed_after_s - EARLY_S
    assert {unit.ticket: unit.outcome for unit in prediction.units} | outcomes == outcomes
    crashed = {row.event.key for row in centre.events if row.position > position and row.event.type == "crashed"}
    assert {each.key for each in prediction.crash} == crashed
    assert (prediction.wait, prediction.fail, prediction.out_of_reach) == ((), (), ())


async def _spares(centre: Stack, service: str) -> list[str]:
    """The instances that own nothing."""
    present = (await snapshot(centre)).instances
    return [each.instance for each in present if each.service == service and not each.holds]


async def positions(centre: Stack) -> list[int]:
    found = []
    for name in (streams.work("zone-a"), streams.work("root"), streams.log("root")):
        state = await centre.bus.state(name)
        assert state is not None
        found.append(state.last)
    return found


def test_what_looks_at_the_live_state_can_do_nothing_else() -> None:
    assert {name for name in vars(Reading) if not name.startswith("_")} == {"read", "state", "subscribe"}
