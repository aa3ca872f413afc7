"""A whole data centre for a test: every program as a process of its own, in a temporary folder, on free ports.

    async with stack(tmp_path, pods=2) as centre:
        ticket = await centre.submit("zone-a.vm.web-1", "create")
        await centre.wait_for_outcome("zone-a", ticket)
        centre.kill("pod-agent-1")
        ...
        assert (await centre.judge()).violations == []

Programs are named `nats-server`, `device-simulator`, `orchestrator-1`, `zone-supervisor-1`, `pod-agent-1` and so on.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.until import until

from treeward.bus.interface import Stored
from treeward.bus.nats_bus import NatsBus
from treeward.cli.apply import apply_topology
from treeward.cli.device_control import ask
from treeward.runtime.books import read_books
from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import Layout, default_topology
from treeward.runtime.judge import Books, Judgement, Logged, judge
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, Address
from treeward.schemas.device_control import Fault, FaultAdd, FaultClear
from treeward.schemas.events import Event
from treeward.schemas.topology import Topology


class Stack:
    """A running data centre, a connection to it, and every event of its zones so far."""

    def __init__(self, centre: DataCentre, bus: NatsBus) -> None:
        self.centre = centre
        self.bus = bus
        self.url = centre.url
        self.device_file: Path = centre.folder.device
        """The simulator's SQLite file."""
        self.zones = list(centre.layout.topology.zones)
        self.events: list[Logged] = []
        self.answers: dict[tuple[str, int], list[Event]] = {}
        """(zone, ticket) > its outcomes."""

    async def follow(self, zones: Iterable[str]) -> None:
        """Collect the events of these zones, from the first on."""
        for zone in zones:
            await self.bus.read(streams.log(zone), subjects.log_of_zone(zone), 1, self._take, on_lost=_lost)

    def _take(self, stored: Stored) -> None:
        event = Event.model_validate_json(stored.data)
        self.events.append(Logged(stored.position, stored.time_s, event))
        if event.is_outcome and event.ticket is not None:
            self.answers.setdefault((event.zone, event.ticket), []).append(event)

    async def submit(self, address: str, operation: str, spec: dict[str, Any] | None = None, **fields: Any) -> int:
        """Submit a unit; returns its ticket."""
        to = Address.parse(address)
        body = {"operation": operation, **({} if spec is None else {"spec": spec}), **fields}
        receipt = await self.bus.submit(subjects.work(to.zone, to.key), json.dumps(body).encode(), timeout_s=30.0)
        return receipt.ticket

    async def wait_for_outcome(self, zone: str, ticket: int, *, timeout_s: float = 30.0) -> Event:
        """The event that answered a ticket; fails the test if none does in time."""
        await until(lambda: (zone, ticket) in self.answers, f"outcome of {zone}:{ticket}", timeout_s)
        return self.answers[zone, ticket][0]

    async def until(self, condition: Callable[[], object], what: str = "", timeout_s: float = 30.0) -> None:
        """Wait for a condition on what happened; fails the test if it does not hold in time."""
        await until(condition, what, timeout_s)

    def events_of(self, address: str, type_: str | None = None) -> list[Event]:
        """Everything that happened to a resource, in order."""
        to = Address.parse(address)
        return [
            row.event for row in self.events
            if (row.event.zone, row.event.key) == (to.zone, to.key) and type_ in (None, row.event.type)
        ]  # fmt: skip

    def owner_of(self, zone: str, pod: str) -> str:
        """The program (`pod-agent-1`) whose instance the last claim of a pod names; empty: none yet."""
        owners = [event.owner for event in self.events_of(f"{zone}.pod.{pod}", "claimed")]
        return (owners[-1] or "").rpartition("-")[0] if owners else ""

    # --- programs ------------------------------------------------------------------------------------------------

    def process_id(self, name: str) -> int:
        """Of a program that runs."""
        return self.centre.process_ids[name]

    def kill(self, name: str) -> None:
        """SIGKILL; it stays dead until `start`."""
        self.centre.programs[name].kill()

    def start(self, name: str) -> None:
        """Start a program that was killed; with the same name it is another instance."""
        self.centre.programs[name].start()

    def restart(self, name: str) -> None:
        """Kill it and start it at once."""
        self.kill(name)
        self.start(name)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        self.centre.programs[name].pause()

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.centre.programs[name].resume()

    # --- the device and the books --------------------------------------------------------------------------------

    def add_fault(self, **fields: Any) -> int:
        """Let the simulator do what `schemas.device_control.Fault` says; returns the fault's number."""
        faults = ask(self.centre.control, FaultAdd(fault=Fault(**fields))).faults
        assert faults
        return faults[0].number

    def clear_faults(self, number: int | None = None) -> None:
        """One fault, or all, no more; what hangs goes on."""
        ask(self.centre.control, FaultClear(number=number))

    async def books(self) -> Books:
        """Everything that was written down so far, root included."""
        return await read_books(self.bus, [ROOT, *self.zones], [self.device_file])

    async def judge(self) -> Judgement:
        """What the books say; call it when every unit has its outcome."""
        return judge(await self.books())


@asynccontextmanager
async def stack(
    folder: Path,
    *,
    zones: int = 1,
    pods: int = 1,
    hosts: int = 1,
    orchestrators: int = 1,
    zone_supervisors: int = 1,
    pod_agents: int | None = None,
    settings: dict[str, str] | None = None,
    topology: Topology | None = None,
) -> AsyncIterator[Stack]:
    """A data centre whose zones, pods and hosts exist and whose pods are owned; killed at the end, whatever happened.

    Names as in `default_topology`: zone-a, pods a1, a2..., hosts a1-h1 and so on. `settings` are environment variables.
    """
    place = Folder(folder / "data")
    place.open()
    layout = Layout(
        topology or default_topology(zones, pods, hosts), orchestrators, zone_supervisors, pod_agents, settings or {}
    )  # fmt: skip
    centre = DataCentre(place, layout)
    try:
        await centre.start()
        crashes: list[BaseException] = []
        bus = await NatsBus.connect(centre.url, name="test", timeout_s=10.0, crash=crashes.append)
        report = await apply_topology(bus, layout.topology)
        assert report.fine, report
        running = Stack(centre, bus)
        await running.follow(running.zones)
        names = [(zone, pod) for zone, what in layout.topology.zones.items() for pod in what.pods]
        await running.until(lambda: all(running.owner_of(zone, pod) for zone, pod in names), "owner of every pod")
        yield running
        await bus.close()
        assert not crashes
    finally:
        centre.kill()
        place.close()


def _lost() -> None:
    raise AssertionError("the log no longer has what comes next")
