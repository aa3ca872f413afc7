"""A host that the guard has isolated: nothing is on its way to it, and it is open again only as a new one."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from tests.support.device import Wire, request
from tests.support.guard import (
    PROGRAMS,
    call_of,
    connect,
    guard_of,
    guarded,
    script,
    synchronize,
    wrapped,
)
from tests.support.kept import started
from tests.support.until import until

from treeward.device_guard import record_file
from treeward.device_guard.adapter import State
from treeward.device_guard.adapters.exec import make_exec
from treeward.device_guard.adapters.processes import processes_of
from treeward.device_guard.guard import Guard
from treeward.device_guard.record_file import RecordFile
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import REQUEST, Answer
from treeward.telemetry.logs import get_log

ISOLATE = request("call", "host.host-1", ticket=3, operation="isolate")
OPEN = request("isolate", "host.host-1", undo=True)
HOST_EXISTS = """if [ $TREEWARD_KIND = host ]; then echo '{"status":"ok","exists":true}'; exit; fi"""
CALL_HANGS = f"""
{HOST_EXISTS}
if [ $TREEWARD_VERB = call ]; then touch running; sleep 600; fi
echo '{{"status":"ok","exists":false}}'
"""


@pytest.mark.parametrize("program", PROGRAMS)
async def test_only_a_host_that_exists_is_isolated_and_only_by_a_call(program: str, tmp_path: Path) -> None:
    async with guarded(tmp_path, *wrapped(tmp_path, program)) as (_, wire):
        for _ in range(2):  # the second time from memory
            refused = await wire.ask(**ISOLATE)
            assert (refused.status, refused.last, refused.isolated) == ("refused", 3, False)
            assert refused.reason == "zone-a.host.host-1 does not exist here: there is nothing to isolate"
        assert (await wire.ask(**call_of(1, host="host-1"))).status == "applied"
        made = request("call", "host.host-1", ticket=4, operation="create")
        assert (await wire.ask(**made)).status == "applied"
        assert (await wire.ask(**request("isolate", "host.host-1"))).status == "refused"
        assert (await wire.ask(**call_of(2, "destroy", host="host-1"))).status == "applied"
        assert (await wire.ask(**ISOLATE | {"ticket": 5})).status == "applied"
        assert (await wire.ask(**call_of(3, host="host-1"))).status == "unreachable"


async def test_an_isolated_host_answers_when_nothing_is_left_of_what_a_killed_guard_had_begun(tmp_path: Path) -> None:
    """The guard dies after the fence is on the disk and before it has ended what runs there."""
    program = script(tmp_path, CALL_HANGS)
    async with started(guard_of(tmp_path, program), tmp_path) as process:
        first = await connect(tmp_path)
        call = first.send(**call_of(5, host="host-1"))
        await until((tmp_path / "running").exists)
        process.kill()
        await process.wait()
        with pytest.raises(ConnectionResetError):
            await call
        await first.close()
        with contextlib.closing(sqlite3.connect(tmp_path / "guard.sqlite")) as file, file:
            file.execute("INSERT INTO isolations VALUES ('zone-a', 'host-1')")
            ((run,),) = file.execute("SELECT run FROM records").fetchall()
        assert processes_of(run)
        async with guarded(tmp_path, program, timeout_s=2.0) as (_, wire):
            told = await wire.ask(**request("synchronize", "host.host-1", life=2))
            assert (told.status, told.isolated) == ("ok", True)
            assert not processes_of(run)


async def test_isolation_survives_and_ends_what_runs_on_the_host(tmp_path: Path) -> None:
    program = script(tmp_path, CALL_HANGS)
    async with guarded(tmp_path, program) as (keeper, wire):
        call = wire.send(**call_of(5, host="host-1"))
        await until((tmp_path / "running").exists)
        assert (await wire.ask(**ISOLATE)).status == "applied"
        assert b'"unreachable"' in await asyncio.wait_for(call, 30)
        assert keeper.process is not None
        keeper.process.kill()
        await until(lambda: keeper.starts == 2)
        again = await connect(tmp_path)
        answer = await again.ask(**call_of(6, host="host-1", life=9))
        assert (answer.status, answer.reason) == ("unreachable", "host host-1 is isolated")
        assert (await again.ask(**OPEN)).status == "ok"
        assert (await synchronize(again, 9, host="host-1")).begun == 5
        await again.close()


@pytest.mark.parametrize(("exists", "verb"), [("false", "make"), ("true", "move")])
async def test_nothing_is_made_on_a_host_that_was_isolated_while_the_adapter_looked(
    exists: str, verb: str, tmp_path: Path
) -> None:
    program = script(
        tmp_path,
        f"""
        {HOST_EXISTS}
        echo $TREEWARD_VERB >>verbs
        if [ $TREEWARD_VERB = observe ]; then touch looks; wait_for go-on; fi
        echo '{{"status":"ok","exists":{exists},"host":"host-0"}}'
        """,
    )
    wish = request("synchronize", "vm.web-1", host="host-1", definition={"cpus": 1})
    async with guarded(tmp_path, program) as (_, wire):
        asked = wire.send(**wish)
        await until((tmp_path / "looks").exists)
        assert (await wire.ask(**ISOLATE)).status == "applied"
        (tmp_path / "go-on").touch()
        told = Answer.model_validate_json(await asyncio.wait_for(asked, 30))
        assert (tmp_path / "verbs").read_text().split() == ["observe"]
        assert (told.status, told.reason) == ("unreachable", "host host-1 is isolated")
        assert (told.isolated, told.high) == (True, 1), "the record is here: the life has risen"
        assert (await wire.ask(**OPEN)).status == "ok"
        assert (await wire.ask(**wish)).status == "ok"
        assert (tmp_path / "verbs").read_text().split()[:3] == ["observe", "observe", verb]


class Heard:
    """What a guard in this process has told, by the number of the request."""

    def __init__(self) -> None:
        self.answers: dict[int, Answer] = {}

    def deliver(self, line: bytes) -> None:
        answer = Answer.model_validate_json(line)
        self.answers[answer.seq] = answer


async def test_a_call_is_not_begun_on_a_host_that_was_isolated_while_its_intention_was_written(tmp_path: Path) -> None:
    """In this process, so that `isolate` comes between the run's name and its start, and nowhere else."""
    program = script(tmp_path, f"""touch {tmp_path}/acted; echo '{{"status":"ok","exists":true}}'""")
    file, heard = RecordFile(tmp_path / "guard.sqlite"), Heard()
    await file.save(record_file.Kept(Address("zone-a", "host", "host-1"), state=State(exists=True)))
    async with asyncio.TaskGroup() as tasks:
        guard = Guard(file, make_exec([program], timeout_s=30.0, at_once_max=1), tasks, get_log(), patience_s=1.0)
        for seq, fields in enumerate((call_of(5, host="host-1"), ISOLATE), start=1):
            guard.handle(REQUEST.validate_python({"seq": seq} | fields), heard)
    called, isolated = heard.answers[1], heard.answers[2]
    assert not (tmp_path / "acted").exists()
    assert (isolated.status, isolated.isolated) == ("applied", True)
    assert (called.status, called.reason) == ("unreachable", "host host-1 was isolated")
    assert (called.isolated, called.begun, called.last) == (True, 0, 0), "its ticket is not in doubt"
    kept_now = file.load()[0][Address("zone-a", "vm", "web-1")]
    file.close()
    assert (kept_now.run, kept_now.host) == (None, None)
    assert kept_now.record == DeviceRecord(high=1, owner="agent-1", called_in=1)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_an_isolated_host_is_destroyed_and_created_again_and_the_new_one_is_open(
    program: str, tmp_path: Path
) -> None:
    """By a call, by a call whose guard died before it could write that down, and by a synchronize."""
    host = request("observe", "host.host-1")
    asked = {"life": 1, "owner": "agent-1", "host": "host-1"}

    async def opened(wire: Wire, ticket: int) -> None:
        """It can be created, and takes calls, of another life each time; then it is isolated."""
        isolate = ISOLATE | {"life": ticket}
        created = host | asked | {"verb": "call", "ticket": 10 * ticket, "operation": "create", "life": ticket}
        assert (await wire.ask(**created)).status == "applied"
        assert (await wire.ask(**call_of(ticket, "create", host="host-1", life=ticket))).status == "applied"
        assert (await wire.ask(**isolate | {"ticket": 10 * ticket + 1})).status == "applied"
        destroy = call_of(ticket + 1, "destroy", host="host-1", life=ticket)
        assert (await wire.ask(**destroy)).status == "unreachable"
        assert (await wire.ask(**OPEN)).status == "ok"
        assert (await wire.ask(**destroy)).status == "applied"
        assert (await wire.ask(**isolate | {"ticket": 10 * ticket + 2})).isolated

    async with guarded(tmp_path, *wrapped(tmp_path, program)) as (keeper, wire):
        await opened(wire, 1)
        destroy = host | asked | {"verb": "call", "operation": "destroy"}
        assert (await wire.ask(**destroy | {"ticket": 20, "life": 2})).status == "applied"
        await opened(wire, 3)
        (tmp_path / "kill-guard").touch()
        lost = wire.send(**destroy | {"ticket": 40, "life": 4})
        with pytest.raises(ConnectionResetError):
            await lost
        await until(lambda: keeper.starts == 2)
        again = await connect(tmp_path)
        told = await again.ask(**host | asked | {"verb": "synchronize", "life": 5})
        assert (told.status, told.last) == ("ok", 40 if program == "perl" else 32), "only one of them keeps tickets"
        assert (await again.ask(**destroy | {"ticket": 40, "life": 5})).status == "applied"
        await opened(again, 6)
        removed = await again.ask(**host | asked | {"verb": "synchronize", "life": 7, "absent": True})
        assert (removed.status, removed.exists) == ("ok", False)
        await opened(again, 8)
        await again.ask(**host | asked | {"verb": "synchronize", "life": 9, "absent": True})
        assert keeper.process is not None
        keeper.process.kill()
        await until(lambda: keeper.starts == 3)
        await again.close()
        last = await connect(tmp_path)
        await opened(last, 10)
        await last.close()
