"""Two of three copies of a mailbox are gone with their servers: NATS elects no leader for it, and it is made anew."""

from tests.faults.servers import NatsServers
from tests.support.until import until

from treeward.bus.interface import BusError, BusUnavailableError, Start, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.schemas import streams, subjects
from treeward.schemas.streams import Retention

ZONE = "zone-a"
MAILBOX = streams.mailbox(ZONE)
SUBJECT = subjects.mailbox(ZONE, "pod-1", "vm.web-1")


async def provisioned_and_led(cluster: NatsServers, retention: Retention) -> str:
    """The server that leads the mailbox, once there is one."""
    bus = await NatsBus.connect(cluster.urls, timeout_s=20)

    async def leader() -> str | None:
        try:
            await bus.provision(ZONE, retention)
            info = await bus.streams.info(MAILBOX)
        except BusError:
            return None  # the servers are still finding one another
        return info["cluster"].get("leader") if info is not None else None

    try:
        return await until(leader)
    finally:
        await bus.close()


async def test_a_mailbox_that_lost_two_of_three_copies_works_again_before_the_third_server_is_back(
    cluster: NatsServers,
) -> None:
    retention, heard = Retention(replicas=3), list[Stored]()
    # The second leads: if the last one did, it would go on, and take what is empty for a copy that is behind.
    second = await provisioned_and_led(cluster, retention)
    first, last = (name for name in cluster.names if name != second)
    bus = await NatsBus.connect(f"nats://127.0.0.1:{cluster.ports[last]}", timeout_s=20)

    async def copies() -> tuple[int, int]:
        """How many there should be, and how many of them are up to date."""
        info = await bus.streams.info(MAILBOX)
        assert info is not None
        current = sum(bool(each.get("current")) for each in info["cluster"].get("replicas") or ())
        return info["config"]["num_replicas"], 1 + current

    async def has_no_leader(stream: str) -> bool:
        try:
            await bus.state(stream)
        except BusUnavailableError:
            return True
        return False

    async def works() -> bool:
        bus.publish(SUBJECT, b"{}")
        return bool(heard)

    async def is_whole() -> bool:
        await bus.provision(ZONE, retention)
        return await copies() == (3, 3)

    try:
        bus.publish(SUBJECT, b"{}")
        await until(is_whole)
        # The first comes back with nothing, and meets nobody before the second is gone, too.
        cluster.isolate(first)
        cluster.programs[first].kill()
        cluster.programs[first].start()
        await until(lambda: cluster.greets(first))
        cluster.programs[second].kill()
        cluster.rejoin(first)

        async def only_the_mailbox_has_none() -> bool:
            return await has_no_leader(MAILBOX) and not await has_no_leader(streams.log(ZONE))

        await until(only_the_mailbox_has_none, timeout_s=60)
        await bus.make_mailbox_anew(ZONE, retention)
        reader = await bus.read(MAILBOX, SUBJECT, Start.NEW, heard.append, on_lost=lambda: heard.clear())
        await until(works)
        cluster.programs[second].start()
        await until(is_whole, timeout_s=60)
        heard.clear()
        await until(works)
        await reader.close()
    finally:
        await bus.close()
