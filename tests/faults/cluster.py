"""Faults of the NATS servers, and of the mailboxes that they keep in memory."""

from tests.faults.injected import Injected, last
from tests.faults.observer import Observer
from tests.faults.plan import Kind, Planned
from tests.faults.site import Site
from tests.support.until import until

from treeward.bus.interface import BusError
from treeward.schemas import streams
from treeward.schemas.streams import Retention

ROLLED_S = 120.0
"""A server that takes longer to come back from a rolling restart than that does not."""


class Cluster:
    """Strikes servers, if all of them are there; the whole cluster also otherwise."""

    def __init__(self, site: Site, observer: Observer) -> None:
        self._site = site
        self._observer = observer

    async def strike(self, fault: Planned, injected: Injected) -> None:
        """What the kind says."""
        names = self._site.servers.names
        if fault.measured:  # the storm before it may have a rolling restart under way
            await self._site.wait_for_servers()
        running = [name for name in names if self._site.runs(name)]
        if len(running) < len(names) and fault.kind is not Kind.KILL_NATS_CLUSTER:
            injected.note = "a server was down already"  # two of three would be a loss of the majority: another fault
            return
        injected.strikes("cluster")
        one = names[fault.target % len(names)]
        match fault.kind:
            case Kind.KILL_NATS_CLUSTER:
                for name in names:
                    self._site.kill(name, fault.duration_s)
            case Kind.KILL_NATS_SERVER:
                injected.target = one
                self._site.kill(one, fault.duration_s)
            case Kind.ISOLATE_NATS_SERVER:
                injected.target = one
                self._site.servers.isolate(one)
                await last(fault)
                self._site.servers.rejoin(one)
            case Kind.LOSE_MAILBOX_COPIES:
                await self._lose_mailbox_copies(fault, injected)
            case Kind.DISK_FULL:
                await self._fill_disk(one, fault, injected)
            case _:
                await self._roll()

    async def make_mailbox_anew(self, fault: Planned, injected: Injected) -> None:
        """As an owner of root does that was replaced and does not know it."""
        zone = self._site.zones[fault.target % len(self._site.zones)]
        try:
            await self._observer.bus.make_mailbox_anew(zone, Retention(replicas=self._site.size.servers))
        except BusError as error:  # no majority of the servers is there now
            injected.note = str(error)
            return
        injected.target = streams.mailbox(zone)

    async def _roll(self) -> None:
        for name in self._site.servers.names:
            if self._site.runs(name):
                self._site.lame_duck(name)
                await self._greets(name)

    async def _lose_mailbox_copies(self, fault: Planned, injected: Injected) -> None:
        """One server comes back with nothing, and meets nobody before the second is gone: no leader for a mailbox."""
        names = self._site.servers.names
        first, second = (names[(fault.target + number) % len(names)] for number in (0, 1))
        injected.target = f"{first}, {second}"
        self._site.servers.isolate(first)
        self._site.kill(first, 0.0)
        await self._greets(first)
        self._site.kill(second, fault.duration_s)
        self._site.servers.rejoin(first)
        await until(lambda: self._site.runs(second), f"{second} runs again", ROLLED_S)

    async def _fill_disk(self, name: str, fault: Planned, injected: Injected) -> None:
        """NATS switches JetStream off in a server that cannot write, until somebody makes room and starts it again."""
        disk = self._site.servers.disks.get(name)
        if disk is None:
            injected.target, injected.note = None, "no disk of its own: --disk-mib"
            return
        injected.target = name
        disk.fill()
        await last(fault)
        disk.make_room()
        self._site.kill(name, 0.0)

    async def _greets(self, name: str) -> None:
        await until(lambda: self._site.runs(name) and self._site.servers.greets(name), f"{name} greets again", ROLLED_S)
