"""`treeward up`: what survives, what is mended, what is refused, and that no process is left behind."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.stack import end, processes_with
from tests.support.until import until

from treeward.bus.interface import Stored
from treeward.bus.nats_bus import NatsBus
from treeward.runtime.embedded_nats import free_port
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

MARK = "TREEWARD_TEST_RUN"
TREEWARD = (sys.executable, "-c", "from treeward.cli.main import main; main()")
ZONE, VM = "zone-a", "vm.web-1"
TOPOLOGY = """
zones:
  zone-a:
    pods:
      a1:
        hosts:
          a1-h1: {cpus: 8, memory_mib: 8192}
"""


class Up:
    """One run of `treeward up` in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.run = uuid4().hex
        self.output = folder / f"{self.run}.txt"
        topology = folder / "topology.yaml"
        topology.write_text(TOPOLOGY)
        self.arguments = (*TREEWARD, "up", "--data", str(folder / "data"), "--port", str(port))
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*self.arguments, "--topology", str(topology)],
                env={**os.environ, MARK: self.run}, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self.output.read_text()

    def programs(self) -> dict[int, str]:
        """What it has started and still runs."""
        running = processes_with(MARK, self.run)
        running.pop(self.process.pid, None)
        return running

    def program(self, module: str) -> int:
        """The process id of the first program of a service, or of NATS."""
        wanted = "nats-server -c" if module == "nats" else f"-m treeward.{module} "
        return min(process_id for process_id, line in self.programs().items() if wanted in line)

    async def ready(self) -> None:
        await until(lambda: "Ready: " in self.text or self.process.poll() is not None, "Ready", 60.0)
        assert self.process.poll() is None, self.text

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for process_id in self.programs():
            end(process_id)


@pytest.fixture
def ups(tmp_path: Path) -> Iterator[list[Up]]:
    """The runs of a test, which end with it."""
    started: list[Up] = []
    yield started
    for up in started:
        up.end()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[NatsBus, dict[int, list[Event]]]]:
    """A connection, and the outcomes of the zone by ticket."""
    bus = await NatsBus.connect(f"nats://127.0.0.1:{port}", name="test", timeout_s=10.0)
    answers: dict[int, list[Event]] = {}

    def take(stored: Stored) -> None:
        event = Event.model_validate_json(stored.data)
        if event.is_outcome and event.ticket is not None:
            answers.setdefault(event.ticket, []).append(event)

    await bus.read(streams.log(ZONE), subjects.log_of_zone(ZONE), 1, take, on_lost=lambda: None)
    try:
        yield bus, answers
    finally:
        await bus.close()


async def submit(bus: NatsBus, operation: str) -> int:
    body = json.dumps({"operation": operation}).encode()
    return (await bus.submit(subjects.work(ZONE, VM), body, timeout_s=10.0)).ticket


def effects(folder: Path) -> list[str]:
    """What took effect on the VM, in order."""
    with closing(sqlite3.connect(folder / "data" / "device.sqlite")) as books:
        statement = "SELECT operation FROM calls WHERE kind = 'vm' AND effect = 1 ORDER BY effect_number"
        return [row[0] for row in books.execute(statement)]


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

    other = await asyncio.to_thread(subprocess.run, up.arguments, capture_output=True, text=True, timeout=30)
    assert other.returncode == 2
    assert f"is in use by process {up.process.pid};" in other.stderr

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
    assert '"ended"' in (logs / "pod-agent-1.log").read_text().splitlines()[-1]


def test_what_cannot_be_started_is_told_in_one_sentence(tmp_path: Path) -> None:
    def up(*arguments: str) -> tuple[int, list[str]]:
        ended = subprocess.run([*TREEWARD, "up", *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path)
        return ended.returncode, [line for line in ended.stderr.splitlines() if line.startswith("error: ")]

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
