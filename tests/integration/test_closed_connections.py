"""Servers report closed connections: a supervisor hears of a death at once, and takes no reconnect for one."""

import asyncio
import os
import signal
import subprocess
import sys

from tests.support.contexts import context_of
from tests.support.until import until

from treeward.bus.nats_bus import NatsBus
from treeward.runtime import codec
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.runtime.presence import listen_to_closed
from treeward.schemas import subjects
from treeward.telemetry import names

CLIENT = """
import asyncio, sys
from treeward.bus.nats_bus import NatsBus

async def main() -> None:
    await NatsBus.connect(sys.argv[1], name="agent-1", timeout_s=20)
    print("connected", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def listening(server: EmbeddedNats, name: str) -> tuple[NatsBus, list[str | None]]:
    bus = await NatsBus.connect(server.url, name=name, timeout_s=20)
    heard: list[str | None] = []
    await bus.subscribe(subjects.ALL_CLOSED, lambda _, data, __: heard.append(codec.closed_connection_of(data)))
    assert await bus.request("tw.nobody", b"", timeout_s=5.0) is None  # the server knows of the subscription
    return bus, heard


async def test_a_killed_program_is_reported_by_its_name(nats_server: EmbeddedNats) -> None:
    bus, heard = await listening(nats_server, "supervisor-1")
    client = await asyncio.create_subprocess_exec(sys.executable, "-c", CLIENT, nats_server.url, stdout=subprocess.PIPE)
    assert client.stdout is not None and await client.stdout.readline() == b"connected\n"
    os.kill(client.pid, signal.SIGKILL)
    await client.wait()
    await until(lambda: heard == ["agent-1"])
    await bus.close()


async def test_a_cut_connection_is_reported_and_its_program_is_back(nats_server: EmbeddedNats) -> None:
    bus, heard = await listening(nats_server, "supervisor-1")
    other = await NatsBus.connect(nats_server.url, name="agent-1", timeout_s=20)
    other.connection._cut()
    await until(lambda: heard == ["agent-1"])
    await until(lambda: other.connected)
    await bus.close()
    await other.close()


async def test_what_is_reported_is_told_to_the_supervisor_and_counted(nats_server: EmbeddedNats) -> None:
    bus, _ = await listening(nats_server, "supervisor-1")
    context, closed = context_of(bus, "zone-supervisor", "supervisor-1"), list[str]()
    await listen_to_closed(context, lambda instance, _now_s: closed.append(instance))
    assert await bus.request("tw.nobody", b"", timeout_s=5.0) is None  # the server knows of the subscription
    other = await NatsBus.connect(nats_server.url, name="agent-1", timeout_s=20)
    await other.close()
    await until(lambda: closed == ["agent-1"])
    assert context.metrics.counter(names.CLOSED_CONNECTIONS).total == 1
    await bus.close()


async def test_what_a_server_says_as_it_shuts_down_is_nobodys_death() -> None:
    report = '{"type":"io.nats.server.advisory.v1.client_disconnect","client":{"name":"agent-1"},"reason":"%s"}'
    assert codec.closed_connection_of((report % "Client Closed").encode()) == "agent-1"
    assert codec.closed_connection_of((report % "Server Shutdown").encode()) is None
    assert codec.closed_connection_of(b"{}") is None
