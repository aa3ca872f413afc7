"""What several VMs share has a process of its own, and a unit that touches two resources belongs to one: no lock."""

from tests.support.until import until
from tests.support.user import User


async def test_a_volume_that_vms_share_takes_their_units_one_at_a_time_in_order(user: User) -> None:
    for name in ("vm.sharer-1", "vm.sharer-2"):
        await user.done(name, "create", spec={"cpus": 0.1, "memory_mib": 16})
    await user.done("volume.shared", "create", spec={"size_gib": 1})
    asked = [("attach", "sharer-1"), ("attach", "sharer-2"), ("detach", "sharer-1"), ("attach", "sharer-2")]
    tickets = [await user.submit("volume.shared", operation, spec={"vm": vm}) for operation, vm in asked]
    outcomes = [await user.outcome(ticket) for ticket in tickets]
    assert [event.type for event in outcomes] == ["completed", "failed", "completed", "completed"]
    assert "sharer-1" in (outcomes[1].reason or ""), "the device has checked the other resource in the same step"
    assert [
        event.ticket for event in user.events["volume.shared"] if event.ticket in tickets and event.is_outcome
    ] == tickets
    assert [row[0] for row in user.calls("volume.shared")][1:] == tickets
    await user.done("volume.shared", "detach", spec={"vm": "sharer-2"})
    for name in ("volume.shared", "vm.sharer-1", "vm.sharer-2"):
        await user.done(name, "destroy")


async def test_a_unit_on_two_resources_waits_for_the_one_it_belongs_to_only(user: User) -> None:
    await user.done("vm.busy-one", "create", spec={"cpus": 0.1, "memory_mib": 16})
    for name in ("volume.left", "volume.right"):
        await user.done(name, "create", spec={"size_gib": 1})
    hang = await user.fault("hang", kind="vm", id="busy-one", operation="stop")
    stop = await user.submit("vm.busy-one", "stop")
    await user.in_progress("vm.busy-one", stop)
    for name in ("volume.left", "volume.right"):
        await user.done(name, "attach", spec={"vm": "busy-one"})
    assert stop not in user.outcomes, "nothing has waited for the VM, and nothing was locked"
    await user.mend(hang)
    assert (await user.outcome(stop)).type == "completed"
    await user.done("vm.busy-one", "destroy")
    late = await user.outcome(await user.submit("volume.left", "attach", spec={"vm": "busy-one"}))
    assert (late.type, "busy-one" in (late.reason or "")) == ("failed", True), "it does not exist any more"
    for name in ("volume.left", "volume.right"):
        await user.done(name, "destroy")


async def test_hosts_that_crash_begin_no_life_anew_in_another_pod(user: User) -> None:
    made = {name: await user.done(name, "create", spec={"cpus": 0.1, "memory_mib": 16}) for name in _names()}
    pod = made["vm.below-0"].pod
    beside = [name for name, event in made.items() if event.pod != pod]
    assert beside
    lives = {name: event.life for name, event in made.items()}
    hosts = {event.host for event in made.values() if event.pod == pod}
    for host in hosts:
        await user.fault("fail", kind="host", id=host, operation="resize", times=1)
        await user.submit(f"host.{host}", "resize", spec={"cpus": 17.0})
    await until(lambda: all(user.seen(f"host.{host}", "crashed") for host in hosts), "a crash of each host")
    for name in made:
        await user.done(name, "stop")
    assert {name: user.events[name][-1].life for name in beside} == {name: lives[name] for name in beside}
    for host in hosts:
        await user.done(f"host.{host}", "resize", spec={"cpus": 16.0})
    for name in made:
        await user.done(name, "destroy")


def _names() -> list[str]:
    return [f"vm.below-{number}" for number in range(8)]
