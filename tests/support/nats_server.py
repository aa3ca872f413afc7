"""Fixtures of real nats-servers: one alone, and three as a cluster. Each has its own port, files and process."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from treeward.runtime.embedded_nats import ClusterMember, EmbeddedNats, free_port


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """A fresh server, stopped after the test, whatever state the test left it in."""
    server = EmbeddedNats(tmp_path / "nats")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Callable[..., EmbeddedNats]]:
    """Makes further servers, by name; all are stopped after the test, also after one that failed."""
    made: list[EmbeddedNats] = []

    def make(name: str, **settings: Any) -> EmbeddedNats:
        made.append(EmbeddedNats(tmp_path / name, **settings))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def nats_cluster(tmp_path: Path) -> Iterator[list[EmbeddedNats]]:
    """Three servers that form a cluster and write every acknowledged message through to the disk."""
    ports = tuple(free_port() for _ in range(3))
    servers = [
        EmbeddedNats(
            tmp_path / f"nats-{number}",
            name=f"nats-{number}",
            sync_interval="always",
            cluster=ClusterMember("treeward", port, ports),
        )
        for number, port in enumerate(ports, start=1)
    ]
    for server in servers:
        server.start()
    yield servers
    for server in servers:
        server.kill()
