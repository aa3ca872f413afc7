"""The guard with the adapter `exec`: it passes the conformance suite, and what a kill leaves behind is found out."""

import asyncio
import os
import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.support.command import treeward
from tests.support.device import request
from tests.support.guard import (
    PROGRAMS,
    address_of,
    call_of,
    connect,
    guard_of,
    guarded,
    has_started,
    script,
    synchronize,
    wrapped,
)
from tests.support.kept import started
from tests.support.until import until

from treeward.cli.device_check import run as check
from treeward.cli.device_check.rules import RULES
from treeward.device_guard.adapter import Errand, Finish, Verb
from treeward.device_guard.adapters.exec import make_exec
from treeward.schemas.address import Address
from treeward.schemas.device import Answer


@pytest.mark.parametrize("program", PROGRAMS)
async def test_the_guard_passes_the_conformance_suite_with_restarts_by_kill_9(program: str, tmp_path: Path) -> None:
    async with guarded(tmp_path, *wrapped(tmp_path, program)) as (keeper, wire):
        made = request("call", "host.host-1", ticket=1, operation="create", spec={"cpus": 4})
        assert (await wire.ask(**made)).status == "applied"
        said = await treeward(
            "device", "check", address_of(tmp_path), "--json", "--all", "--host", "host-1", "--spec", '{"cpus":1}',
            "--rounds", "4", "--timeout", "30", "--slow", "touch slow", "--quick", "rm slow",
            "--restart", "kill -9 $(cat pid)", code=None, folder=tmp_path,
        )  # fmt: skip
        assert keeper.starts == 5, "there are four rules with a restart that it can be tried for"
    *rules, summary = said.rows
    others = {line["rule"]: line["verdict"] for line in rules if line["verdict"] != "passed"}
    assert others == dict.fromkeys(("recent", "ahead", "ahead-outlives", "ahead-restart"), "not offered")
    assert check.PARTS, "it fills the list of rules"
    assert [line["rule"] for line in rules] == list(RULES)
    assert (said.code, summary["trusted"]) == (0, True)


@pytest.mark.parametrize("operation", ["create", "destroy"])
async def test_killed_between_effect_and_record_the_ticket_is_called_again_and_changes_nothing(
    operation: str, tmp_path: Path
) -> None:
    """An adapter that keeps no tickets: honest doubt (`begun`), and a second run that finds the work done."""
    async with guarded(tmp_path, *wrapped(tmp_path, "shell")) as (keeper, wire):
        await wire.ask(**call_of(1))
        file = tmp_path / "held" / "zone-a.vm.web-1"
        ticket = 1
        if operation == "destroy":
            ticket = 2
            (tmp_path / "kill-guard").touch()
        else:
            assert (await wire.ask(**call_of(2, "destroy"))).status == "applied"
            ticket = 3
            (tmp_path / "kill-guard").touch()
        lost = wire.send(**call_of(ticket, operation))
        with pytest.raises(ConnectionResetError):
            await lost
        await until(lambda: keeper.starts == 2)
        made = file.stat().st_ino if file.exists() else None
        assert (made is not None) is (operation == "create"), "the effect was there before the guard died"
        again = await connect(tmp_path)
        told = await synchronize(again, 2)
        assert (told.status, told.begun, told.last) == ("ok", ticket, ticket - 1)
        assert told.exists is (operation == "create")
        repeated = await again.ask(**call_of(ticket, operation, life=2))
        assert (repeated.status, repeated.last, repeated.last_applied) == ("applied", ticket, True)
        assert (file.stat().st_ino if file.exists() else None) == made, "it was made a second time"
        assert (tmp_path / "runs").read_text().splitlines()[-2:] == [f"{ticket} false", f"{ticket} true"]
        await again.close()


async def test_a_create_that_was_killed_before_it_could_refuse_is_refused_the_second_time(tmp_path: Path) -> None:
    """`existed` tells a repeated create's own work from what was there before it."""
    async with guarded(tmp_path, *wrapped(tmp_path, "shell")) as (keeper, wire):
        await wire.ask(**call_of(1))
        (tmp_path / "kill-guard").touch()
        lost = wire.send(**call_of(2))
        with pytest.raises(ConnectionResetError):
            await lost
        await until(lambda: keeper.starts == 2)
        again = await connect(tmp_path)
        await synchronize(again, 2)
        repeated = await again.ask(**call_of(2, life=2))
        assert (repeated.status, repeated.reason, repeated.exists) == ("refused", "web-1 exists", True)
        await again.close()


async def test_an_adapter_that_keeps_tickets_tells_that_it_was_done_and_nothing_is_run_again(tmp_path: Path) -> None:
    async with guarded(tmp_path, *wrapped(tmp_path, "perl")) as (keeper, wire):
        for ticket, operation in ((1, "create"), (2, "destroy")):
            (tmp_path / "kill-guard").touch()
            lost = wire.send(**call_of(ticket, operation, life=ticket))
            with pytest.raises(ConnectionResetError):
                await lost
            await until(partial(has_started, keeper, ticket + 1))
            wire = await connect(tmp_path)
            told = await synchronize(wire, ticket + 1)
            assert (told.status, told.last, told.last_applied, told.begun) == ("ok", ticket, True, ticket)
            assert told.exists is (operation == "create")
            assert (await wire.ask(**call_of(ticket, operation, life=ticket + 1))).status == "applied"
        assert (tmp_path / "runs").read_text().splitlines() == ["1 false", "2 false"]
        await wire.close()


async def test_what_a_killed_guard_left_running_is_over_before_the_next_life_is_accepted(tmp_path: Path) -> None:
    """The program goes on without its guard, and takes effect: the next guard must not speak before."""
    program = script(
        tmp_path,
        """
        if [ $TREEWARD_VERB = call ]; then touch running; wait_for go-on; touch effect; fi
        if [ -e effect ]; then exists=true; else exists=false; fi
        echo '{"status":"ok","exists":'$exists'}'
        """,
    )
    async with guarded(tmp_path, program) as (keeper, wire):
        lost = wire.send(**call_of(5))
        await until((tmp_path / "running").exists)
        assert keeper.process is not None
        keeper.process.kill()
        with pytest.raises(ConnectionResetError):
            await lost
        await until(lambda: keeper.starts == 2)
        again, other = await connect(tmp_path), await connect(tmp_path)
        asked = again.send(**request("synchronize", "vm.web-1", life=2))
        assert (await other.ask(**request("observe", "vm.web-2"))).status == "ok", "others are served meanwhile"
        assert not asked.done()
        (tmp_path / "go-on").touch()
        told = Answer.model_validate_json(await asyncio.wait_for(asked, 30))
        assert (told.status, told.high, told.last, told.begun, told.exists) == ("ok", 2, 0, 5, True)
        await again.close()
        await other.close()


async def test_a_program_that_hangs_is_killed_with_all_that_it_started_and_its_call_failed(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        """
        [ $TREEWARD_VERB = call ] || { echo '{"status":"ok","exists":false}'; exit; }
        setsid sh -c 'echo $$ >child; sleep 600' &
        sleep 600
        """,
    )
    async with guarded(tmp_path, program, timeout_s=1.0) as (_, wire):
        answer = await wire.ask(**call_of(5))
        assert (answer.status, answer.begun, answer.last) == ("failed", 5, 0)
        assert answer.reason == "it was killed: it did not end within 1 s"
        child = int((tmp_path / "child").read_text())
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0) if state_of(child) != "Z" else os.kill(1 << 22, 0)
        assert (await synchronize(wire, 2)).begun == 5


def state_of(process: int) -> str | None:
    """The state of a process as /proc tells it; a zombie may wait for a reaper that this machine does not have."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return None


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ('echo \'{"status":"ok","exists":true}\'; exit 3', "failed", "exit code 3"),
        ("echo it is on fire >&2; exit 1", "failed", "exit code 1: it is on fire"),
        ("kill -9 $$", "failed", "signal 9"),
        ("echo done", "failed", "the program's answer cannot be read"),
        ('echo \'{"status":"splendid"}\'', "failed", "status"),
        ('echo \'{"status":"failed","reason":"half of it"}\'', "failed", "half of it"),
        ('echo \'{"status":"refused","reason":"no room"}\'', "refused", "no room"),
        ('echo \'{"status":"unreachable","reason":"no power"}\'', "unreachable", "no power"),
    ],
)
async def test_how_a_program_ends_is_what_its_call_came_to(text: str, status: str, reason: str, tmp_path: Path) -> None:
    observe = """if [ $TREEWARD_VERB = observe ]; then echo '{"status":"ok","exists":false}'; exit; fi"""
    async with guarded(tmp_path, script(tmp_path, f"{observe}\n{text}")) as (_, wire):
        answer = await wire.ask(**call_of(5))
        assert answer.status == status and reason in (answer.reason or "")
        assert answer.last == (5 if status == "refused" else 0)
        assert answer.begun == (0 if status == "unreachable" else 5), "only what did nothing at all has not begun"


async def test_sigterm_waits_for_the_call_in_progress_and_begins_nothing_new(tmp_path: Path) -> None:
    program = script(
        tmp_path,
        """
        if [ $TREEWARD_VERB = call ]; then touch running; wait_for go-on; fi
        echo '{"status":"ok","exists":true}'
        """,
    )
    async with started(guard_of(tmp_path, program), tmp_path) as process:
        wire = await connect(tmp_path)
        call = wire.send(**call_of(5))
        await until((tmp_path / "running").exists)
        process.send_signal(signal.SIGTERM)
        new = {**call_of(6), "id": "web-2"}

        async def refused() -> Answer | None:
            answer = await wire.ask(**new | {"ticket": 1, "verb": "observe"})
            return answer if answer.status != "ok" else None

        answer = await until(refused)
        assert (answer.status, answer.reason) == ("unreachable", "the guard is being stopped")
        (tmp_path / "go-on").touch()
        assert b'"applied"' in await asyncio.wait_for(call, 30)
        assert await asyncio.wait_for(process.wait(), 30) == 0
        await wire.close()


async def test_a_run_that_is_ended_while_it_waits_for_its_turn_starts_no_program(tmp_path: Path) -> None:
    text = f'cd {tmp_path}; touch $TREEWARD_ID; wait_for go-on; echo \'{{"status":"ok"}}\''
    program = script(tmp_path, text)
    adapter = make_exec([program], timeout_s=30.0, at_once_max=1)
    async with asyncio.TaskGroup() as tasks:
        first, second = (
            tasks.create_task(adapter.carry_out(Errand(f"{tmp_path}/{id_}", Verb.CALL, Address("z", "vm", id_))))
            for id_ in ("first", "second")
        )
        await until((tmp_path / "first").exists)
        await adapter.end(f"{tmp_path}/second", patience_s=0.0)
        (tmp_path / "adapter.sh").unlink()  # whoever starts it now is told that it is not there
        (tmp_path / "go-on").touch()
    assert first.result().finish is Finish.OK
    assert second.result().reason == "it was killed: it was ended before it began"
    assert not (tmp_path / "second").exists()


async def test_a_run_that_is_ended_while_its_program_starts_is_not_told_what_to_do(tmp_path: Path) -> None:
    adapter = make_exec(["sh", "-c", 'read line; echo \'{"status":"ok"}\''], timeout_s=30.0, at_once_max=1)
    errand = Errand(str(tmp_path), Verb.CALL, Address("z", "vm", "web-1"))
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(adapter.carry_out(errand))
        await asyncio.sleep(0)  # it has asked for its process, and is told of it in a later turn of the loop
        await adapter.end(errand.run, patience_s=0.0)
    assert run.result().reason == "it was killed: it was ended before it began"


async def test_two_guards_never_share_a_file(tmp_path: Path) -> None:
    program = script(tmp_path, """echo '{"status":"ok","exists":false}'""")
    async with guarded(tmp_path, program):
        command = [*guard_of(tmp_path, program)]
        command[command.index("--listen") + 1] = f"unix://{tmp_path}/other"
        second = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stderr=asyncio.subprocess.PIPE)
        _, error = await asyncio.wait_for(second.communicate(), 30)
        assert second.returncode == 1 and b"locked" in error


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--adapter", "none-such"], b"there is no adapter none-such; there are exec"),
        ([], b"the adapter exec needs a program"),
        (["--", "/no/such/program"], b"/no/such/program is no program that can be run"),
        (["--listen", "nowhere", "--", "true"], b"nowhere"),
    ],
)
async def test_what_cannot_be_run_is_said_in_one_line(arguments: list[str], said: bytes, tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "treeward.device_guard", "--data", "guard.sqlite", *arguments,
        cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, error = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2 and said in error and error.count(b"\n") == 1
