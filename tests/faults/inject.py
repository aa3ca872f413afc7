"""Carries out one planned fault after the other, and writes down what was really done to whom."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from tests.faults.cluster import Cluster
from tests.faults.cuts import Cuts
from tests.faults.devices import Devices
from tests.faults.injected import Injected
from tests.faults.observer import Observer
from tests.faults.orders import Orders
from tests.faults.plan import Kind, Planned
from tests.faults.programs import Programs
from tests.faults.site import Site

Action = Callable[[Planned, Injected], Awaitable[None]]


class Injector:
    """Has a site to break, and an operator who asks for moves."""

    def __init__(self, site: Site, observer: Observer, orders: Orders) -> None:
        self.done: list[Injected] = []
        self._site = site
        self._programs = Programs(site, observer)
        self._cuts = Cuts(site, observer)
        self._devices = Devices(site)
        self._cluster = Cluster(site, observer)
        self._orders = orders

    async def run(self, plan: Sequence[Planned]) -> None:
        """Carry the plan out; returns when the last fault is over."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                # The plan's own time: faults come when they are due, whatever came of those before.
                await asyncio.sleep(max(0.0, begun_s + fault.at_s - loop.time()))
                group.create_task(self._inject(fault))

    async def end_all(self) -> None:
        """Whatever is still broken is mended: links, device faults, frozen programs."""
        self._programs.wake_all()
        self._site.heal()
        await self._devices.mend()

    async def _inject(self, fault: Planned) -> None:
        injected = Injected(fault, time.time())
        self.done.append(injected)
        await self._action(fault.kind)(fault, injected)
        injected.ended_s = time.time()

    def _action(self, kind: Kind) -> Action:
        for beginning, action in (
            ("kill_nats", self._cluster.strike), ("roll_nats", self._cluster.strike),
            ("isolate_nats", self._cluster.strike), ("kill", self._programs.kill), ("pause", self._programs.pause),
            ("end", self._programs.end), ("hand_off", self._programs.hand_off_root), ("cut", self._cuts.cut),
            ("delay", self._cuts.cut), ("reset", self._cuts.cut), ("lose_mailbox", self._cluster.strike),
            ("disk", self._cluster.strike), ("make_mailbox", self._cluster.make_mailbox_anew),
            ("move", self._orders.move), ("drain", self._orders.drain),
        ):  # fmt: skip
            if kind.startswith(beginning):
                return action
        return self._devices.strike
