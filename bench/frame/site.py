"""Servers and services as processes on this machine, and what each of them costs.

    async with site(Shape(servers=3, sync="always")) as place:
        before = place.usage()
        ...
        spent = place.usage() - before     # CPU seconds by role

Everything listens on the loopback interface, lives in a temporary folder, and is killed by its process id at the end.
"""

import asyncio
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from treeward.bus.interface import BusError
from treeward.bus.nats_bus import NatsBus
from treeward.cli.apply import apply_topology
from treeward.runtime.data_centre.child import Child, leashed
from treeward.runtime.data_centre.layout import service_of
from treeward.runtime.embedded_nats import ClusterMember, EmbeddedNats, free_port
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone

READY_S = 60.0
POLL_S = 0.02
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
HOST = TopologyHost(cpus=1e9, memory_mib=2**40, disk_gib=2**30)
"""Room for whatever a benchmark places."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What runs."""

    servers: int = 1
    sync: str = "2m"
    """`sync_interval` of the servers: `2m` is their default, `always` syncs before each acknowledgement."""
    zones: int = 1
    pods: int = 1
    hosts: int = 1
    """In each pod."""
    orchestrators: int = 1
    zone_supervisors: int = 1
    agents: int | None = None
    """None: one for each pod."""
    simulator: bool = False
    """The device simulator as a process; otherwise the agents have a device that does nothing."""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def durability(self) -> str:
        """In words, for the report."""
        copies = "one server" if self.servers == 1 else f"{self.servers} servers, {self.servers} replicas"
        return f"{copies}, sync_interval {'default (2 min)' if self.sync == '2m' else self.sync}"

    def topology(self) -> Topology:
        """Zones `zone-a`..., pods `a1`..., hosts large enough for everything with the label `pod`."""
        letters = "abcdefghijklmnop"[: self.zones]
        zones = {}
        for x in letters:
            pods = {}
            for pod in (f"{x}{n}" for n in range(1, self.pods + 1)):
                host = HOST.model_copy(update={"labels": {"pod": pod}})
                pods[pod] = TopologyPod(hosts={f"{pod}-h{n}": host for n in range(1, self.hosts + 1)})
            zones[f"zone-{x}"] = TopologyZone(pods=pods)
        return Topology(zones=zones)


class Servers:
    """One NATS server or a cluster of three."""

    def __init__(self, folder: Path, count: int, sync: str, name: str = "bench") -> None:
        ports = tuple(free_port() for _ in range(count))
        self.members = [
            EmbeddedNats(
                folder / f"{name}-{number}", name=f"{name}-{number}", sync_interval=sync, command_prefix=leashed(),
                cluster=ClusterMember(name, port, ports) if count > 1 else None,
            )
            for number, port in enumerate(ports, 1)
        ]  # fmt: skip

    @property
    def urls(self) -> list[str]:
        return [member.url for member in self.members]

    def start(self) -> None:
        for member in self.members:
            member.start(ready_s=READY_S)

    def kill(self) -> None:
        for member in self.members:
            member.kill()


class Site:
    """Running programs by name: `nats-1`, `orchestrator-1`, `zone-supervisor-1`, `pod-agent-1`, `device-simulator`."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        self.folder = folder
        self.shape = shape
        self.servers = Servers(folder, shape.servers, shape.sync)
        self.topology = shape.topology()
        self.zones = list(self.topology.zones)
        self.device_port, self.control_port = free_port(), free_port()
        self.programs: dict[str, Child] = {}

    @property
    def urls(self) -> list[str]:
        return self.servers.urls

    async def start(self) -> None:
        self.servers.start()
        if self.shape.simulator:
            self._simulator().start()
        bus = await NatsBus.connect(self.urls, name="bench", timeout_s=READY_S)
        try:
            await self._provision(bus)
            for name, own in self._services().items():
                self.programs[name] = self._service(name, own)
                self.programs[name].start()
            report = await apply_topology(bus, self.topology, quiet_s=READY_S)
            assert report.fine, report.done
        finally:
            await bus.close()

    def kill(self) -> None:
        for child in reversed(self.programs.values()):
            child.kill()
        self.servers.kill()

    def process_ids(self) -> dict[str, int]:
        found = {name: child.process_id for name, child in self.programs.items()}
        found |= {f"nats-{number}": member.process_id for number, member in enumerate(self.servers.members, 1)}
        return {name: process_id for name, process_id in found.items() if process_id is not None}

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds spent so far, by role; `client` is this process."""
        spent: dict[str, float] = defaultdict(float)
        for name, process_id in self.process_ids().items():
            spent[role_of(name)] += cpu_s_of(process_id)
        spent["client"] = cpu_s_of(os.getpid())
        return dict(spent)

    def resident_bytes(self, *, by_role: bool = True) -> dict[str, int]:
        """Resident memory, of all programs of a role together or of each program."""
        resident: dict[str, int] = defaultdict(int)
        for name, process_id in self.process_ids().items():
            resident[role_of(name) if by_role else name] += resident_of(process_id)
        return dict(resident)

    async def _provision(self, bus: NatsBus) -> None:
        async with asyncio.timeout(READY_S):
            while True:
                try:
                    await bus.provision(ROOT, Retention(replicas=self.shape.servers))
                    return
                except BusError:  # the servers are still finding one another
                    await asyncio.sleep(0.2)

    def _simulator(self) -> Child:
        self.programs["device-simulator"] = child = self._child(
            "device-simulator", "treeward.device_simulator", environment(),
            "--data", str(self.folder / "device.sqlite"), "--listen", f"tcp://127.0.0.1:{self.device_port}",
            "--control", f"tcp://127.0.0.1:{self.control_port}",
        )  # fmt: skip
        return child

    def _services(self) -> dict[str, dict[str, str]]:
        pods = [pod for zone in self.topology.zones.values() for pod in zone.pods]
        counts = {
            "orchestrator": self.shape.orchestrators,
            "zone-supervisor": self.shape.zone_supervisors,
            "pod-agent": len(pods) if self.shape.agents is None else self.shape.agents,
        }
        own = {f"pod-agent-{n}": {"TREEWARD_LABELS": f"pod={pod}"} for n, pod in enumerate(pods, 1)}
        names = [f"{role}-{number}" for role, count in counts.items() for number in range(1, count + 1)]
        return {name: own.get(name, {}) for name in names}

    def _service(self, name: str, own: dict[str, str]) -> Child:
        role = service_of(name)
        module = f"treeward.{role.replace('-', '_')}"
        if role == "pod-agent" and not self.shape.simulator:
            module = "bench.frame.no_device"
        known = {
            "TREEWARD_LOG_FORMAT": "json",
            "TREEWARD_REPLICAS": str(self.shape.servers),
            "TREEWARD_NAME": name,
            "TREEWARD_NATS_URL": ",".join(self.urls),
            "TREEWARD_DEVICE": f"tcp://127.0.0.1:{self.device_port}",
        }
        if not self.shape.simulator:  # a device that remembers nothing has not drifted
            known["TREEWARD_BACKGROUND_SYNCHRONIZATION_S"] = "0"
        return self._child(name, module, {**environment(), **known, **self.shape.settings, **own})

    def _child(self, name: str, module: str, variables: dict[str, str], *arguments: str) -> Child:
        return Child(name, (sys.executable, "-m", module, *arguments), variables, self.folder / f"{name}.log")


def environment() -> dict[str, str]:
    """Ours, but nothing that would lead a program elsewhere; `bench` itself must be found."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TREEWARD_", "OTEL_"))}
    paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


def role_of(name: str) -> str:
    """`pod-agent` of `pod-agent-2`."""
    return "nats-server" if name.startswith("nats-") else service_of(name)


def cpu_s_of(process_id: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_of(process_id: int) -> int:
    """Resident memory of a process, in bytes."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * PAGE_BYTES


@asynccontextmanager
async def site(shape: Shape) -> AsyncIterator[Site]:
    """A running site whose zones and pods exist and are owned; killed at the end, whatever happened."""
    with tempfile.TemporaryDirectory(prefix="treeward-bench-") as folder:
        place = Site(Path(folder), shape)
        try:
            await place.start()
            yield place
        finally:
            place.kill()
