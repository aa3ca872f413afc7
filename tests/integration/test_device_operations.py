"""What each operation needs, and that a unit that comes twice or out of order is refused and changes nothing."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.device import Simulator, simulator


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A simulator with host-1: 4 cpus, 8192 MiB, 1 gpu, 100 GiB; its books are judged at the end."""
    async with simulator(tmp_path) as device:
        await device.host()
        yield device
        assert device.judged() == {}


async def test_a_vm_is_created_with_the_defaults_of_its_kind_and_runs(device: Simulator) -> None:
    answer = await device.vm("web-1", cpus=2)
    assert answer.definition is not None and answer.observed is not None
    assert (answer.definition["cpus"], answer.definition["memory_mib"], answer.definition["running"]) == (2, 512, True)
    assert (answer.observed["host"], answer.observed["power"], answer.exists) == ("host-1", "running", True)


@pytest.mark.parametrize("key", ["vm.one", "volume.one", "network.one", "host.one"])
async def test_what_exists_is_not_created_again_and_what_is_absent_not_destroyed(device: Simulator, key: str) -> None:
    specs: dict[str, dict[str, Any]] = {"volume": {"size_gib": 1}, "host": {"pod": "pod-1", "cpus": 1, "memory_mib": 1}}
    spec = specs.get(key.split(".")[0])
    assert "does not exist" in await device.refused(key, "destroy")
    await device.applied(key, "create", spec, host="host-1")
    assert "already exists" in await device.refused(key, "create", spec, host="host-1")
    gone = await device.applied(key, "destroy")
    assert (gone.exists, gone.definition) == (False, None)


@pytest.mark.parametrize(
    ("spec", "short"),
    [({"cpus": 4.5}, "cpus"), ({"memory_mib": 8193}, "MiB memory"), ({"gpus": 1.5}, "gpus")],
)
async def test_a_vm_that_does_not_fit_is_refused_with_what_is_short(
    device: Simulator, spec: dict[str, float], short: str
) -> None:
    assert short in await device.refused("vm.big", "create", spec, host="host-1")
    assert (await device.ask("observe", "vm.big")).exists is False


async def test_room_is_counted_over_all_that_a_host_carries(device: Simulator) -> None:
    await device.vm("web-1", cpus=3)
    reason = await device.refused("vm.web-2", "create", {"cpus": 1.5}, host="host-1")
    assert reason == "host host-1 has only 1 of 4 cpus left, 1.5 more are needed"
    await device.applied("vm.web-1", "destroy")
    await device.vm("web-2", cpus=1.5)


async def test_a_vm_needs_a_host_that_exists(device: Simulator) -> None:
    assert "needs a host" in await device.refused("vm.web-1", "create")
    assert "host host-9 does not exist" in await device.refused("vm.web-1", "create", host="host-9")


async def test_a_volume_takes_disk_of_its_host_and_only_grows(device: Simulator) -> None:
    assert "GiB disk" in await device.refused("volume.data", "create", {"size_gib": 101}, host="host-1")
    await device.applied("volume.data", "create", {"size_gib": 60}, host="host-1")
    assert "only grows" in await device.refused("volume.data", "resize", {"size_gib": 60})
    assert "GiB disk" in await device.refused("volume.data", "resize", {"size_gib": 101})
    answer = await device.applied("volume.data", "resize", {"size_gib": 100})
    assert answer.definition == {"size_gib": 100, "requires": {}}


async def test_power_follows_start_and_stop_and_neither_is_done_twice(device: Simulator) -> None:
    await device.vm("web-1")
    assert "already running" in await device.refused("vm.web-1", "start")
    stopped = await device.applied("vm.web-1", "stop")
    assert stopped.definition is not None and stopped.observed is not None
    assert (stopped.definition["running"], stopped.observed["power"]) == (False, "stopped")
    assert "already stopped" in await device.refused("vm.web-1", "stop")
    await device.applied("vm.web-1", "start")
    assert "does not exist" in await device.refused("vm.web-2", "start")


async def test_a_vm_is_resized_within_its_host_and_what_is_absent_stays(device: Simulator) -> None:
    await device.vm("web-1", cpus=1, memory_mib=1024)
    assert "cpus" in await device.refused("vm.web-1", "resize", {"cpus": 5})
    answer = await device.applied("vm.web-1", "resize", {"cpus": 4})
    assert answer.definition is not None
    assert (answer.definition["cpus"], answer.definition["memory_mib"]) == (4, 1024)


async def test_a_call_to_migrate_is_refused(device: Simulator) -> None:
    await device.vm("web-1")
    assert "synchronize" in await device.refused("vm.web-1", "migrate", {"host": "host-1"})


async def test_a_volume_is_attached_to_one_vm_that_exists(device: Simulator) -> None:
    await device.vm("web-1")
    await device.vm("web-2")
    await device.applied("volume.data", "create", {"size_gib": 1}, host="host-1")
    assert "vm web-9 does not exist" in await device.refused("volume.data", "attach", {"vm": "web-9"})
    assert "not attached" in await device.refused("volume.data", "detach", {"vm": "web-1"})
    attached = await device.applied("volume.data", "attach", {"vm": "web-1"})
    assert attached.observed is not None and attached.observed["attached_to"] == "web-1"
    assert "already attached" in await device.refused("volume.data", "attach", {"vm": "web-1"})
    assert "to one only" in await device.refused("volume.data", "attach", {"vm": "web-2"})
    assert "is attached to vm web-1" in await device.refused("volume.data", "destroy")
    seen = (await device.ask("observe", "vm.web-1")).observed
    assert seen is not None and seen["volumes"] == ["data"]
    await device.applied("volume.data", "detach", {"vm": "web-1"})
    await device.applied("volume.data", "destroy")


async def test_a_network_has_several_vms(device: Simulator) -> None:
    await device.vm("web-1")
    await device.vm("web-2")
    await device.applied("network.lan", "create", {"cidr": "10.0.0.0/8"})
    await device.applied("network.lan", "attach", {"vm": "web-1"})
    both = await device.applied("network.lan", "attach", {"vm": "web-2"})
    assert both.observed is not None and both.observed["attached_to"] == ["web-1", "web-2"]
    assert "already attached" in await device.refused("network.lan", "attach", {"vm": "web-2"})
    assert "is attached" in await device.refused("network.lan", "destroy")


async def test_destroying_a_vm_lets_go_of_what_was_attached(device: Simulator) -> None:
    await device.vm("web-1")
    await device.applied("volume.data", "create", {"size_gib": 1}, host="host-1")
    await device.applied("volume.data", "attach", {"vm": "web-1"})
    await device.applied("network.lan", "create", {})
    await device.applied("network.lan", "attach", {"vm": "web-1"})
    await device.applied("vm.web-1", "destroy")
    volume, network = await device.ask("observe", "volume.data"), await device.ask("observe", "network.lan")
    assert volume.observed is not None and network.observed is not None
    assert (volume.observed["attached_to"], network.observed["attached_to"]) == (None, [])


async def test_a_host_neither_goes_nor_shrinks_under_what_it_carries(device: Simulator) -> None:
    await device.vm("web-1", cpus=2)
    assert "still carries 1" in await device.refused("host.host-1", "destroy")
    assert "cannot shrink" in await device.refused("host.host-1", "resize", {"cpus": 1.5})
    await device.applied("host.host-1", "resize", {"cpus": 2})
    await device.applied("vm.web-1", "destroy")
    await device.applied("host.host-1", "destroy")


@pytest.mark.parametrize("key", ["printer.one", "pod.pod-1"])
async def test_a_kind_that_is_not_served_is_refused_by_name(device: Simulator, key: str) -> None:
    assert f"this device serves no kind {key.split('.')[0]}" in await device.refused(key, "create")


async def test_a_wrong_spec_or_operation_is_refused_by_name(device: Simulator) -> None:
    assert "spec.cpu:" in await device.refused("vm.web-1", "create", {"cpu": 1}, host="host-1")
    assert "spec.size_gib" in await device.refused("volume.data", "create", {}, host="host-1")
    assert "no operation fly" in await device.refused("vm.web-1", "fly")


async def test_the_same_name_in_another_zone_is_another_resource(device: Simulator) -> None:
    await device.vm("web-1")
    reason = await device.refused("zone-b.vm.web-1", "create", host="host-1")
    assert reason == "host host-1 does not exist"


async def test_what_others_change_has_no_ticket_and_restore_brings_back_what_was_desired(device: Simulator) -> None:
    desired = (await device.vm("web-1", cpus=2, memory_mib=1024)).definition
    wanted = {"definition": desired, "answered": device.ticket}
    where = {"zone": "zone-a", "kind": "vm", "id": "web-1"}
    changed = await device.control("tamper", **where, definition={"running": False, "cpus": 1.0})
    assert changed.shown is not None and changed.shown["observed"]["power"] == "stopped"
    assert changed.shown["last"] == device.ticket, "the record knows nothing of it"
    assert (await device.applied("vm.web-1", "restore", wanted)).definition == desired
    gone = await device.control("tamper", **where)
    assert gone.shown is not None and "observed" not in gone.shown
    restored = await device.applied("vm.web-1", "restore", wanted, host="host-1")
    assert restored.definition == desired and restored.observed is not None
    assert restored.observed["host"] == "host-1"
    assert "spec.definition" in await device.refused("vm.web-1", "restore", {"answered": 2})
    tampered = device.rows("SELECT ticket, life, effect FROM calls WHERE operation = 'tamper'")
    assert tampered == [(None, None, 1)] * 2


async def test_what_cannot_be_changed_is_said_and_stays(device: Simulator) -> None:
    await device.vm("web-1", cpus=2)
    where = {"zone": "zone-a", "kind": "vm", "id": "web-1"}
    assert "cpus" in ((await device.control("tamper", **where, definition={"cpus": 5.0})).error or "")
    assert "wings" in ((await device.control("tamper", **where, definition={"wings": 2})).error or "")
    carries = await device.control("tamper", zone="zone-a", kind="host", id="host-1")
    assert "still carries 1" in (carries.error or "")
    absent = await device.control("tamper", **(where | {"id": "web-9"}))
    assert "does not exist" in (absent.error or "")
