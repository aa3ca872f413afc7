"""An installation of the project as its users see it: keys, manifests, the ways in, and the books."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.observer import Observer
from tests.k8s.live.forward import Forward, forwards
from tests.k8s.live.kubectl import Kubectl, KubectlError
from tests.support.credentials import rights_of

from treeward.bus.connection import Credentials
from treeward.bus.nats_bus import NatsBus
from treeward.cli.credentials_folder import CredentialsFolder, User
from treeward.runtime.books import query, read_books
from treeward.runtime.judge import Books

ZONE = "zone-a"
SUBMITTER, LOAD, OPERATOR = "submitter_ci", "submitter_load", "operator"
MEMORY_MIB = 1 << 20


@dataclass(slots=True)
class Site:
    """The cluster, the folder with the keys, and the forwards to the NATS servers and Jaeger."""

    kubectl: Kubectl
    keys: Path
    nats: list[Forward]
    jaeger: Forward

    @property
    def urls(self) -> list[str]:
        """The NATS servers as seen from here."""
        return [f"nats://127.0.0.1:{one.port}" for one in self.nats]

    def login(self, name: str) -> dict[str, Any]:
        """Options of `nats.connect` for a user."""
        inbox = rights_of(self.keys, name).inbox_prefix
        return {"nkeys_seed": str(self.keys / f"{name}.nk"), "inbox_prefix": inbox.encode()}

    def environment(self, name: str) -> dict[str, str]:
        """Settings of the command `treeward` for a user."""
        lines = (self.keys / f"{name}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines) | {"TREEWARD_NATS_URL": ",".join(self.urls)}

    async def bus(self, name: str) -> NatsBus:
        """A connection as a user; the caller closes it."""
        rights = rights_of(self.keys, name)
        return await NatsBus.connect(
            self.urls,
            name=name,
            inbox_prefix=rights.inbox_prefix,
            api_prefix=rights.api_prefix,
            credentials=Credentials(nkey_seed_file=str(self.keys / f"{name}.nk")),
            timeout_s=60.0,
        )

    async def books(self, bus: NatsBus, zones: list[str]) -> Books:
        """Logs and history by NATS, and the simulator's file as it is in its pod."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "device.sqlite"
            file.write_bytes(await self.device_file())
            assert query(file, "PRAGMA integrity_check") == [("ok",)]
            return await read_books(bus, zones, [file])

    async def device_file(self) -> bytes:
        """The simulator's SQLite file, copied by SQLite itself while it is in use."""
        copy = (
            "import pathlib, sqlite3, sys; copy = pathlib.Path('/data/copy.db'); copy.unlink(missing_ok=True); "
            "sqlite3.connect('/data/device.db').execute('VACUUM INTO ?', (str(copy),)); "
            "sys.stdout.buffer.write(copy.read_bytes()); copy.unlink()"
        )
        return await self.kubectl.bytes("exec", "device-simulator-0", "--", "python3", "-c", copy, timeout_s=300)

    async def memory_mib(self) -> dict[str, float]:
        """Working set of each pod, as its kubelet says."""
        found: dict[str, float] = {}
        for node in {pod["spec"]["nodeName"] for pod in await self.kubectl.items("pods")}:
            summary = await self.kubectl.bytes("get", "--raw", f"/api/v1/nodes/{node}/proxy/stats/summary")
            for pod in _json(summary)["pods"]:
                if pod["podRef"]["namespace"] == self.kubectl.namespace and "workingSetBytes" in pod.get("memory", {}):
                    found[pod["podRef"]["name"]] = pod["memory"]["workingSetBytes"] / MEMORY_MIB
        return dict(sorted(found.items()))


def make_keys(folder: Path) -> None:
    """Keys for zone-a, two who submit and one who reads; what is there already stays."""
    here = CredentialsFolder(folder)
    if (folder / "users.json").exists():
        return
    here.make([ZONE])
    here.add(User(role="submitter", name="ci", addresses=("zone-a.vm.*", "zone-a.volume.data")))
    here.add(User(role="submitter", name="load", addresses=("zone-a.vm.*", "zone-a.volume.*")))
    here.add(User(role="reader", name="audit", zones=(ZONE,)))


async def treeward(*arguments: str, environment: dict[str, str]) -> tuple[int, str]:
    """Run the command `treeward`; its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        "env",
        *(f"{key}={value}" for key, value in environment.items()),
        ".venv/bin/treeward",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace").strip()


@asynccontextmanager
async def site(kubectl: Kubectl, keys: Path) -> AsyncIterator[Site]:
    """The ways in, closed at the end."""
    servers = sorted(pod["metadata"]["name"] for pod in await kubectl.pods("nats"))
    if not servers:
        raise KubectlError("no NATS server runs")
    wanted = [(f"pod/{name}", 4222, True) for name in servers]
    async with forwards(kubectl, *wanted, ("service/jaeger", 16686, False)) as (*nats, jaeger):
        yield Site(kubectl, keys, nats, jaeger)


@asynccontextmanager
async def watched(bus: NatsBus) -> AsyncIterator[Observer]:
    """Somebody who follows the logs."""
    observer = Observer(bus, [ZONE])
    await observer.start()
    try:
        yield observer
    finally:
        await observer.close()


def _json(data: bytes) -> Any:
    import json

    return json.loads(data)
