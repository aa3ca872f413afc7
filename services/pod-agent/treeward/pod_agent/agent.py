"""A pod agent: for each pod that it is claimed for, an owner with rows for processes and a device to act on."""

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version

from treeward.bus.interface import Subscription
from treeward.runtime.branches import Branches, Claimed
from treeward.runtime.context import Context
from treeward.runtime.control import obey
from treeward.runtime.device_client import Device, DeviceClient
from treeward.runtime.owner_loop import OwnerLoop
from treeward.runtime.presence import Presence
from treeward.schemas import subjects
from treeward.supervision.pod_owner import PodOwner
from treeward.telemetry import names


class PodInCharge:
    """One pod, owned in one epoch."""

    def __init__(self, context: Context, claim: Claimed, device: Device, gave_up: Callable[[str, bool], None]) -> None:
        self.zone, _, self.pod = claim.branch.partition(".")
        may_move = not (claim.event.definition or {}).get("device")
        self.owner = PodOwner(self.zone, self.pod, claim.epoch, context.limits, may_move=may_move)
        self._context = context
        self._device = device
        self._loop = OwnerLoop(
            context,
            self.owner,
            zone=self.zone,
            partition=self.pod,
            claim_subject=subjects.claim_of_pod(self.zone, self.pod),
            claimed_s=claim.stored_s,
            gave_up=gave_up,
            device=device,
        )
        self._answers: Subscription | None = None

    async def start(self) -> None:
        """Begin to take units."""
        await self._loop.start()
        self._answers = await self._context.bus.serve(subjects.owner_api("explain", self.zone, self.pod), self._explain)
        metrics = self._context.metrics
        metrics.gauge(names.ROWS, self.zone, self.pod).follow(lambda: len(self.owner.rows))
        metrics.gauge(names.MAILBOX_UNITS, self.zone, self.pod).follow(
            lambda: sum(len(row.queue) for row in self.owner.rows.values())
        )

    async def _explain(self, _subject: str, body: bytes) -> bytes:
        device = self._device
        said = self.owner.describe(body.decode(), self._context.now_s())
        if isinstance(device, DeviceClient):
            said |= {"device": device.address, "link": device.link, "link_error": device.link_error}
        return json.dumps(said).encode()

    @property
    def drained(self) -> bool:
        """Whether no call and no append is on its way."""
        return self.owner.drained

    def stop_taking(self) -> None:
        """Take no further unit."""
        self.owner.stop_taking()

    async def close(self) -> None:
        """Stop at once."""
        await self._loop.close()
        for metric in (names.ROWS, names.MAILBOX_UNITS):
            self._context.metrics.forget(metric, self.zone, self.pod)
        if self._answers is not None:
            await self._answers.close()


def connect_to_device(address: str) -> Device:
    """A connection to the device at an address, sought from now on."""
    device = DeviceClient(address, chance=None)
    device.start()
    return device


class Agent:
    """The pods of one instance, and its connections to their devices."""

    def __init__(self, context: Context, connect: Callable[[str], Device] = connect_to_device) -> None:
        self.context = context
        self.branches = Branches(context, "pod", self._begin, lambda: self.presence.beat())
        self.presence = Presence(context, "pod-agent", version("treeward"), self.branches.holdings)
        self._connect = connect
        self._devices: dict[str, Device] = {}

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop, then hand over."""
        await self.branches.follow()
        await obey(self.context, stopping)
        async with asyncio.TaskGroup() as group:
            duties = [group.create_task(self.branches.run()), group.create_task(self.presence.run())]
            await stopping.wait()
            await self.branches.hand_over(self._leave)
            for duty in duties:
                duty.cancel()
        for device in self._devices.values():
            await device.close()

    def _leave(self) -> None:
        self.presence.leaving = True
        self.presence.beat()

    async def _begin(self, claim: Claimed, gave_up: Callable[[str, bool], None]) -> PodInCharge | None:
        address = (claim.event.definition or {}).get("device") or self.context.settings.device
        if not address:
            self.context.log.error(
                "a pod has no device: name one in its definition or set TREEWARD_DEVICE", branch=claim.branch
            )
            return None
        pod = PodInCharge(self.context, claim, self._device(address), gave_up)
        await pod.start()
        return pod

    def _device(self, address: str) -> Device:
        if address not in self._devices:
            self._devices[address] = self._connect(address)
        return self._devices[address]
