"""One connection that comes back by itself, and core messages over it."""

import asyncio
import contextlib
import inspect
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import uvloop
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from tests.support.proxy import Proxy
from tests.support.until import until

from treeward.bus.connection import Credentials
from treeward.bus.interface import BusUnavailableError
from treeward.bus.nats_bus import NatsBus
from treeward.runtime.embedded_nats import EmbeddedNats

PERMISSIONS = """
authorization { users = [
  { user: "admin", password: "a" }
  { user: "guest", password: "g", permissions: { publish: ["tw.free", "_INBOX.>"], subscribe: ["_INBOX.guest.>"] } }
] }
"""


async def test_core_messages_and_requests(bus: NatsBus) -> None:
    heard: list[tuple[str, bytes, Mapping[str, str] | None]] = []
    subscription = await bus.subscribe("tw.presence.*.*", lambda *message: heard.append(message))
    bus.publish("tw.presence.pod-agent.a", b"1", {"k": "v"})
    bus.publish("tw.presence.pod-agent.b", b"2")
    await until(lambda: len(heard) == 2)
    assert heard == [("tw.presence.pod-agent.a", b"1", {"k": "v"}), ("tw.presence.pod-agent.b", b"2", None)]
    await subscription.close()

    async def answer(subject: str, data: bytes) -> bytes:
        bus.publish("tw.presence.pod-agent.a", b"nobody listens")
        return subject.encode() + b" " + data

    serving = await bus.serve("tw.api.get.*", answer)
    assert await bus.request("tw.api.get.zone-a", b"?", timeout_s=5) == b"tw.api.get.zone-a ?"
    await serving.close()
    assert await bus.request("tw.api.get.zone-a", b"?", timeout_s=60) is None
    assert len(heard) == 2


async def test_nobody_waits_for_an_answer_that_cannot_come(bus: NatsBus, nats_server: EmbeddedNats) -> None:
    await bus.serve("tw.api.get.*", lambda _subject, _data: asyncio.Future())
    asking = [asyncio.create_task(bus.request("tw.api.get.zone-a", b"?", timeout_s=600)) for _ in range(100)]
    await until(lambda: len(bus.requests._open) == 100)
    nats_server.kill()
    assert await asyncio.gather(*asking) == [None] * 100
    assert await bus.request("tw.api.get.zone-a", b"?", timeout_s=600) is None
    assert not bus.requests._open


async def test_subscriptions_survive_a_restart_also_those_made_while_the_server_was_away(
    bus: NatsBus, nats_server: EmbeddedNats
) -> None:
    heard: list[str] = []
    states: list[bool] = []
    bus.on_connection(states.append)
    await bus.subscribe("tw.before", lambda subject, _data, _headers: heard.append(subject))
    nats_server.kill()
    await until(lambda: not bus.connected)
    await bus.subscribe("tw.meanwhile", lambda subject, _data, _headers: heard.append(subject))
    bus.publish("tw.before", b"dropped, not sent later")
    await asyncio.to_thread(nats_server.start)
    await until(lambda: bus.connected)
    bus.publish("tw.before", b"")
    bus.publish("tw.meanwhile", b"")
    await until(lambda: len(heard) == 2)
    assert heard == ["tw.before", "tw.meanwhile"]
    assert states == [False, True]


async def test_a_subscription_made_just_after_the_others_were_replayed_is_not_forgotten(
    bus: NatsBus, nats_server: EmbeddedNats
) -> None:
    heard: list[str] = []
    client = bus.connection._client
    nats_server.kill()
    await until(lambda: not bus.connected)
    starting = asyncio.create_task(asyncio.to_thread(nats_server.start))
    while not client.is_connected:
        await asyncio.sleep(0)  # looked at in each turn of the loop: `until` would come when we have been told
    assert not bus.connected, "nats-py is connected and has replayed, and we have not been told"
    await bus.subscribe("tw.meanwhile", lambda subject, _data, _headers: heard.append(subject))
    await until(lambda: bus.connected)
    bus.publish("tw.meanwhile", b"")
    await until(lambda: heard)
    await starting


async def test_a_half_open_link_with_unsent_writes_is_left_for_another_server(
    nats_server: EmbeddedNats, make_server: Callable[..., EmbeddedNats]
) -> None:
    """The server is frozen and its receive window full: closing the link would wait for writes that never drain."""
    other = make_server("other")
    other.start()
    bus = await NatsBus.connect([nats_server.url, other.url], timeout_s=5)
    url = bus.connection._client.connected_url
    assert url is not None
    frozen = nats_server if url.port == nats_server.port else other
    frozen.pause()
    for _ in range(200):
        bus.publish("tw.ballast", b"x" * 100_000)
    await until(lambda: not bus.connection._client._pending)
    bus.publish("tw.late", b"behind the ballast, so it waits in the client")
    heard: list[bytes] = []
    await bus.subscribe("tw.late", lambda _subject, data, _headers: heard.append(data))
    await until(lambda: bus.counts["lost"])
    await until(lambda: bus.connected, "connected to the other server while the first is still frozen")
    bus.publish("tw.late", b"on the new link")
    await until(lambda: heard)
    assert heard == [b"on the new link"], "what one link could not send is not sent on the next"
    await bus.close()


async def test_what_a_link_does_not_take_at_once_waits_where_it_is_counted_and_keeps_its_order(bus: NatsBus) -> None:
    heard: list[int] = []
    await bus.subscribe("tw.numbers", lambda _subject, data, _headers: heard.append(int(data[:8])))
    client, counted = bus.connection._client, 0
    for number in range(220):
        bus.publish("tw.numbers", b"%08d" % number + b" " * 100_000)
        if number >= 200:  # the first 20 MB are on their way, more than any socket takes
            await asyncio.sleep(0)  # a turn of the loop, in which the client writes
            counted = max(counted, client._pending_data_size)
    assert counted > 100_000, "a slow link's bytes are counted, so that they can be bounded"
    await until(lambda: len(heard) == 220)
    assert heard == list(range(220))
    assert bus.counts["lost"] == 0


async def test_a_link_that_answers_nothing_at_all_is_left_and_tried_again(far_bus: NatsBus, proxy: Proxy) -> None:
    proxy.lose_to_client = True
    await until(lambda: not far_bus.connected)
    proxy.heal()
    await until(lambda: far_bus.connected)


@pytest.mark.parametrize("task", ["_reading_task", "_flusher_task"])
async def test_a_connection_whose_inner_task_has_died_is_made_anew(bus: NatsBus, task: str) -> None:
    getattr(bus.connection._client, task).cancel()
    await until(lambda: bus.connection.counts["lost"] == 1)
    await until(lambda: bus.connected)
    assert await bus.state("WORK_zone-a") is not None


async def test_an_error_that_makes_the_server_end_the_connection_does_not_end_ours(bus: NatsBus) -> None:
    bus.connection.send(b"PUB tw.huge 99999999\r\n")  # maximum payload violation
    await until(lambda: bus.connection.counts["lost"] == 1)
    await until(lambda: bus.connected)
    assert await bus.state("WORK_zone-a") is not None


async def test_a_missing_permission_is_counted_and_the_connection_goes_on(nats_server: EmbeddedNats) -> None:
    nats_server.stop()
    nats_server.accounts = PERMISSIONS
    nats_server.start()
    guest = await NatsBus.connect(
        nats_server.url, inbox_prefix="_INBOX.guest", credentials=Credentials(user="guest", password="g"), timeout_s=5
    )
    assert await guest.request("tw.forbidden", b"", timeout_s=0.2) is None
    await until(lambda: guest.connection.counts["violations"])
    assert await guest.request("tw.free", b"", timeout_s=60) is None
    assert guest.connection.counts["lost"] == 0
    await guest.close()


async def test_connecting_in_vain_says_so_in_time(nats_server: EmbeddedNats) -> None:
    nats_server.stop()
    with pytest.raises(BusUnavailableError):
        await NatsBus.connect(nats_server.url, timeout_s=0.3)


async def test_connecting_waits_for_a_server_that_comes_later(nats_server: EmbeddedNats) -> None:
    nats_server.stop()
    connecting = asyncio.create_task(NatsBus.connect(nats_server.url))
    await asyncio.to_thread(nats_server.start)
    bus = await connecting
    assert bus.connected
    await bus.close()
    assert not bus.connected


@pytest.mark.parametrize("how", ["kill", "pause", "nothing"])
async def test_close_never_raises_and_does_not_hang(nats_server: EmbeddedNats, how: str) -> None:
    bus = await NatsBus.connect(nats_server.url, timeout_s=5)
    if how != "nothing":
        getattr(nats_server, how)()
        for _ in range(100):
            bus.publish("tw.ballast", b"x" * 100_000)
    async with asyncio.timeout(20):
        await bus.close()
        await bus.close()
    assert not bus.connected


PROGRAM = """
import asyncio, sys
from treeward.bus.nats_bus import NatsBus
{uvloop}

async def main():
    bus = await NatsBus.connect(sys.argv[1], timeout_s=5)
    await bus.subscribe("tw.fatal", lambda *message: {{}}["missing"])
    bus.publish("tw.fatal", b"")
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("uvloop", ["", "import uvloop; uvloop.install()"])
async def test_an_exception_out_of_a_callback_ends_the_program(nats_server: EmbeddedNats, uvloop: str) -> None:
    program = [sys.executable, "-c", PROGRAM.format(uvloop=uvloop), nats_server.url]
    ended = await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 70, ended.stderr
    assert "KeyError: 'missing'" in ended.stderr


async def test_another_server_is_found_while_nobody_answers_for_names(tmp_path: Path) -> None:
    """The other one was never connected to: its address was asked for in time."""
    servers = [EmbeddedNats(tmp_path / name) for name in ("one", "two")]
    answers, asked = {"one.test": "127.0.0.1", "two.test": "127.0.0.1"}, set[str]()

    loop = asyncio.get_running_loop()
    ask_the_system = loop.getaddrinfo

    async def answer(host: str, port: int | None, **kinds: int) -> Any:
        if not host.endswith(".test"):
            return await ask_the_system(host, port, **kinds)
        asked.add(host)
        if host not in answers:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await ask_the_system(answers[host], port, **kinds)

    loop.getaddrinfo = answer  # type: ignore[assignment,method-assign]  # of this test's own loop
    async with contextlib.AsyncExitStack() as closing:
        for server in servers:
            server.start()
            closing.callback(server.kill)
        urls = [f"nats://{host}:{server.url.rpartition(':')[2]}" for host, server in zip(answers, servers, strict=True)]
        bus = await NatsBus.connect(urls, timeout_s=30)
        closing.push_async_callback(bus.close)
        await until(lambda: asked == {"one.test", "two.test"}, "both were asked for")
        connected = bus.connection._client.connected_url
        assert connected is not None
        answers.clear()
        servers[urls.index(connected.geturl())].kill()
        await until(lambda: bus.counts["lost"] and bus.connected, "connected to the other")


def test_nats_py_still_has_the_private_parts_that_the_connection_uses() -> None:
    client = Client()
    for name in ("_pending", "_pending_data_size", "_flush_queue", "_sid", "_subs", "_transport", "_current_server"):
        assert hasattr(client, name), name
    for name in ("_reading_task", "_flusher_task", "_reconnection_task"):
        assert hasattr(client, name), name
    for method in (
        Client._process_err,
        Client._process_op_err,
        Client._close,
        Client._process_info,
        Client._process_connect_init,
        Client._process_ping,
        Client._process_pong,
        type(client._ps).parse,
    ):
        assert inspect.iscoroutinefunction(method)
    public = {name for name in vars(type(client._ps)) if not name.startswith("_")}
    assert public == {"parse", "reset"}, "all that nats-py asks of its parser, which is not the one used"
    assert hasattr(TcpTransport(), "_io_writer")  # type: ignore[no-untyped-call]


async def test_nothing_of_a_closed_connection_goes_on_while_the_server_is_away(nats_server: EmbeddedNats) -> None:
    buses = [await NatsBus.connect(nats_server.url, timeout_s=10) for _ in range(20)]
    nats_server.kill()
    await until(lambda: not any(bus.connected for bus in buses))
    for bus in buses:
        await bus.close()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()}, "every task of theirs has ended", 5.0)


def test_what_is_sent_over_a_link_that_has_just_closed_raises_nothing(nats_server: EmbeddedNats) -> None:
    """uvloop, under which the services run, refuses to write to it; the watch has not told us yet."""
    escaped: list[dict[str, Any]] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: escaped.append(context))
        bus = await NatsBus.connect(nats_server.url, timeout_s=10)
        heard: list[bytes] = []
        await bus.subscribe("tw.x", lambda _subject, data, _headers: heard.append(data))
        link = bus.connection._client._transport
        assert isinstance(link, TcpTransport)
        assert link._io_writer is not None
        transport = link._io_writer.transport
        transport.abort()
        while "closed=True" not in repr(transport):
            await asyncio.sleep(0)
        bus.connection.connected = True  # that moment, however long the loop is busy with other things
        bus.connection.send(b"PING\r\n")
        bus.connection._write()
        bus.connection.connected = False

        async def heard_again() -> bool:
            bus.publish("tw.x", b"sent")
            return b"sent" in heard

        await until(heard_again)
        await bus.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
    assert escaped == []
