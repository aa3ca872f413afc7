"""Fixtures of the tests that need a real nats-server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.faults.servers import NatsServers
from tests.support.nats_server import make_server, nats_cluster, nats_server
from tests.support.proxy import Proxy, proxied
from tests.support.two_buses import carry_out
from tests.support.until import until

from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas.streams import Retention

__all__ = ["carry_out", "make_server", "nats_cluster", "nats_server"]


@pytest.fixture
async def bus(nats_server: EmbeddedNats) -> AsyncIterator[NatsBus]:
    """A connection to a server on which zone-a has been provisioned; an exception out of a callback fails the test."""
    crashes: list[BaseException] = []
    bus = await NatsBus.connect(nats_server.url, timeout_s=10, crash=crashes.append)
    await provision(bus, "zone-a", Retention())
    yield bus
    await bus.close()
    assert not crashes


@pytest.fixture
async def proxy(nats_server: EmbeddedNats) -> AsyncIterator[Proxy]:
    """A proxy in front of the server."""
    async with proxied(nats_server.port) as proxy:
        yield proxy


@pytest.fixture
async def far_bus(bus: NatsBus, proxy: Proxy) -> AsyncIterator[NatsBus]:
    """A connection through the proxy, to the server on which `bus` has provisioned zone-a."""
    crashes: list[BaseException] = []
    far = await NatsBus.connect(proxy.url, timeout_s=10, crash=crashes.append)
    yield far
    proxy.heal()
    await far.close()
    assert not crashes


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsServers]:
    """Three servers, each of which can be killed, and cut off from the others by its routes."""
    servers = NatsServers(tmp_path, tmp_path, 3)
    await servers.prepare()
    try:
        for program in servers.programs.values():
            program.start()
        await until(lambda: all(servers.greets(name) for name in servers.names))
        yield servers
    finally:
        for program in servers.programs.values():
            program.kill()
        servers.close()
