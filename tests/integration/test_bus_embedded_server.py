"""The nats-server that treeward starts by itself."""

import os
import socket
import urllib.request
from collections.abc import Callable

import pytest

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.embedded_nats import EmbeddedNats, NatsServerError, free_port

Make = Callable[..., EmbeddedNats]


def is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_started_server_accepts_clients_and_a_stopped_one_is_gone(make_server: Make) -> None:
    server = make_server("nats", monitoring_port=free_port())
    assert server.process_id is None
    server.start()
    process_id = server.process_id
    assert process_id is not None
    socket.create_connection(("127.0.0.1", server.port)).close()
    with urllib.request.urlopen(f"http://127.0.0.1:{server.monitoring_port}/healthz") as answer:
        assert answer.status == 200
    with pytest.raises(NatsServerError, match="already running"):
        server.start()
    server.stop()
    server.stop()
    assert server.process_id is None
    assert not is_alive(process_id)


@pytest.mark.parametrize("how", ["stop", "kill", "pause"])
async def test_what_was_acknowledged_is_there_after_a_restart(make_server: Make, how: str) -> None:
    server = make_server("nats", sync_interval="always")
    server.start()
    bus = await NatsBus.connect(server.url, timeout_s=5)
    await bus.streams.api("STREAM.CREATE.S", {"name": "S", "subjects": ["tw.work.s.*.*"]})
    await bus.submit("tw.work.s.vm.v1", b"kept")
    getattr(server, how)()
    server.stop()
    server.start()
    kept = await bus.get("S", 1)
    assert kept is not None
    assert kept.data == b"kept"
    await bus.close()


def test_a_server_that_cannot_start_says_why(make_server: Make) -> None:
    first = make_server("first")
    first.start()
    second = make_server("second", extra="no_such_setting: 1")
    with pytest.raises(NatsServerError, match="no_such_setting"):
        second.start()
    assert second.process_id is None


def test_a_second_server_on_the_same_port_is_not_taken_for_the_first(make_server: Make) -> None:
    first = make_server("first")
    first.start()
    second = make_server("second", port=first.port)
    with pytest.raises(NatsServerError, match="address already in use"):
        second.start()
    assert first.process_id is not None
