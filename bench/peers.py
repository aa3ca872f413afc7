"""The same workload on what people would use instead: RabbitMQ, and a job queue in PostgreSQL.

Closed loop, 1,000 resources, two units in flight on each, one at a time for each resource, durable, the client, the
worker and the server on this machine. A peer whose server is not installed is skipped, and the report says so.
"""

import asyncio
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.frame.floor import Floor
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site
from treeward.runtime.embedded_nats import free_port

RESOURCES, DEPTH = 1_000, 2
PYTHON = Path(__file__).parents[1] / ".venv-bench" / "bin" / "python"
"""The peers' own clients are not ours to depend on: `make bench` installs them there."""
PEER = Path(__file__).parent / "peer"
READY_S = 60.0
TABLE = "Units a second, closed loop, 1,000 resources"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
HAS_RABBITMQ = RABBITMQ.exists() and shutil.which("epmd") is not None
POSTGRES = next(
    (path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)),
    Path(shutil.which("postgres") or "/nowhere").parent,
)


HAS_CLIENTS = PYTHON.exists()


class MissingError(Exception):
    """A peer cannot be tried here; the message says what is missing."""


@asynccontextmanager
async def running(
    command: list[str], log: Path, *, ready: str, environment: dict[str, str] | None = None
) -> AsyncIterator[int]:
    """A program in a session of its own, from when its log says that it is ready until the end of the block."""
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **(environment or {})},
            start_new_session=True,
        )  # fmt: skip
    try:
        async with asyncio.timeout(READY_S):
            while ready not in await asyncio.to_thread(log.read_text, errors="replace"):
                if process.returncode is not None:
                    raise MissingError(f"{command[0]} ended at once: {(await asyncio.to_thread(log.read_text))[-300:]}")
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, 9)  # its session is its own
                await process.wait()


async def client_says(*arguments: str, seconds: float) -> dict[str, float]:
    """Run a peer's client and read its line."""
    process = await asyncio.create_subprocess_exec(str(PYTHON), *arguments, stdout=subprocess.PIPE)
    async with asyncio.timeout(seconds + 90):
        out, _ = await process.communicate()
    assert process.returncode == 0, f"{arguments[0]} ended with {process.returncode}"
    said: dict[str, float] = json.loads(out.splitlines()[-1])
    return said


async def rabbitmq(folder: Path, seconds: float) -> float:
    """Its server with its own folders and its own port mapper, all on the loopback interface."""
    if not HAS_RABBITMQ:
        raise MissingError("RabbitMQ is not installed (Debian: rabbitmq-server)")
    port, names_port = free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users = none\n")
    (folder / "plugins").write_text("[].\n")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"bench{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "ERL_EPMD_PORT": str(names_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    script = str(PEER / "rabbitmq.py")
    mapper = await asyncio.create_subprocess_exec(
        "epmd", "-address", "127.0.0.1", "-port", str(names_port), start_new_session=True
    )
    try:
        async with (
            running([str(RABBITMQ)], folder / "server.log", ready="completed with", environment=environment),
            running([str(PYTHON), script, "worker", url, str(RESOURCES)], folder / "worker.log", ready="ready"),
        ):
            said = await client_says(script, "client", url, str(RESOURCES), str(DEPTH), str(seconds), seconds=seconds)
    finally:
        if mapper.returncode is None:
            mapper.kill()
        await mapper.wait()
    return said["per_s"]


async def postgres_queue(folder: Path, seconds: float) -> float:
    """Its server with its own folder and its defaults, which are durable; never as root."""
    if not (POSTGRES / "initdb").exists():
        raise MissingError("PostgreSQL is not installed (Debian: postgresql)")
    other: list[str] = []
    if os.geteuid() == 0:
        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            raise MissingError("PostgreSQL refuses to run as root, and there is no account `postgres`") from None
        os.chown(folder, account.pw_uid, account.pw_gid)
        other = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    data, port = folder / "data", free_port()
    made = await asyncio.create_subprocess_exec(
        *other, str(POSTGRES / "initdb"), "-D", str(data), "-U", "bench", "--auth=trust", stdout=subprocess.DEVNULL
    )  # fmt: skip
    if await made.wait():
        raise MissingError("initdb failed")
    server = [
        *other, str(POSTGRES / "postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
        "-c", f"unix_socket_directories={data}", "-c", "max_connections=100",
    ]  # fmt: skip
    conninfo = f"host=127.0.0.1 port={port} user=bench dbname=postgres"
    script = str(PEER / "postgres_queue.py")
    async with (
        running(server, folder.parent / "postgres.log", ready="ready to accept connections"),
        running([str(PYTHON), script, "worker", conninfo], folder.parent / "postgres-worker.log", ready="ready"),
    ):
        said = await client_says(script, "client", conninfo, str(RESOURCES), str(DEPTH), str(seconds), seconds=seconds)
    return said["per_s"]


async def ours(shape: Shape, seconds: float) -> tuple[float, float]:
    """The path, and the floor, in this run."""
    names = ids(RESOURCES)
    with tempfile.TemporaryDirectory(prefix="treeward-floor-") as folder:
        floor = Floor(Path(folder), shape.servers, shape.sync)
        try:
            await floor.start()
            client = await Client.connect(floor.url, "zone-a", floor=True)
            lean = await client.closed(names, CHANGE, seconds, depth=DEPTH)
            client.close()
        finally:
            floor.kill()
    async with site(shape) as place:
        client = await Client.connect(place.urls[0], "zone-a")
        await client.each(names, CREATE)
        path = await client.closed(names, CHANGE, seconds, depth=DEPTH)
        client.check()
        client.close()
    return path.per_s, lean.per_s


def _open_folder(folder: Path) -> Path:
    """A folder for a server that may run under another account."""
    folder.chmod(0o755)
    place = folder / "server"
    place.mkdir()
    return place


async def bench(size: Size, found: Figures) -> None:
    seconds = 4.0 if size is Size.SHORT else 20.0
    for shape in (Shape(), Shape(sync="always")):
        path, lean = await ours(shape, seconds)
        found.row(TABLE, system=f"treeward, whole path, {shape.durability}", per_s=path)
        found.row(TABLE, system=f"floor of raw NATS, {shape.durability}", per_s=lean)
    peers = {
        "RabbitMQ, a queue with single active consumer per resource, confirms": rabbitmq,
        "PostgreSQL, procrastinate, a lock per resource, synchronous commit": postgres_queue,
    }
    for system, run in peers.items():
        with tempfile.TemporaryDirectory(prefix="treeward-peer-") as folder:
            place = await asyncio.to_thread(_open_folder, Path(folder))
            try:
                if not HAS_CLIENTS:
                    raise MissingError("the peers' clients are not installed (`make bench` installs them)")
                found.row(TABLE, system=system, per_s=await run(place, seconds))
            except MissingError as error:
                print(f"  skipped: {error}", file=sys.stderr, flush=True)
                found.notes.append(f"skipped: {system.partition(',')[0]}: {error}")


if __name__ == "__main__":
    main("peers", __doc__, bench)
