"""Over real sockets: an isolation on its way from a replaced owner finds the host made anew, and leaves it open."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.device import request, simulator
from tests.support.proxy import proxied
from tests.support.until import until

from treeward.runtime.device_client import DeviceClient, Link
from treeward.schemas.device import Answer, Status

HOST = "host.host-1"


@asynccontextmanager
async def client_of(address: str) -> AsyncIterator[DeviceClient]:
    client = DeviceClient(address, silence_s=30.0)
    client.start()
    try:
        await until(lambda: client.link is Link.CONNECTED)
        yield client
    finally:
        await client.close()


async def asked(client: DeviceClient, fields: dict[str, Any]) -> Answer:
    answers: list[Answer] = []
    client.request(fields, answers.append)
    await until(lambda: answers)
    return answers[0]


async def test_the_isolation_of_a_replaced_owner_arrives_when_the_host_was_made_anew(tmp_path: Path) -> None:
    """Agent A asks for ticket 5 and is cut off; B completes it, destroys and creates the host; A's way heals."""
    by_a, by_b = {"life": 10, "owner": "agent-a"}, {"life": 20, "owner": "agent-b"}
    isolate = {"ticket": 5, "operation": "isolate"}
    async with simulator(tmp_path) as device, proxied(int(device.said["listen"].rpartition(":")[2])) as proxy:
        await device.host()
        async with client_of(f"tcp://127.0.0.1:{proxy.listens_on}") as a, client_of(device.said["listen"]) as b:
            assert (await asked(a, request("synchronize", HOST, **by_a))).status is Status.OK
            proxy.lose_to_server = True
            late: list[Answer] = []
            a.request(request("call", HOST, **by_a, **isolate), late.append)
            await until(lambda: proxy.lost_bytes)
            assert (await asked(b, request("synchronize", HOST, **by_b))).status is Status.OK
            fenced = await asked(b, request("call", HOST, **by_b, **isolate))
            assert (fenced.status, fenced.isolated) == (Status.APPLIED, True)
            destroyed = await asked(b, request("call", HOST, **by_b, ticket=7, operation="destroy"))
            spec = {"pod": "pod-1", "cpus": 4, "memory_mib": 8192}
            made = await asked(b, request("call", HOST, **by_b, ticket=8, operation="create", spec=spec))
            assert (destroyed.status, made.status, made.isolated) == (Status.APPLIED, Status.APPLIED, False)
            proxy.cut()
            proxy.heal()
            await until(lambda: late, "what A had asked was sent again, and answered")
            assert (late[0].status, late[0].owner, late[0].isolated) == (Status.FENCED, "agent-b", False)
            created = request("call", "vm.web-1", **by_b, ticket=9, operation="create", host="host-1")
            assert (await asked(b, created)).status is Status.APPLIED
        assert device.outcomes(HOST)[-4:] == [(5, "applied", 1), (7, "applied", 1), (8, "applied", 1), (5, "fenced", 0)]
        assert device.judged() == {}
