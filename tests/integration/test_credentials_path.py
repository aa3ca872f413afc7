"""A data centre of real processes, each with its own credentials; and one that is told too much."""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from tests.support.credentials import accounts_of, connected_as
from tests.support.until import until

from treeward.cli.apply import apply_topology
from treeward.cli.credentials_folder import CredentialsFolder, User
from treeward.runtime.data_centre.layout import default_topology
from treeward.runtime.embedded_nats import ClusterMember, EmbeddedNats, free_port
from treeward.schemas import subjects
from treeward.schemas.address import ROOT
from treeward.schemas.events import Event
from treeward.schemas.streams import Retention

SCRIPTS = Path(sysconfig.get_path("scripts"))


@contextmanager
def program(folder: Path, name: str, **settings: str) -> Iterator[int]:
    """A service as a process; yields its HTTP port and kills it in the end."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TREEWARD_")}
    environment |= {"TREEWARD_HTTP_PORT": str(port), "TREEWARD_LOG_FORMAT": "json", **settings}
    with (folder / f"{name}-{port}.log").open("wb") as log:
        process = subprocess.Popen([str(SCRIPTS / f"treeward-{name}")], env=environment, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def settings_of(folder: Path, name: str, url: str) -> dict[str, str]:
    """What `treeward credentials` says a program should be told."""
    lines = (folder / f"{name}.env").read_text().splitlines()
    return {"TREEWARD_NATS_URL": url, **dict(line.split("=", 1) for line in lines)}


def fetch(port: int, path: str) -> str:
    """What the program says on its port, whatever the status; empty: it does not listen yet."""
    process = subprocess.run(
        [sys.executable, "-c", _FETCH, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=False
    )
    return process.stdout


_FETCH = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode())
except urllib.error.HTTPError as error:
    print(error.read().decode())
except OSError:
    pass
"""


@asynccontextmanager
async def site(
    tmp_path: Path, servers: list[EmbeddedNats], folder: Path, replicas: int, tls: Path | None = None
) -> AsyncIterator[str]:
    """The servers with credentials for zone-a, and root's streams; with `tls` clients must be encrypted."""
    for server in servers:
        server.accounts = accounts_of(folder)
        if tls is not None:
            server.extra += f'tls {{ cert_file: "{tls / "tls.crt"}", key_file: "{tls / "tls.key"}" }}\n'
        server.start()
    try:
        urls = [server.url if tls is None else server.url.replace("nats://", "tls://") for server in servers]
        async with connected_as(urls[0], folder, "bootstrap", tls=tls) as bus:
            await bus.provision(ROOT, Retention(replicas=replicas))
            assert bus.violation is None
        yield ",".join(urls)
    finally:
        for server in servers:
            server.kill()


def credentials(tmp_path: Path) -> Path:
    folder = tmp_path / "credentials"
    here = CredentialsFolder(folder)
    here.make(["zone-a"])
    here.add(User(role="submitter", name="ci", addresses=("zone-a.vm.*",)))
    return folder


def servers_of(tmp_path: Path, count: int) -> list[EmbeddedNats]:
    if count == 1:
        return [EmbeddedNats(tmp_path / "nats")]
    ports = tuple(free_port() for _ in range(count))
    return [
        EmbeddedNats(tmp_path / f"nats-{n}", name=f"nats-{n}", cluster=ClusterMember("treeward", port, ports))
        for n, port in enumerate(ports, start=1)
    ]


def certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that is its own authority; skips the test where there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the test's certificate")
    subject = ["-subj", "/CN=treeward-test", "-addext", "subjectAltName=IP:127.0.0.1"]
    keys = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(folder / "tls.key")]
    command = ["openssl", "req", "-x509", *keys, "-out", str(folder / "tls.crt"), "-days", "1", *subject]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("replicas", "encrypted"), [(1, False), (3, False), (1, True)])
async def test_a_vm_is_created_and_destroyed_by_services_with_least_privilege(
    tmp_path: Path, replicas: int, encrypted: bool
) -> None:
    folder = credentials(tmp_path)
    tls = certificate(tmp_path) if encrypted else None
    device = f"tcp://127.0.0.1:{free_port()}"
    async with site(tmp_path, servers_of(tmp_path, replicas), folder, replicas, tls) as url:
        simulator = {"TREEWARD_DEVICE_DATA": str(tmp_path / "device.db"), "TREEWARD_DEVICE_LISTEN": device}
        names = ("orchestrator", "zone-supervisor", "pod-agent")
        users = ("orchestrator", "zone-supervisor_zone-a", "pod-agent_zone-a")
        settings = {name: settings_of(folder, user, url) for name, user in zip(names, users, strict=True)}
        if tls is not None:
            settings = {
                name: {**own, "TREEWARD_NATS_TLS_CA_FILE": str(tls / "tls.crt")} for name, own in settings.items()
            }
        settings["orchestrator"]["TREEWARD_REPLICAS"] = str(replicas)
        settings["pod-agent"]["TREEWARD_DEVICE"] = device
        with (
            program(tmp_path, "device-simulator", **simulator),
            program(tmp_path, "orchestrator", **settings["orchestrator"]) as orchestrator,
            program(tmp_path, "zone-supervisor", **settings["zone-supervisor"]) as supervisor,
            program(tmp_path, "pod-agent", **settings["pod-agent"]) as agent,
        ):
            first = url.split(",")[0]
            async with (
                connected_as(first, folder, "operator", tls=tls) as operator,
                connected_as(first, folder, "submitter_ci", tls=tls) as submitter,
            ):
                report = await apply_topology(operator, default_topology(1, 1, 1))
                assert report.fine, report
                events: list[Event] = []

                def take(subject: str, data: bytes, *_: object) -> None:
                    events.append(Event.model_validate_json(data))

                await submitter.subscribe("tw.event.zone-a.vm.*.*", take)
                subject = subjects.work("zone-a", "vm.web-1")
                body = b'{"operation":"create","spec":{"cpus":2,"memory_mib":512}}'
                created = await submitter.submit(subject, body, timeout_s=30.0)
                destroyed = await submitter.submit(subject, b'{"operation":"destroy"}', timeout_s=30.0)
                await until(lambda: [e for e in events if e.ticket == destroyed.ticket], "the end of the VM")
                outcomes = [(event.ticket, event.type.value) for event in events if event.is_outcome]
                assert outcomes == [(created.ticket, "completed"), (destroyed.ticket, "completed")]
                answer = await operator.request(subjects.api("state", "zone-a"), b"{}", timeout_s=5.0)
                assert answer is not None and b"zone-a" in answer
                question = b'{"resource":"vm.web-1"}'
                assert await operator.request(subjects.api("explain", "zone-a"), question, timeout_s=5.0) is not None
                assert operator.violation is None and submitter.violation is None
            for port in (orchestrator, supervisor, agent):
                ready = await asyncio.to_thread(fetch, port, "/readyz")
                assert '"permissions":"ok"' in ready and '"ready":true' in ready, ready
                metrics = await asyncio.to_thread(fetch, port, "/metrics")
                assert "treeward_permission_violations_total 0.0" in metrics


async def test_a_program_that_is_denied_something_says_so_and_is_not_ready(tmp_path: Path) -> None:
    """An agent of zone-a with no zone named wants the claims of every zone, and to look at root's log."""
    folder = credentials(tmp_path)
    async with site(tmp_path, servers_of(tmp_path, 1), folder, 1) as url:
        settings = settings_of(folder, "pod-agent_zone-a", url)
        del settings["TREEWARD_ZONE"]
        with program(tmp_path, "pod-agent", **settings) as port:
            ready = ""
            async with asyncio.timeout(30.0):
                while "violation" not in ready:
                    ready = await asyncio.to_thread(fetch, port, "/readyz")
            assert '"ready":false' in ready
            written = tmp_path / f"pod-agent-{port}.log"
            await until(lambda: "tw.event.*.pod.*.claimed" in written.read_text())
            metrics = await asyncio.to_thread(fetch, port, "/metrics")
            assert re.search(r"^treeward_permission_violations_total [1-9]", metrics, re.MULTILINE), metrics
            assert '"alive":true' in await asyncio.to_thread(fetch, port, "/livez")
            log = (tmp_path / f"pod-agent-{port}.log").read_text()
            assert "NATS refused for lack of permission" in log


async def test_a_key_is_replaced_while_the_old_one_is_in_use(tmp_path: Path) -> None:
    folder = credentials(tmp_path)
    here = CredentialsFolder(folder)
    servers = servers_of(tmp_path, 1)
    async with site(tmp_path, servers, folder, 1) as url, connected_as(url, folder, "operator") as old:
        here.rotate("operator", finish=False)
        _reload(servers[0], folder)
        async with connected_as(url, folder, "operator") as new:
            assert await new.state("LOG_root") is not None
            assert old.connected and await old.state("LOG_root") is not None
            here.rotate("operator", finish=True)
            _reload(servers[0], folder)
            await until(lambda: not old.connected, "the old key is valid no longer")
            assert await new.state("LOG_root") is not None


async def test_a_user_who_is_refused_tries_on_until_the_server_knows_it(tmp_path: Path) -> None:
    folder = credentials(tmp_path)
    here = CredentialsFolder(folder)
    server = servers_of(tmp_path, 1)[0]
    async with site(tmp_path, [server], folder, 1) as url:
        here.rotate("operator", finish=False)
        async with asyncio.TaskGroup() as tasks:
            refused = tasks.create_task(_state_as(url, folder, "operator"))
            log = server.directory / "nats-server.log"
            await until(lambda: log.read_text().count("authentication error") >= 2, "the new key is refused", 20.0)
            assert not refused.done()
            _reload(server, folder)
        assert refused.result() is not None


async def _state_as(url: str, folder: Path, name: str) -> object:
    async with connected_as(url, folder, name) as bus:
        return await bus.state("LOG_root")


def _reload(server: EmbeddedNats, folder: Path) -> None:
    server.accounts = accounts_of(folder)
    (server.directory / "nats-server.conf").write_text(server.configuration())
    assert server.process_id is not None
    os.kill(server.process_id, signal.SIGHUP)
