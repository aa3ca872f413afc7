"""A supervisor whose NATS server is cut off from the others blames nobody: it asks whether there is a majority."""

from dataclasses import dataclass
from typing import cast

from tests.faults.servers import NatsServers
from tests.support.until import until

from treeward.bus.interface import BusError
from treeward.bus.nats_bus import NatsBus
from treeward.runtime.context import Context
from treeward.runtime.presence import can_claim
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.supervision.limits import Limits


@dataclass
class Asking:
    """What of a context it takes to ask."""

    bus: NatsBus
    limits: Limits


async def at(servers: NatsServers, name: str) -> NatsBus:
    return await NatsBus.connect(f"nats://127.0.0.1:{servers.ports[name]}", name=f"at-{name}", timeout_s=20)


async def can(bus: NatsBus) -> bool:
    return await can_claim(cast("Context", Asking(bus, Limits())), ROOT)


async def is_provisioned(bus: NatsBus) -> bool:
    try:
        await bus.provision(ROOT, Retention(replicas=3))
    except BusError:
        return False  # the servers have no leader yet
    return True


async def cannot(bus: NatsBus) -> bool:
    return not await can(bus)


async def test_whoever_is_cut_off_with_the_leader_itself_may_not_claim_and_the_others_may(
    cluster: NatsServers,
) -> None:
    first = await at(cluster, "nats-1")
    await until(lambda: is_provisioned(first))
    info = await first.streams.info(streams.log(ROOT))
    assert info is not None
    leader = info["cluster"]["leader"]
    other = next(name for name in cluster.names if name != leader)
    here, there = await at(cluster, leader), await at(cluster, other)
    try:
        await until(lambda: can(here))
        await until(lambda: can(there))
        cluster.isolate(leader)
        await until(lambda: cannot(here))
        await until(lambda: can(there))  # the others have a leader of their own
        assert not await can(here)
    finally:
        cluster.rejoin_all()
        for bus in (first, here, there):
            await bus.close()
