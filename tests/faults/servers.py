"""NATS servers as programs, one alone or three as a cluster whose routes can be cut."""

import json
import os
import socket
from collections import Counter
from pathlib import Path

from tests.faults.disk import Disk
from tests.faults.link import Link

from treeward.bus.accounts import plain_accounts
from treeward.runtime.data_centre.child import Child
from treeward.runtime.embedded_nats import free_port, server_binary

CLUSTER = "faults"


class NatsServers:
    """The servers `nats-1`..., each with a port for clients that stays the same; every route is a link of its own."""

    def __init__(self, directory: Path, logs: Path, count: int, disk_mib: int = 0) -> None:
        self.names = [f"nats-{number}" for number in range(1, count + 1)]
        self.ports = {name: free_port() for name in self.names}
        self.programs: dict[str, Child] = {}
        self.disks: dict[str, Disk] = {}
        """Of each server, if `disk_mib` says how large; else all are on that of this machine."""
        self._isolated: Counter[str] = Counter()
        """How often each is cut off just now: faults overlap."""
        self._disk_mib = disk_mib
        self._directory = directory
        self._logs = logs
        self._route_ports = {name: free_port() for name in self.names}
        self.routes: dict[tuple[str, str], Link] = {
            (here, there): Link(self._route_ports[there])
            for here in self.names
            for there in self.names
            if here != there
        }
        """From whom to whom."""

    @property
    def urls(self) -> list[str]:
        """Where clients reach the servers directly."""
        return [f"nats://127.0.0.1:{port}" for port in self.ports.values()]

    async def prepare(self) -> None:
        """Open the routes and write the configurations; nothing runs yet. Raises NoMountError, if disks were wanted."""
        for link in self.routes.values():
            await link.start()
        for name in self.names:
            directory = self._directory / name
            directory.mkdir(parents=True, exist_ok=True)
            if self._disk_mib:
                self.disks[name] = Disk(directory / "jetstream", self._disk_mib)
            path = directory / "nats-server.conf"
            path.write_text(self._configuration(name, directory))
            command = (server_binary(), "-c", str(path))
            self.programs[name] = Child(name, command, os.environ, self._logs / f"{name}.log")

    def isolate(self, name: str) -> None:
        """Cut a server off from the others; clients still reach it. Each call takes a `rejoin` of its own."""
        self._isolated[name] += 1
        for pair, link in self.routes.items():
            if name in pair:
                link.cut()

    def rejoin(self, name: str) -> None:
        """Mend its routes to all that are not cut off as well; what was held is lost with the connections."""
        self._isolated[name] -= 1
        for pair, link in self.routes.items():
            if name in pair and not any(self._isolated[end] for end in pair):
                link.heal(reset=True)

    def rejoin_all(self) -> None:
        """Mend every route."""
        self._isolated.clear()
        for link in self.routes.values():
            link.heal(reset=True)

    def close(self) -> None:
        """End the routes, and give the disks back."""
        for link in self.routes.values():
            link.close()
        for disk in self.disks.values():
            disk.close()

    def greets(self, name: str) -> bool:
        """Whether it takes clients and has JetStream; asks over the loopback interface, which takes no time."""
        try:
            with (
                socket.create_connection(("127.0.0.1", self.ports[name]), timeout=0.2) as link,
                link.makefile("rb") as lines,
            ):
                greeting = lines.readline()
        except OSError:
            return False
        return greeting.startswith(b"INFO ") and bool(json.loads(greeting[5:]).get("jetstream"))

    def _configuration(self, name: str, directory: Path) -> str:
        lines = [
            f"server_name: {name}",
            f'listen: "127.0.0.1:{self.ports[name]}"',
            "max_payload: 8388608",
            "feature_flags { js_ack_fc_v2: false }",
            'lame_duck_duration: "30s"',
            'lame_duck_grace_period: "1s"',
            f"jetstream {{ store_dir: {json.dumps(str(directory / 'jetstream'))}, sync_interval: always }}",
        ]
        if len(self.names) > 1:
            routes = ", ".join(
                f'"nats-route://127.0.0.1:{link.port}"' for (here, _), link in self.routes.items() if here == name
            )
            # Clients must not learn the servers' own ports, nor servers those of the others' routes: they would go past
            # the links that are cut. Nobody listens at port 1.
            lines.append(
                f'cluster {{ name: {CLUSTER}, listen: "127.0.0.1:{self._route_ports[name]}", '
                f'no_advertise: true, advertise: "127.0.0.1:1", pool_size: -1, routes: [{routes}] }}'
            )
        return "\n".join([*lines, "" if os.environ.get("FAULTS_WITHOUT_REPORTS") else plain_accounts(), ""])
