"""A data centre to break: every program a process of its own, every link between them one that can be cut."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.link import Link
from tests.faults.servers import NatsServers
from tests.support.until import until

from treeward.bus.interface import BusError
from treeward.bus.nats_bus import NatsBus
from treeward.cli.apply import apply_topology
from treeward.runtime.data_centre.child import Child
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import SIMULATOR, default_topology, service_of
from treeward.runtime.embedded_nats import free_port
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.schemas.topology import Topology

ROLES = ("pod-agent", "zone-supervisor", "orchestrator")
READY_S = 60.0
POLL_S = 0.02
MEND_S = (0.3, 3.0)
"""How long a program that died stays dead, as Kubernetes would have it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything."""

    servers: int = 3
    orchestrators: int = 3
    zone_supervisors: int = 2
    agents: int = 5
    zones: int = 2
    pods: int = 2
    hosts: int = 2
    disk_mib: int = 0
    """Room for the files of each NATS server; 0: all that this machine has."""
    settings: dict[str, str] = field(default_factory=dict)
    """Environment of every service, such as `TREEWARD_CALL_TIMEOUT_S`."""


class Site:
    """All programs by name (`nats-1`, `device-simulator`, `pod-agent-1`, ...), and the links between them."""

    def __init__(self, folder: Path, size: Size, *, seed: int = 1, python: str = sys.executable) -> None:
        self.folder = Folder(folder)
        self.size = size
        self.topology: Topology = default_topology(size.zones, size.pods, size.hosts)
        self.programs: dict[str, Child] = {}
        self.nats_links: dict[str, list[Link]] = {}
        self.device_links: dict[str, Link] = {}
        self.ended: list[tuple[float, str, int]] = []
        """When, who and how: every end of a program that nobody asked for."""
        self._chance = Random(seed)
        self._resting: dict[str, float] = {}
        """Dead programs, and when (loop time) they are started again."""
        self._asked: set[str] = set()
        self._killed: set[str] = set()
        self._device_port, self._control_port = free_port(), free_port()
        self._python = python
        self._commands: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
        """Of each program of ours: module and arguments, and its environment."""

    @property
    def zones(self) -> list[str]:
        """The names of the zones."""
        return list(self.topology.zones)

    @property
    def control(self) -> str:
        """Where the simulator is asked for faults."""
        return f"tcp://127.0.0.1:{self._control_port}"

    def of(self, role: str) -> list[str]:
        """The names of a role's programs."""
        return [name for name in self.programs if service_of(name) == role]

    def runs(self, name: str) -> bool:
        """Whether a program runs, and neither ends nor rests."""
        return name not in self._asked and self.programs[name].process_id is not None

    # --- begin and end -------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start everything and make the topology exist; when it fails or is cancelled, call `close`."""
        self.folder.open()
        self.servers = NatsServers(self.folder.nats, self.folder.logs, self.size.servers, self.size.disk_mib)
        await self.servers.prepare()
        self.programs |= self.servers.programs
        self.programs[SIMULATOR] = self._simulator()
        for name in (*self.servers.names, SIMULATOR):
            self.programs[name].start()
        await self.wait_for_servers()
        await self._wait_for_device()
        bus = await NatsBus.connect(self.servers.urls, name="faults", timeout_s=READY_S)
        try:
            await self._provision(bus)
            for name, own in self._services().items():
                self.programs[name] = await self._service(name, own)
                self.programs[name].start()
            report = await apply_topology(bus, self.topology, quiet_s=READY_S)
            assert report.fine, report.done
        finally:
            await bus.close()

    def close(self) -> None:
        """Kill everything."""
        for name, child in reversed(self.programs.items()):
            if name in self._asked or child.process_id is not None:
                child.kill()
        for links in (*self.nats_links.values(), list(self.device_links.values())):
            for link in links:
                link.close()
        if hasattr(self, "servers"):
            self.servers.close()
        self.folder.close()

    async def end(self) -> list[str]:
        """End the services in order, as an operator would; returns who did not end within 40 s."""
        late: list[str] = []
        for role in ROLES:
            for name in self.of(role):
                self._asked.add(name)
                self.programs[name].ask_to_end()
            give_up_s = time.monotonic() + 40.0
            while any(self.programs[name].process_id is not None for name in self.of(role)):
                if time.monotonic() > give_up_s:
                    late += [name for name in self.of(role) if self.programs[name].process_id is not None]
                    break
                await asyncio.sleep(POLL_S)  # not `until`: who is late is told to the caller, and fails nothing here
        return late

    # --- what happens to programs --------------------------------------------------------------------------------

    def kill(self, name: str, rest_s: float | None = None) -> None:
        """End a program without warning; `mend` starts it again after `rest_s` seconds (none: some)."""
        self._killed.add(name)
        self.programs[name].kill()
        self.rest(name, rest_s)

    def rest(self, name: str, rest_s: float | None = None) -> None:
        """Let a dead program be started again later."""
        pause_s = self._chance.uniform(*MEND_S) if rest_s is None else rest_s
        self._resting[name] = asyncio.get_running_loop().time() + pause_s

    def ask_to_end(self, name: str, *, again: bool = True) -> None:
        """SIGTERM; once it has ended, `mend` starts it again."""
        self._asked.add(name)
        self.programs[name].ask_to_end()
        if not again:
            self._resting[name] = float("inf")

    def install(self, name: str, python: str) -> None:
        """Let a program that has ended run what is installed for another interpreter, from its next start on."""
        self.programs[name] = self._child(name, python)

    def lame_duck(self, name: str) -> None:
        """SIGUSR2 to a NATS server: it sends its clients away, then ends; `mend` starts it again."""
        process_id = self.programs[name].process_id
        if process_id is not None:
            self._asked.add(name)
            os.kill(process_id, signal.SIGUSR2)

    async def mend(self) -> None:
        """Start again what has died, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            for name, child in self.programs.items():
                if child.process_id is not None:
                    continue
                if name not in self._resting:
                    code = child.exit_code
                    # A SIGTERM that comes before a program can hear it ends it as the system does.
                    if name not in self._asked or code not in (0, -signal.SIGTERM):
                        self.ended.append((time.time(), name, -1 if code is None else code))
                    self.rest(name)
                elif self._resting[name] <= loop.time():
                    del self._resting[name]
                    self._asked.discard(name)
                    child.start()
            await asyncio.sleep(POLL_S)  # a duty that has no end: how often it looks who has died

    async def all_run(self, timeout_s: float = READY_S) -> None:
        """Return when every program runs again."""
        await until(lambda: all(self.runs(name) for name in self.programs), "every program runs", timeout_s)
        await self.wait_for_servers()

    async def wait_for_servers(self) -> None:
        """Return when every NATS server takes clients."""
        servers = self.servers
        await until(lambda: all(map(servers.greets, servers.names)), "every NATS server takes clients", READY_S)

    def heal(self) -> None:
        """Mend every link."""
        for links in (*self.nats_links.values(), list(self.device_links.values())):
            for link in links:
                link.heal()
        self.servers.rejoin_all()

    # --- the programs --------------------------------------------------------------------------------------------

    def _services(self) -> Mapping[str, dict[str, str]]:
        pods = [pod for zone in self.topology.zones.values() for pod in zone.pods]
        programs: dict[str, dict[str, str]] = {}
        for role, count in zip(
            ROLES, (self.size.agents, self.size.zone_supervisors, self.size.orchestrators), strict=True
        ):
            for number in range(1, count + 1):
                own = {"TREEWARD_LABELS": f"pod={pods[(number - 1) % len(pods)]}"} if role == "pod-agent" else {}
                programs[f"{role}-{number}"] = own
        return programs

    async def _service(self, name: str, own: Mapping[str, str]) -> Child:
        links = self.nats_links[name] = [Link(port) for port in self.servers.ports.values()]
        device = self.device_links[name] = Link(self._device_port)
        for link in (*links, device):
            await link.start()
        environment = {
            **_clean_environment(),
            "TREEWARD_LOG_FORMAT": "json",
            "TREEWARD_REPLICAS": str(self.size.servers),
            "TREEWARD_NAME": name,
            "TREEWARD_NATS_URL": ",".join(f"nats://127.0.0.1:{link.port}" for link in links),
            "TREEWARD_DEVICE": f"tcp://127.0.0.1:{device.port}",
            **self.size.settings,
            **own,
        }
        self._commands[name] = ((f"treeward.{service_of(name).replace('-', '_')}",), environment)
        return self._child(name, self._python)

    def _simulator(self) -> Child:
        arguments = (
            "--data", str(self.folder.device), "--listen", f"tcp://127.0.0.1:{self._device_port}", "--control",
            self.control, "--seed", "1",
        )  # fmt: skip
        self._commands[SIMULATOR] = (("treeward.device_simulator", *arguments), _clean_environment())
        return self._child(SIMULATOR, self._python)

    def _child(self, name: str, python: str) -> Child:
        arguments, environment = self._commands[name]
        return Child(name, (python, "-P", "-m", *arguments), environment, self.folder.logs / f"{name}.log")

    async def _provision(self, bus: NatsBus) -> None:
        async def done() -> bool:
            try:
                await bus.provision(ROOT, Retention(replicas=self.size.servers))
            except BusError:
                return False  # the servers are still finding one another
            return True

        await until(done, "root has its streams", READY_S)

    async def _wait_for_device(self) -> None:
        async def listens() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._control_port)
            except OSError:
                return False
            writer.close()
            return True

        await until(listens, "the device simulator listens", READY_S)


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("TREEWARD_", "OTEL_"))}
