"""`treeward up` in a folder of a test: its processes, its zone, and the books of its device."""

import json
import os
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.command import TREEWARD
from tests.support.processes import end, processes_with
from tests.support.until import until

from treeward.bus.interface import Stored
from treeward.bus.nats_bus import NatsBus
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

MARK = "TREEWARD_TEST_RUN"
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
        self.arguments = ("up", "--data", str(folder / "data"), "--port", str(port))
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [TREEWARD, *self.arguments, "--topology", str(topology)],
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
        return min(process_id for process_id, line in self.programs().items() if wanted in f"{line} ")

    async def ready(self) -> None:
        await until(lambda: "Ready: " in self.text or self.process.poll() is not None, "Ready", 60.0)
        assert self.process.poll() is None, self.text

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for process_id in self.programs():
            end(process_id)


@contextmanager
def ending() -> Iterator[list[Up]]:
    """The runs of a test, which end with it."""
    started: list[Up] = []
    try:
        yield started
    finally:
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
