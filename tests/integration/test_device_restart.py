"""What a device remembers when it dies: everything that it has told."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from pathlib import Path

from tests.support.device import request, simulator


async def test_after_kill_9_in_the_middle_of_a_load_every_told_effect_is_there_and_none_is_doubled(
    tmp_path: Path,
) -> None:
    async with simulator(tmp_path) as device:
        await device.host(cpus=1000, memory_mib=2**30)
        calls = [
            request("call", f"vm.web-{number % 50}", ticket=10 + number, operation=operation, host="host-1")
            for number, operation in enumerate(["create"] * 50 + ["stop"] * 50 + ["start"] * 50 + ["destroy"] * 50)
        ]
        sent = [device.wire.send(**call) for call in calls]
        for _ in range(20):
            sent += [device.wire.send(**request("call", "network.lan", ticket=1000 + len(sent), operation="create"))]
            sent += [device.wire.send(**request("call", "network.lan", ticket=1000 + len(sent), operation="destroy"))]
        await asyncio.wait_for(sent[60], 20)  # some are answered, the rest is on its way
        assert await device.end(signal.SIGKILL) == -signal.SIGKILL
    told = [number for number in range(len(calls)) if sent[number].exception() is None]
    assert len(told) > 60

    async with simulator(tmp_path) as device:
        for number, call in enumerate(calls):
            answer = await device.wire.ask(**call)
            assert answer.status in ({"applied", "older"} if number in told else {"applied"}), (number, answer)
        effects = device.rows("SELECT ticket FROM calls WHERE effect = 1 AND kind = 'vm' ORDER BY ticket")
        assert [ticket for (ticket,) in effects] == [call["ticket"] for call in calls]
        assert device.judged() == {}


async def test_resources_attachments_records_and_isolation_are_resumed_and_faults_are_not(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        await device.host()
        await device.vm("web-1", cpus=3)
        await device.applied("volume.data", "create", {"size_gib": 90}, host="host-1")
        await device.applied("volume.data", "attach", {"vm": "web-1"})
        await device.host("host-2")
        await device.applied("host.host-2", "isolate")
        await device.fault("refuse")
        before = [await device.ask("observe", key) for key in ("vm.web-1", "volume.data", "host.host-1", "host.host-2")]
    async with simulator(tmp_path) as again:
        again.ticket = 100
        after = [await again.ask("observe", key) for key in ("vm.web-1", "volume.data", "host.host-1", "host.host-2")]
        assert [a.model_dump(exclude={"seq"}) for a in after] == [b.model_dump(exclude={"seq"}) for b in before]
        assert "cpus" in await again.refused("vm.web-2", "create", {"cpus": 2}, host="host-1")
        assert (await again.call("vm.web-3", "create", host="host-2")).status == "unreachable"
        await again.vm("web-2", cpus=1)
        assert again.judged() == {}


async def test_sigterm_ends_cleanly_and_a_call_in_progress_is_broken_off(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        await device.host()
        await device.fault("hang", id="web-1")
        hanging = device.wire.send(**request("call", "vm.web-1", ticket=50, operation="create", host="host-1"))
        await device.ask("observe", "vm.web-1")
        assert await device.end() == 0
    assert hanging.exception() is not None or b"unreachable" in hanging.result()
    assert "device.sqlite-wal" not in os.listdir(tmp_path)  # noqa: PTH208
    assert device.outcomes("vm.web-1") == [(50, "broken_off", 0)]


async def test_a_call_in_progress_when_the_process_was_killed_is_told_as_begun_and_may_run_again(
    tmp_path: Path,
) -> None:
    async with simulator(tmp_path) as device:
        await device.host()
        await device.fault("hang", id="web-1")
        device.wire.send(**request("call", "vm.web-1", ticket=50, operation="create", host="host-1"))
        await device.ask("observe", "vm.web-1")
        await device.end(signal.SIGKILL)
    async with simulator(tmp_path) as again:
        told = await again.ask("synchronize", "vm.web-1", life=2)
        assert (told.status, told.last, told.begun, told.exists) == ("ok", 0, 50, False)
        assert (await again.call("vm.web-1", "create", host="host-1", ticket=50, life=2)).status == "applied"
        assert again.outcomes("vm.web-1") == [(50, "broken_off", 0), (50, "applied", 1)]
        assert again.judged() == {}


async def test_two_processes_do_not_share_an_address(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "treeward.device_simulator", "--data", str(tmp_path / "other.sqlite"),
            "--listen", device.said["listen"], stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 2
        assert b"cannot listen on tcp://" in said


async def test_an_accepted_life_fences_after_kill_9_as_before(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        await device.ask("synchronize", "vm.web-1", life=7, owner="agent-2")
        await device.end(signal.SIGKILL)
    async with simulator(tmp_path) as again:
        zombie = await again.ask("synchronize", "vm.web-1", life=6)
        assert (zombie.status, zombie.high, zombie.owner) == ("fenced", 7, "agent-2")


async def test_a_call_that_took_time_is_remembered_after_kill_9(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        await device.host()
        await device.fault("latency", seconds=0.01)
        created = await device.vm("web-1")
        await device.end(signal.SIGKILL)
    async with simulator(tmp_path) as again:
        assert (await again.call("vm.web-1", "create", host="host-1", ticket=created.last)).status == "applied"
        assert again.outcomes("vm.web-1") == [(created.last, "applied", 1), (created.last, "remembered", 0)]


async def test_all_that_was_remembered_survives_kill_9_and_is_never_fewer_than_was_told(tmp_path: Path) -> None:
    async with simulator(tmp_path, "--remembers", "3") as device:
        await device.host()
        await device.vm("web-1")
        answers = [await device.call("vm.web-1", operation) for operation in ("stop", "stop", "destroy")]
        await device.end(signal.SIGKILL)
    for remembers, told in (("1", 3), ("8", 8), ("2", 8)):
        async with simulator(tmp_path, "--remembers", remembers) as device:
            known = await device.ask("synchronize", "vm.web-1", life=2)
            assert (known.remembers, known.last) == (told, answers[2].last)
            assert [(each.ticket, each.applied, each.reason) for each in known.recent] == [
                (answers[0].last, True, None), (answers[1].last, False, answers[1].reason)
            ]  # fmt: skip
            again = await device.call("vm.web-1", "create", ticket=answers[1].last, life=2)
            assert (again.status, again.reason) == ("refused", answers[1].reason)
            assert (await device.ask("observe", "vm.web-9")).remembers == int(remembers)
            await device.end(signal.SIGKILL)


async def test_a_file_of_a_version_that_remembered_one_ticket_is_read(tmp_path: Path) -> None:
    async with simulator(tmp_path) as device:
        await device.host()
        await device.vm("web-1")
        stopped = await device.applied("vm.web-1", "stop")
    with contextlib.closing(sqlite3.connect(device.data)) as books:
        books.execute("DROP TABLE memories")
    async with simulator(tmp_path) as again:
        told = await again.ask("synchronize", "vm.web-1", life=2)
        assert (told.last, told.last_applied, told.remembers, told.recent) == (stopped.last, True, 8, [])
        again.ticket = device.ticket
        await again.applied("vm.web-1", "start", life=2)
        assert [known.ticket for known in (await again.ask("observe", "vm.web-1")).recent] == [stopped.last]
        assert again.judged() == {}
