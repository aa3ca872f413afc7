"""What an operator asks for while a plan is carried out: moves, drains, and the release of what was quarantined."""

import asyncio
import json
import time
from random import Random

from nats.aio.client import Client
from tests.faults.devices import host_of
from tests.faults.injected import Injected, last
from tests.faults.load import Receipt, submit
from tests.faults.observer import Observer
from tests.faults.plan import Kind, Planned
from tests.faults.site import Site

RELEASE_AFTER_S = 2.0


class Orders:
    """Submits units as any operator would; each receipt counts as those of the load do."""

    def __init__(self, site: Site, observer: Observer, client: Client, receipts: list[Receipt], seed: int) -> None:
        self.released = 0
        self._site = site
        self._observer = observer
        self._client = client
        self._receipts = receipts
        self._chance = Random(seed)
        self._units = 0
        self._prefix = f"operator-{seed}"

    async def release_for_ever(self) -> None:
        """An operator who releases what was quarantined, after a look at it."""
        while True:
            await asyncio.sleep(0.5)  # a duty that has no end: how often the operator looks
            for (zone, key), since_s in list(self._observer.quarantined.items()):
                if time.monotonic() - since_s > RELEASE_AFTER_S:
                    self._observer.quarantined[zone, key] = time.monotonic()
                    self.released += 1
                    await self._submit(zone, key, "release", reason="looked at by an operator")

    async def move(self, fault: Planned, injected: Injected) -> None:
        """Migrate some of what there was work for lately."""
        zone = self._zone(fault)
        recent = sorted({receipt.key for receipt in self._receipts[-500:] if receipt.zone == zone})
        injected.target = zone
        for key in self._chance.sample(recent, min(len(recent), 1 + int(fault.strength * 10))):
            await self._submit(zone, key, "migrate")

    async def drain(self, fault: Planned, injected: Injected) -> None:
        """Drain a pod or a host, and resume it when the fault is over."""
        zone = self._zone(fault)
        pods = list(self._site.topology.zones[zone].pods)
        if fault.kind is Kind.DRAIN_POD:
            key = f"pod.{pods[fault.target // 7 % len(pods)]}"
        else:
            key = f"host.{host_of(fault, zone, self._site)}"
        injected.strikes(f"{zone}.{key}")
        await self._submit(zone, key, "drain", reason="a fault plan")
        await last(fault)
        await self._submit(zone, key, "resume", reason="a fault plan")

    def _zone(self, fault: Planned) -> str:
        return self._site.zones[fault.target % len(self._site.zones)]

    async def _submit(self, zone: str, key: str, operation: str, **fields: str) -> None:
        self._units += 1
        body = json.dumps({"operation": operation, **fields}).encode()
        receipt = await submit(self._client, zone, key, body, f"{self._prefix}-{self._units}")
        self._receipts.append(receipt)
