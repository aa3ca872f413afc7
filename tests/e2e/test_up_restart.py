"""`treeward up`: what survives, what is mended, what is refused, and that no process is left behind."""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.command import call, treeward
from tests.support.processes import end
from tests.support.until import until
from tests.support.up import Up, connected, effects, ending, submit

from treeward.runtime.embedded_nats import free_port


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    with ending() as started:
        yield started


async def test_up_goes_on_where_kill_9_has_left_it_and_leaves_no_process(tmp_path: Path, ups: list[Up]) -> None:
    port = free_port()
    ups.append(first := Up(tmp_path, port))
    await first.ready()
    async with connected(port) as (bus, answers):
        created = await submit(bus, "create")
        await until(lambda: created in answers, "outcome of the create")
        end(first.program("pod_agent"))  # so that what is submitted now stays pending
        pending = [await submit(bus, operation) for operation in ("stop", "start", "destroy")]
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    await until(lambda: not first.programs(), "end of every program")
    assert effects(tmp_path) == ["create"]

    ups.append(second := Up(tmp_path, port))
    await second.ready()
    async with connected(port) as (_, answers):
        await until(lambda: all(ticket in answers for ticket in pending), "outcomes of what was pending")
        assert [[event.type for event in answers[ticket]] for ticket in (created, *pending)] == [["completed"]] * 4
    assert effects(tmp_path) == ["create", "stop", "start", "destroy"]
    assert "0 zones, pods and hosts were made, 3 were there" in second.text


def _runs_again(up: Up, name: str) -> bool:
    return re.search(rf"{name}\S* runs again", up.text) is not None


async def test_a_killed_program_is_started_again_and_sigterm_ends_all_in_order(tmp_path: Path, ups: list[Up]) -> None:
    port = free_port()
    ups.append(up := Up(tmp_path, port))
    await up.ready()

    other = await treeward(*up.arguments, code=2)
    assert f"is in use by process {up.process.pid};" in other.err

    services = {"orchestrator": "orchestrator", "device_simulator": "device-simulator", "nats": "nats-server"}
    for module, name in services.items():
        killed = up.program(module)
        end(killed)
        await until(partial(_runs_again, up, name), f"restart of {name}")
        assert killed not in up.programs()
    async with connected(port) as (bus, answers):
        ticket = await submit(bus, "create")
        await until(lambda: ticket in answers, "outcome after the restarts")
        assert answers[ticket][0].type == "completed"

    up.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(up.process.wait, 60) == 0
    assert up.programs() == {}
    logs = tmp_path / "data" / "logs"
    services_in_order = ("pod-agent-1", "zone-supervisor-1", "orchestrator-1")
    last = [json.loads((logs / f"{name}.log").read_text().splitlines()[-1]) for name in services_in_order]
    assert [line["message"] for line in last] == ["ended"] * 3
    times = [line["time"] for line in last]
    assert times == sorted(times), "each after those that need it"


def test_what_cannot_be_started_is_told_in_one_sentence(tmp_path: Path) -> None:
    def up(*arguments: str) -> tuple[int, list[str]]:
        said = call("up", *arguments, code=None, folder=tmp_path)
        return said.code, [line for line in said.err.splitlines() if line.startswith("error: ")]

    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("zones: {zone-a: {pots: {}}}\n")
    code, errors = up("--topology", str(wrong))
    assert (code, len(errors)) == (2, 1)
    assert "wrong.yaml:1: " in errors[0]

    code, errors = up("--data", str(wrong))
    assert code == 2
    assert errors == [f"error: {wrong} cannot be used as a data folder: File exists"]

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, errors = up("--data", str(tmp_path / "data"), "--port", str(port))
    assert code == 3
    text = f"port {port} on 127.0.0.1 cannot be used: Address already in use; choose another with --port"
    assert errors == [f"error: {text}"]
