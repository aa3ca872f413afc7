"""A real device simulator: its process, a connection to it, its control interface and its books."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

from treeward.runtime.data_centre.child import leashed
from treeward.schemas.device import Answer
from treeward.schemas.device_control import ControlAnswer

JUDGES = (
    "order_violations",
    "life_violations",
    "doubled_effects",
    "overlapping_calls",
    "dangling",
    "unexplained_resources",
    "overcommitted",
)
"""Views of the books that are empty in a healthy data centre."""


@dataclass
class Wire:
    """One connection; lines in, lines out, answers sorted by their number."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    waiting: dict[int, "asyncio.Future[bytes]"] = field(default_factory=dict)
    listener: "asyncio.Task[None] | None" = None

    @classmethod
    async def open(cls, address: str) -> Self:
        if address.startswith("unix://"):
            wire = cls(*await asyncio.open_unix_connection(address.removeprefix("unix://")))
        else:
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            wire = cls(*await asyncio.open_connection(host, int(port)))
        wire.listener = asyncio.create_task(wire._listen())
        return wire

    def send(self, **fields: Any) -> "asyncio.Future[bytes]":
        """Write one request without waiting; the future is its answer, or ConnectionError."""
        seq = next(self.numbers)
        self.waiting[seq] = asyncio.get_running_loop().create_future()
        self.writer.write(json.dumps({"seq": seq, **fields}).encode() + b"\n")
        return self.waiting[seq]

    async def ask(self, **fields: Any) -> Answer:
        return Answer.model_validate_json(await asyncio.wait_for(self.send(**fields), 20))

    async def control(self, **fields: Any) -> ControlAnswer:
        return ControlAnswer.model_validate_json(await asyncio.wait_for(self.send(**fields), 20))

    async def close(self) -> None:
        self.writer.close()
        if self.listener is not None:
            await asyncio.wait([self.listener])

    async def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while line := await self.reader.readline():
                waiting = self.waiting.pop(json.loads(line)["seq"], None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(line)
        for waiting in self.waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("closed by the device"))
                waiting.exception()
        self.waiting.clear()


class Simulator:
    """One device simulator on one file; may be killed and started again."""

    def __init__(self, folder: Path, *options: str, listen: str = "tcp://127.0.0.1:0") -> None:
        self.data = folder / "device.sqlite"
        self.options = options
        self.listen = listen
        self.said: dict[str, Any] = {}
        self.process: Process | None = None
        self.wires: list[Wire] = []
        self.ticket = 0

    async def start(self) -> Self:
        command = ["-m", "treeward.device_simulator", "--data", str(self.data), "--control", "tcp://127.0.0.1:0"]
        self.process = await asyncio.create_subprocess_exec(
            *leashed(), sys.executable, *command, "--listen", self.listen, *self.options, stdout=PIPE
        )
        assert self.process.stdout is not None
        self.said = json.loads(await asyncio.wait_for(self.process.stdout.readline(), 30))
        self.wire = await self.connect()
        self._control = await Wire.open(self.said["control"])
        self.wires.append(self._control)
        return self

    async def connect(self) -> Wire:
        """One more connection."""
        self.wires.append(await Wire.open(self.said["listen"]))
        return self.wires[-1]

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Signal the process and wait for its end; returns its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(number)
        try:
            return await asyncio.wait_for(self.process.wait(), 30)
        finally:
            if self.process.returncode is None:
                self.process.kill()
            for wire in self.wires:
                await wire.close()
            self.wires.clear()

    async def ask(self, verb: str, key: str, **fields: Any) -> Answer:
        """A request for `<kind>.<id>` of zone-a, or `<zone>.<kind>.<id>`."""
        return await self.wire.ask(**request(verb, key, **fields))

    async def call(self, key: str, operation: str, spec: dict[str, Any] | None = None, **fields: Any) -> Answer:
        """Call a new ticket, or the one given, in life 1."""
        if "ticket" not in fields:
            self.ticket += 1
        return await self.ask("call", key, **({"ticket": self.ticket, "operation": operation, "spec": spec} | fields))

    async def applied(self, key: str, operation: str, spec: dict[str, Any] | None = None, **fields: Any) -> Answer:
        """A call that must be applied."""
        answer = await self.call(key, operation, spec, **fields)
        assert answer.status == "applied", answer
        return answer

    async def refused(self, key: str, operation: str, spec: dict[str, Any] | None = None, **fields: Any) -> str:
        """A call that must be refused; returns the reason."""
        answer = await self.call(key, operation, spec, **fields)
        assert answer.status == "refused", answer
        assert answer.reason is not None
        return answer.reason

    async def host(self, id_: str = "host-1", *, pod: str = "pod-1", **capacity: Any) -> Answer:
        by = {name: capacity.pop(name) for name in ("life", "owner") if name in capacity}
        spec = {"pod": pod, "cpus": 4, "memory_mib": 8192, "gpus": 1, "disk_gib": 100} | capacity
        return await self.applied(f"host.{id_}", "create", spec, **by)

    async def vm(self, id_: str, *, host: str = "host-1", **spec: Any) -> Answer:
        return await self.applied(f"vm.{id_}", "create", spec, host=host)

    async def control(self, verb: str, **fields: Any) -> ControlAnswer:
        return await self._control.control(verb=verb, **fields)

    async def fault(self, effect: str, **fields: Any) -> int:
        """Add a fault; returns its number."""
        answer = await self.control("fault_add", fault={"effect": effect, **fields})
        assert answer.faults, answer
        return answer.faults[0].number

    async def in_progress(self, key: str) -> int | None:
        kind, _, id_ = key.partition(".")
        shown = (await self.control("show", zone="zone-a", kind=kind, id=id_)).shown
        assert shown is not None
        return shown["in_progress"]  # type: ignore[no-any-return]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the books as a judge would."""
        with contextlib.closing(sqlite3.connect(f"file:{self.data}?mode=ro", uri=True)) as books:
            return books.execute(query, values).fetchall()

    def outcomes(self, key: str) -> list[tuple[Any, ...]]:
        """Ticket, outcome and effect of every row of a resource, in order."""
        kind, _, id_ = key.partition(".")
        query = "SELECT ticket, outcome, effect FROM calls WHERE kind = ? AND resource = ? ORDER BY id"
        return self.rows(query, kind, id_)

    def judged(self) -> dict[str, int]:
        """The views that are not empty, with their number of rows."""
        found = {view: self.rows(f"SELECT count(*) FROM {view}")[0][0] for view in JUDGES}
        return {view: number for view, number in found.items() if number}


def request(verb: str, key: str, **fields: Any) -> dict[str, Any]:
    """The fields of a request, of life 1 and agent-1 where it needs them."""
    *zone, kind, id_ = key.split(".")
    needed = {"life": 1, "owner": "agent-1"} if verb in {"call", "synchronize"} else {}
    return {"verb": verb, "zone": zone[0] if zone else "zone-a", "kind": kind, "id": id_, **needed, **fields}


@contextlib.asynccontextmanager
async def simulator(folder: Path, *options: str, listen: str = "tcp://127.0.0.1:0") -> AsyncIterator[Simulator]:
    """A running simulator that is ended with the test, also by a test that ends it before."""
    device = Simulator(folder, *options, listen=listen)
    try:
        yield await device.start()
    finally:
        await device.end()
