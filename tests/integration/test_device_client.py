"""The client on a real device: callbacks, lost connections, half-open links, cancelling."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.device import Simulator, request, simulator
from tests.support.proxy import Proxy, proxied
from tests.support.until import until

from treeward.runtime.device_client import DeviceClient, InvalidDeviceAddressError, Link
from treeward.schemas.device import Answer


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A simulator with host-1; its books are judged at the end."""
    async with simulator(tmp_path) as device:
        await device.host(cpus=1000, memory_mib=2**30)
        yield device
        assert device.judged() == {}


@pytest.fixture
async def proxy(device: Simulator) -> AsyncIterator[Proxy]:
    """A proxy in front of the simulator."""
    async with proxied(int(device.said["listen"].rpartition(":")[2])) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def connected(proxy: Proxy, *, silence_s: float) -> AsyncIterator[DeviceClient]:
    client = DeviceClient(f"tcp://127.0.0.1:{proxy.listens_on}", silence_s=silence_s)
    client.start()
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[DeviceClient]:
    """A client behind the proxy; more patient than any machine is slow, so that a connection ends only if it is cut."""
    async with connected(proxy, silence_s=30) as client:
        yield client


@pytest.fixture
async def wary(proxy: Proxy) -> AsyncIterator[DeviceClient]:
    """A client behind the proxy that suspects a silent connection quickly."""
    async with connected(proxy, silence_s=0.1) as client:
        yield client


def create(number: int, ticket: int) -> dict[str, Any]:
    return request("call", f"vm.web-{number}", ticket=ticket, operation="create", host="host-1")


async def test_each_request_is_told_its_own_answer(proxy: Proxy, client: DeviceClient) -> None:
    answers: dict[int, Answer] = {}
    for number in range(500):
        client.request(create(number, 10 + number), lambda answer, number=number: answers.__setitem__(number, answer))  # type: ignore[misc]
    await until(lambda: len(answers) == 500)
    assert [answers[number].last for number in range(500)] == [10 + number for number in range(500)]
    assert (client.link, proxy.accepted) == (Link.CONNECTED, 1)


async def test_requests_made_before_there_is_a_device_are_sent_when_it_comes(tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/device.sock"
    links: list[tuple[Link, str | None]] = []
    client = DeviceClient(address, on_link=lambda link, error: links.append((link, error)))
    answers: list[Answer] = []
    client.request({"verb": "ping"}, answers.append)
    client.start()
    await until(lambda: client.link_error)
    async with simulator(tmp_path, listen=address):
        await until(lambda: answers)
        await client.close()
    assert [link for link, _ in links] == [Link.CONNECTING, Link.CONNECTED, Link.CLOSED]


async def test_what_was_unanswered_when_the_connection_broke_is_repeated_and_has_one_effect(
    device: Simulator, proxy: Proxy, client: DeviceClient
) -> None:
    proxy.lose_to_client = True
    answers: list[Answer] = []
    for number in range(50):
        client.request(create(number, 10 + number), answers.append)
    await until(lambda: device.rows("SELECT count(*) FROM calls WHERE kind = 'vm'") == [(50,)])
    assert answers == []
    proxy.heal()
    proxy.cut()
    await until(lambda: len(answers) == 50)
    assert {answer.status for answer in answers} == {"applied"}
    assert device.rows("SELECT outcome, count(*) FROM calls WHERE kind = 'vm' GROUP BY 1 ORDER BY 1") == [
        ("applied", 50), ("remembered", 50)
    ]  # fmt: skip


async def test_a_link_that_is_only_half_open_is_given_up(proxy: Proxy, wary: DeviceClient) -> None:
    await until(lambda: wary.link is Link.CONNECTED)
    proxy.lose_to_server = True
    answers: list[Answer] = []
    wary.request(create(1, 10), answers.append)
    await until(lambda: wary.link_error)
    assert wary.link_error is not None and "silent" in wary.link_error
    proxy.heal()
    await until(lambda: answers)
    assert proxy.accepted >= 2


async def test_a_slow_call_is_no_silence(device: Simulator, proxy: Proxy) -> None:
    async with connected(proxy, silence_s=0.5) as client:
        await device.fault("latency", id="web-1", seconds=2)
        answers: list[Answer] = []
        client.request(create(1, 10), answers.append)
        await until(lambda: answers)
        assert (answers[0].status, proxy.accepted, client.link_error) == ("applied", 1, None)


async def test_a_cancelled_request_is_not_told(device: Simulator, client: DeviceClient) -> None:
    fault = await device.fault("hang", id="web-1")
    answers: list[Answer] = []
    token = client.request(create(1, 10), answers.append)
    await until(lambda: client.link is Link.CONNECTED)
    client.cancel(token)
    client.cancel(token)
    client.request(create(2, 11), answers.append)
    await until(lambda: answers)
    await device.control("fault_clear", number=fault)
    client.request({"verb": "ping"}, answers.append)
    await until(lambda: len(answers) == 2)
    assert answers[0].last == 11


async def test_a_request_cancelled_before_a_reconnect_is_not_repeated(
    device: Simulator, proxy: Proxy, wary: DeviceClient
) -> None:
    proxy.lose_to_server = True
    answers: list[Answer] = []
    token = wary.request(create(1, 10), answers.append)
    wary.request(create(2, 11), answers.append)
    wary.cancel(token)
    await until(lambda: wary.link_error)
    proxy.heal()
    await until(lambda: answers)
    assert device.rows("SELECT resource FROM calls WHERE kind = 'vm' AND effect = 1") == [("web-2",)]


async def test_a_callback_may_make_the_next_request(client: DeviceClient) -> None:
    seen: list[int] = []

    def step(answer: Answer) -> None:
        seen.append(answer.last)
        if len(seen) < 50:
            operation = "destroy" if answer.exists else "create"
            client.request(
                request("call", "network.lan", ticket=answer.last + 1, operation=operation, host="host-1"), step
            )

    client.request(request("call", "network.lan", ticket=10, operation="create"), step)
    await until(lambda: len(seen) == 50)
    assert seen == list(range(10, 60))


async def test_a_server_that_talks_nonsense_is_left_and_tried_again() -> None:
    visits: list[int] = []

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    client = DeviceClient(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    client.start()
    await until(lambda: len(visits) >= 2)
    assert client.link_error is not None and "cannot be read" in client.link_error
    await client.close()
    server.close()


@pytest.mark.parametrize("address", ["127.0.0.1:80", "tcp://host", "http://host:1", "unix://", "tcp://host:port"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(InvalidDeviceAddressError, match="tcp://HOST:PORT"):
        DeviceClient(address)
