"""Every fault that can be asked for: what it does to a call, where it strikes, and that the books tell."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.device import Simulator, request, simulator


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A simulator with host-1 in pod-1 and host-2 in pod-2."""
    async with simulator(tmp_path, "--seed", "1") as device:
        await device.host()
        await device.host("host-2", pod="pod-2")
        yield device


@pytest.mark.parametrize(
    "shape",
    [
        {"seconds": 0.03},
        {"seconds": 0.02, "seconds_max": 0.04, "distribution": "uniform"},
        {"seconds": 0.02, "seconds_max": 0.05, "distribution": "lognormal"},
    ],
)
async def test_latency_keeps_a_call_in_progress_between_its_times(device: Simulator, shape: dict[str, object]) -> None:
    await device.fault("latency", kind="vm", **shape)
    await device.vm("web-1")
    [(lasted_s,)] = device.rows("SELECT ended_at - started_at FROM calls WHERE resource = 'web-1'")
    assert lasted_s > 0.0005  # below any of the shapes; an upper bound would be the machine's
    assert device.judged() == {}


async def test_slow_once_is_slow_once(device: Simulator) -> None:
    number = await device.fault("latency", seconds=0.01, times=1)
    await device.vm("web-1")
    await device.vm("web-2")
    faults = (await device.control("fault_list")).faults
    assert faults is not None
    assert [(standing.number, standing.struck) for standing in faults] == [(number, 1)]


async def test_a_refusal_is_remembered_and_leaves_nothing(device: Simulator) -> None:
    await device.fault("refuse", operation="create", reason="out of order", times=1)
    assert await device.refused("vm.web-1", "create", host="host-1") == "out of order"
    assert await device.refused("vm.web-1", "create", host="host-1", ticket=device.ticket) == "out of order"
    assert not (await device.ask("observe", "vm.web-1")).exists
    await device.vm("web-1")


async def test_a_creation_that_fails_halfway_leaves_a_partial_object_that_the_same_ticket_completes(
    device: Simulator,
) -> None:
    await device.fault("fail", times=1)
    failed = await device.call("vm.web-1", "create", {"cpus": 3}, host="host-1")
    assert failed.status == "failed" and failed.reason is not None and "half made" in failed.reason
    assert (failed.last, failed.begun, failed.exists) == (0, device.ticket, True)
    assert device.rows("SELECT state, residue_ticket FROM resources WHERE resource = 'web-1'") == [
        ("partial", device.ticket)
    ]
    assert device.judged() == {"dangling": 1}
    assert "cpus" in await device.refused("vm.web-2", "create", {"cpus": 2}, host="host-1", ticket=70)
    completed = await device.applied("vm.web-1", "create", {"cpus": 3}, host="host-1", ticket=failed.begun)
    assert completed.observed is not None and completed.observed["state"] == "present"
    assert device.judged() == {}
    assert [row[1:] for row in device.outcomes("vm.web-1")] == [("failed", 0), ("applied", 1)]


async def test_another_ticket_neither_completes_nor_uses_a_half_made_object_but_may_destroy_it(
    device: Simulator,
) -> None:
    await device.fault("fail", times=1)
    await device.call("vm.web-1", "create", host="host-1")
    assert "already exists" in await device.refused("vm.web-1", "create", host="host-1")
    assert "half made" in await device.refused("vm.web-1", "stop")
    await device.applied("vm.web-1", "destroy")
    assert device.judged() == {}


async def test_another_operation_that_fails_halfway_leaves_the_object_as_it_was_and_marked(device: Simulator) -> None:
    await device.vm("web-1")
    await device.fault("fail", operation="stop", times=1)
    failed = await device.call("vm.web-1", "stop")
    assert failed.observed is not None
    assert (failed.status, failed.observed["state"], failed.observed["power"]) == ("failed", "partial", "running")
    done = await device.applied("vm.web-1", "stop", ticket=failed.begun)
    assert done.observed is not None
    assert (done.observed["state"], done.observed["power"]) == ("present", "stopped")


@pytest.mark.parametrize("close", [False, True])
async def test_a_lost_answer_leaves_the_effect_which_the_repeated_call_is_told(device: Simulator, close: bool) -> None:
    await device.fault("lose", id="web-1", times=1, close=close)
    wire = await device.connect()
    lost = wire.send(**request("call", "vm.web-1", ticket=50, operation="create", host="host-1"))
    if close:
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(lost, 20)
    else:
        assert (await wire.ask(verb="ping")).status == "ok"
        assert not lost.done()
    again = await device.call("vm.web-1", "create", host="host-1", ticket=50)
    assert (again.status, again.exists) == ("applied", True)
    assert [row[1:] for row in device.outcomes("vm.web-1")] == [("applied", 1), ("remembered", 0)]
    assert device.judged() == {}


async def test_a_lost_answer_to_synchronize_must_be_asked_for_by_name(device: Simulator) -> None:
    await device.fault("lose")
    assert (await device.ask("synchronize", "vm.web-1")).status == "ok"
    await device.fault("lose", operation="synchronize")
    lost = device.wire.send(**request("synchronize", "vm.web-1", life=5))
    assert (await device.wire.ask(verb="ping")).status == "ok"
    assert not lost.done()
    assert (await device.ask("observe", "vm.web-1")).high == 5


async def test_a_hanging_call_is_in_progress_until_the_fault_is_cleared(device: Simulator) -> None:
    number = await device.fault("hang", id="web-*")
    hanging = device.wire.send(**request("call", "vm.web-1", ticket=50, operation="create", host="host-1"))
    assert (await device.ask("observe", "vm.web-1")).exists is False
    assert await device.in_progress("vm.web-1") == 50
    assert device.outcomes("vm.web-1") == [(50, "in_progress", 0)]
    cleared = await device.control("fault_clear", number=number)
    assert cleared.faults is not None and cleared.faults[0].struck == 1
    assert b'"applied"' in await hanging
    assert await device.in_progress("vm.web-1") is None


@pytest.mark.parametrize(
    ("scope", "reached"),
    [
        ({"host": "host-1"}, False),
        ({"pod": "pod-1"}, False),
        ({"zone": "zone-a"}, False),
        ({"host": "host-2"}, True),
        ({"pod": "pod-2"}, True),
        ({"zone": "zone-b"}, True),
        ({"kind": "volume"}, True),
        ({"id": "web-[2-9]"}, True),
    ],
)
async def test_what_is_unreachable_does_nothing_and_remembers_nothing(
    device: Simulator, scope: dict[str, str], reached: bool
) -> None:
    await device.vm("web-1")
    number = await device.fault("unreachable", **scope)
    stop = await device.call("vm.web-1", "stop")
    synchronized = await device.ask("synchronize", "vm.web-1", life=2)
    assert (stop.status, synchronized.status) == (("applied", "ok") if reached else ("unreachable", "unreachable"))
    assert (await device.ask("observe", "vm.web-1")).status == ("ok" if reached else "unreachable")
    await device.control("fault_clear", number=number)
    observed = await device.ask("observe", "vm.web-1")
    assert (observed.high, observed.last) == ((2, stop.last) if reached else (1, stop.last))
    assert device.judged() == {}


async def test_a_call_in_progress_on_a_host_that_becomes_unreachable_has_no_effect(device: Simulator) -> None:
    await device.vm("web-1")
    hang = await device.fault("hang", operation="stop")
    hanging = device.wire.send(**request("call", "vm.web-1", ticket=50, operation="stop"))
    await device.wire.ask(verb="ping")
    await device.fault("unreachable", host="host-1")
    await device.control("fault_clear", number=hang)
    assert b'"unreachable"' in await hanging
    assert device.outcomes("vm.web-1")[-1] == (50, "broken_off", 0)


async def test_without_its_fence_a_device_lets_a_zombie_act_and_the_books_tell(device: Simulator) -> None:
    await device.vm("web-1")
    await device.applied("vm.web-1", "stop", life=5, owner="agent-2")
    await device.fault("fence_off", id="web-1", times=1)
    zombie = await device.call("vm.web-1", "start")
    assert (zombie.status, zombie.high, zombie.owner) == ("applied", 5, "agent-2")
    assert device.judged() == {"life_violations": 1}
    assert (await device.call("vm.web-1", "stop")).status == "fenced"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"effect": "latency"}, "latency needs seconds"),
        ({"effect": "explode"}, "fault.effect"),
        ({"effect": "fail", "operation": "synchronize"}, "for calls"),
        ({"effect": "latency", "seconds": 2, "seconds_max": 1, "distribution": "uniform"}, "seconds_max"),
        ({"effect": "refuse", "zones": "zone-a"}, "zones"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_a_reason(
    device: Simulator, fault: dict[str, object], said: str
) -> None:
    answer = await device.control("fault_add", fault=fault)
    assert answer.status == "invalid" and answer.error is not None and said in answer.error
    assert (await device.control("fault_list")).faults == []


async def test_clearing_names_what_was_cleared_and_an_unknown_number_is_an_error(device: Simulator) -> None:
    numbers = [await device.fault("refuse"), await device.fault("lose")]
    missing = await device.control("fault_clear", number=99)
    assert (missing.status, missing.error) == ("invalid", "there is no fault 99")
    cleared = (await device.control("fault_clear")).faults
    assert cleared is not None
    assert [standing.number for standing in cleared] == numbers


async def test_the_journal_is_read_in_order_and_from_where_one_stopped(device: Simulator) -> None:
    await device.vm("web-1")
    await device.applied("vm.web-1", "stop")
    await device.applied("vm.web-1", "start")
    newest = (await device.control("journal", zone="zone-a", kind="vm", id="web-1", limit=2)).calls
    assert newest is not None
    assert [call["operation"] for call in newest] == ["stop", "start"]
    rest = (await device.control("journal", kind="vm", after=newest[0]["id"])).calls
    assert rest is not None
    assert [call["operation"] for call in rest] == ["start"]
    statistics = (await device.control("statistics")).statistics
    assert statistics is not None
    assert statistics["resources"] == {"host": 2, "vm": 1}
    assert statistics["answered"]["call applied"] == 5
