"""PROTOCOL table 4 over the wire: fence, busy, memory, older, joining, isolation; and what synchronize brings about."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.device import Simulator, Wire, request, simulator


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A simulator with host-1; its books are judged at the end."""
    async with simulator(tmp_path) as device:
        await device.host()
        yield device
        assert device.judged() == {}


async def test_a_zombie_is_fenced_and_told_by_whom(device: Simulator) -> None:
    await device.ask("synchronize", "vm.web-1", life=7, owner="agent-2")
    for life in (6, 7):
        answer = await device.call("vm.web-1", "create", host="host-1", life=life, owner="agent-1")
        assert (answer.status, answer.high, answer.owner) == ("fenced", 7, "agent-2")
        assert (await device.ask("synchronize", "vm.web-1", life=life, owner="agent-1")).status == "fenced"
    assert not (await device.ask("observe", "vm.web-1")).exists
    assert [row[1:] for row in device.outcomes("vm.web-1")] == [("fenced", 0)] * 4


async def test_a_repeated_ticket_is_answered_from_memory_and_has_one_effect(device: Simulator) -> None:
    first = await device.vm("web-1")
    again = await device.call("vm.web-1", "create", host="host-1", ticket=device.ticket, life=3, owner="agent-2")
    assert (first.status, again.status, again.last) == ("applied", "applied", device.ticket)
    refused = await device.call("vm.web-1", "create", host="host-1")
    repeated = await device.call("vm.web-1", "create", host="host-1", ticket=refused.last)
    assert (repeated.status, repeated.reason) == ("refused", refused.reason)
    assert [row[1:] for row in device.outcomes("vm.web-1")] == [
        ("applied", 1), ("remembered", 0), ("refused", 0), ("remembered", 0)
    ]  # fmt: skip


async def test_memory_outlives_the_object(device: Simulator) -> None:
    created = (await device.vm("web-1")).last
    destroyed = (await device.applied("vm.web-1", "destroy")).last
    late = await device.call("vm.web-1", "create", host="host-1", ticket=created)
    assert (late.status, late.last, late.recent) == ("applied", destroyed, []), "from memory, told alone"
    told = await device.ask("synchronize", "vm.web-1", life=2)
    assert (told.exists, told.last, told.last_applied) == (False, destroyed, True)
    assert (told.remembers, [(known.ticket, known.applied) for known in told.recent]) == (8, [(created, True)])


@pytest.mark.parametrize("remembers", [1, 3])
async def test_it_remembers_as_many_tickets_as_it_was_told(tmp_path: Path, remembers: int) -> None:
    async with simulator(tmp_path, "--remembers", str(remembers)) as device:
        await device.host()
        await device.vm("web-1")
        answers = [await device.call("vm.web-1", operation) for operation in ("start", "stop", "start", "start")]
        assert [answer.status for answer in answers] == ["refused", "applied", "applied", "refused"]
        assert len({answers[0].reason, answers[1].reason, answers[3].reason}) == 2 and answers[0].reason is not None
        told = await device.ask("observe", "vm.web-1")
        assert told.remembers == remembers
        kept = [answer.last for answer in answers[4 - remembers : 3]]
        assert [known.ticket for known in told.recent] == kept
        for number, answer in enumerate(answers):
            again = await device.call("vm.web-1", "destroy", ticket=answer.last, life=2)
            expected = (answer.status, answer.reason) if number >= 4 - remembers else ("older", again.reason)
            assert (again.status, again.reason) == expected
        assert (await device.ask("observe", "vm.web-1")).exists
        assert device.judged() == {}


async def test_a_life_does_not_rise_under_a_call_in_progress(device: Simulator) -> None:
    fault = await device.fault("hang", id="web-1")
    hanging = device.wire.send(**request("call", "vm.web-1", ticket=50, operation="create", host="host-1"))
    busy = await device.ask("synchronize", "vm.web-1", life=2, owner="agent-2")
    assert (busy.status, busy.reason) == ("busy", "ticket 50 is in progress")
    same = await device.ask("synchronize", "vm.web-1")
    assert (same.status, same.last, same.begun, same.exists) == ("ok", 0, 50, False)
    assert (await device.call("vm.web-1", "create", host="host-1", ticket=51)).status == "busy"
    await device.control("fault_clear", number=fault)
    assert b'"applied"' in await hanging
    risen = await device.ask("synchronize", "vm.web-1", life=2, owner="agent-2")
    assert (risen.status, risen.last, risen.exists) == ("ok", 50, True)


async def test_a_repeated_call_waits_for_the_one_in_progress(device: Simulator) -> None:
    fault = await device.fault("hang", id="web-1")
    call = request("call", "vm.web-1", ticket=50, operation="create", host="host-1")
    other = await device.connect()
    answers = [device.wire.send(**call), other.send(**call)]
    await device.ask("observe", "vm.web-1")
    await other.ask(verb="ping")
    assert not any(answer.done() for answer in answers)
    await device.control("fault_clear", number=fault)
    assert all(b'"applied"' in answer for answer in await asyncio.gather(*answers))
    assert [row[1:] for row in device.outcomes("vm.web-1")] == [("applied", 1), ("joined", 0)]


async def test_synchronize_makes_what_existed_elsewhere_once_in_a_life(device: Simulator) -> None:
    made = await device.ask("synchronize", "vm.web-1", life=2, host="host-1", definition={"cpus": 2, "running": False})
    assert made.observed is not None
    assert (made.exists, made.observed["power"]) == (True, "stopped")
    await device.applied("vm.web-1", "destroy", life=2)
    late = await device.ask("synchronize", "vm.web-1", life=2, host="host-1", definition={"cpus": 2})
    assert (late.status, late.exists) == ("ok", False)
    assert (await device.ask("synchronize", "vm.web-1", life=3, host="host-1", definition={"cpus": 2})).exists
    operations = device.rows("SELECT operation, effect FROM calls WHERE resource = 'web-1' AND effect = 1 ORDER BY id")
    assert operations == [("synchronize-make", 1), ("destroy", 1), ("synchronize-make", 1)]


async def test_synchronize_that_does_not_fit_fails_and_the_life_is_accepted(device: Simulator) -> None:
    answer = await device.ask("synchronize", "vm.web-1", life=2, host="host-1", definition={"cpus": 99})
    assert (answer.status, answer.high, answer.exists) == ("failed", 2, False)
    assert answer.reason is not None and "cpus" in answer.reason


async def test_synchronize_with_another_host_moves_within_the_device(device: Simulator) -> None:
    await device.host("host-2", cpus=1)
    await device.vm("web-1", cpus=1)
    await device.vm("web-2", cpus=2)
    moved = await device.ask("synchronize", "vm.web-1", life=2, host="host-2")
    assert moved.observed is not None and moved.observed["host"] == "host-2"
    full = await device.ask("synchronize", "vm.web-2", life=2, host="host-2")
    assert full.status == "failed" and full.observed is not None and full.observed["host"] == "host-1"
    row = device.rows("SELECT host, from_host, cpus_milli FROM calls WHERE operation = 'synchronize-move'")
    assert row == [("host-2", "host-1", 1000)]
    used = device.rows("SELECT host, cpus_milli_used FROM utilisation ORDER BY effect_number")
    assert dict(used) == {"host-1": 2000, "host-2": 1000}


async def test_absent_makes_sure_that_nothing_is_held(device: Simulator) -> None:
    await device.vm("web-1", cpus=4)
    gone = await device.ask("synchronize", "vm.web-1", life=2, absent=True)
    assert (gone.status, gone.exists, gone.last) == ("ok", False, device.ticket)
    assert (await device.ask("synchronize", "vm.web-1", life=2, absent=True)).status == "ok"
    await device.vm("web-2", cpus=4)


async def test_an_isolated_host_takes_no_call_until_it_is_undone(device: Simulator) -> None:
    await device.host("host-2")
    await device.vm("web-1")
    assert (await device.applied("host.host-1", "isolate")).isolated
    stop = await device.call("vm.web-1", "stop")
    assert (stop.status, stop.reason) == ("unreachable", "host host-1 is isolated")
    told = await device.ask("synchronize", "vm.web-1", life=2)
    assert (told.status, told.isolated, told.high) == ("unreachable", True, 2)
    assert (await device.call("vm.web-2", "create", host="host-1")).status == "unreachable"
    assert (await device.call("vm.web-3", "create", host="host-2")).status == "applied"
    assert (await device.ask("isolate", "host.host-1", undo=True)).status == "ok"
    assert (await device.call("vm.web-1", "stop")).status == "fenced"
    assert (await device.applied("vm.web-1", "stop", life=2)).status == "applied"


async def test_what_was_in_progress_on_an_isolated_host_never_takes_effect(device: Simulator) -> None:
    await device.vm("web-1")
    fault = await device.fault("hang", id="web-1", operation="stop")
    hanging = device.wire.send(**request("call", "vm.web-1", ticket=50, operation="stop"))
    assert (await device.applied("host.host-1", "isolate")).isolated
    assert b'"unreachable"' in await asyncio.wait_for(hanging, 30)
    await device.control("fault_clear", number=fault)
    await device.ask("isolate", "host.host-1", undo=True)
    told = await device.ask("synchronize", "vm.web-1", life=2)
    assert told.observed is not None
    assert (told.last, told.begun, told.observed["power"]) == (2, 50, "running")
    assert device.outcomes("vm.web-1")[-1] == (50, "broken_off", 0)


async def test_a_resource_may_be_moved_off_an_isolated_host(device: Simulator) -> None:
    await device.host("host-2")
    await device.vm("web-1")
    await device.applied("host.host-1", "isolate")
    moved = await device.ask("synchronize", "vm.web-1", life=2, host="host-2")
    assert moved.observed is not None and moved.observed["host"] == "host-2"
    assert (await device.applied("vm.web-1", "stop", life=2)).status == "applied"


async def test_only_a_host_that_exists_can_be_isolated_and_only_by_a_call(device: Simulator) -> None:
    why = "zone-a.host.host-9 does not exist here: there is nothing to isolate"
    assert await device.refused("host.host-9", "isolate") == why
    assert "has no operation isolate" in await device.refused("vm.web-1", "isolate")
    assert (await device.ask("isolate", "host.host-1")).status == "refused"
    await device.vm("web-1")


async def test_a_late_isolation_of_an_older_life_finds_its_host_made_anew(device: Simulator) -> None:
    """Ticket 2 was asked by agent-1, and by its successor, who then destroyed the host and made it again."""
    await device.applied("host.host-1", "isolate", life=2, owner="agent-2")
    late = request("call", "host.host-1", ticket=device.ticket, operation="isolate", life=1, owner="agent-1")
    await device.applied("host.host-1", "destroy", life=2, owner="agent-2")
    await device.host(life=2, owner="agent-2")
    assert (await device.wire.ask(**late)).status == "fenced"
    same_life = late | {"life": 2, "owner": "agent-2"}
    assert (await device.wire.ask(**same_life)).status == "applied", "from memory"
    assert not (await device.ask("observe", "host.host-1")).isolated
    await device.vm("web-1")


async def test_a_host_that_cannot_be_reached_is_isolated_and_its_record_told(device: Simulator) -> None:
    fault = await device.fault("unreachable", host="host-1")
    told = await device.ask("synchronize", "host.host-1", life=3)
    assert (told.status, told.high, told.last, told.isolated) == ("unreachable", 3, 1, False)
    assert (await device.call("host.host-1", "isolate", life=2)).status == "fenced"
    assert (await device.applied("host.host-1", "isolate", life=3)).isolated
    told = await device.ask("synchronize", "host.host-1", life=4)
    assert (told.status, told.high, told.last, told.isolated) == ("unreachable", 4, device.ticket, True)
    await device.control("fault_clear", number=fault)


async def test_many_calls_in_flight_are_answered_in_any_order_and_act_in_theirs(device: Simulator) -> None:
    await device.fault("latency", id="slow", seconds=0.05)
    slow = device.wire.send(**request("call", "vm.slow", ticket=9, operation="create", host="host-1", spec={"cpus": 1}))
    quick = [
        device.wire.send(**request("call", "network.lan", ticket=10 + number, operation=operation))
        for number, operation in enumerate(["create", "destroy"] * 100)
    ]
    answers = await asyncio.gather(*quick)
    assert all(b'"applied"' in answer for answer in answers)
    assert b'"applied"' in await slow


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"no json\n", b'"invalid"'),
        (b'{"seq":7,"verb":"fly"}\n', b'"seq":7,"status":"invalid"'),
        (b'{"seq":7,"verb":"call","zone":"z","kind":"vm","id":"a","life":1,"owner":"o"}\n', b"ticket"),
    ],
)
async def test_a_line_that_is_no_request_is_answered_and_harms_nobody(
    device: Simulator, line: bytes, said: bytes
) -> None:
    wire = await device.connect()
    assert wire.listener is not None
    wire.listener.cancel()
    await asyncio.wait([wire.listener])
    wire.writer.write(line + b'{"seq":8,"verb":"ping"}\n')
    assert said in await asyncio.wait_for(wire.reader.readline(), 20)
    assert b'"seq":8,"status":"ok"' in await asyncio.wait_for(wire.reader.readline(), 20)


async def test_a_unix_socket_serves_as_well_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/device.sock"
    for _ in range(2):
        async with simulator(tmp_path, listen=address) as device:
            assert device.said["listen"] == address
            wire = await Wire.open(address)
            assert (await wire.ask(verb="ping")).status == "ok"
            await wire.close()
            await device.end(signal.SIGKILL)
