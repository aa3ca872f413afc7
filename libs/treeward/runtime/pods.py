"""Owning pods: rows for processes, and the connections to their devices.

A pod agent does nothing else; a zone supervisor does it for a pod that no agent can take.
"""

from collections.abc import Callable

from treeward.bus.interface import Subscription
from treeward.runtime.answering import serve_explain
from treeward.runtime.background import Background
from treeward.runtime.branch_policies import BranchPolicies
from treeward.runtime.branches import Claimed, begun
from treeward.runtime.context import Context
from treeward.runtime.device_client import Device, DeviceClient, InvalidDeviceAddressError
from treeward.runtime.doubts import Doubts
from treeward.runtime.owner_loop import OwnerLoop
from treeward.runtime.tasks import Tasks
from treeward.schemas import subjects
from treeward.schemas.address import parse_branch
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.self_suspicion import Escalation
from treeward.telemetry import names


class PodInCharge:
    """One pod, owned in one epoch."""

    def __init__(
        self, context: Context, claim: Claimed, device: Device | None, gave_up: Callable[[str, bool], None]
    ) -> None:
        self.zone, self.pod = parse_branch(claim.branch)
        self.owner = PodOwner(
            self.zone,
            self.pod,
            claim.epoch,
            context.limits,
            isolated=claim.event.isolated,
            answered=claim.event.answered,
            ahead=claim.event.ahead,
            policies=claim.event.policies,
        )
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
        self._policies: BranchPolicies | None = None
        self._tasks = Tasks()

    def follow(self, policies: BranchPolicies) -> None:
        """Go by what the pod and its zone say of restarts."""
        self._policies = policies
        policies.follow(self.pod, self.owner.policies)

    async def start(self) -> None:
        """Begin to take units."""
        await self._loop.start()
        self._answers = await serve_explain(self._context, self.zone, self.pod, self._describe)
        metrics = self._context.metrics
        metrics.gauge(names.ROWS, self.zone, self.pod).follow(lambda: self.owner.in_use)
        metrics.gauge(names.MAILBOX_UNITS, self.zone, self.pod).follow(
            lambda: sum(len(row.queue) for row in self.owner.rows.values())
        )
        Doubts(self.owner.rows, self.owner.epoch, self._context.now_s).show(metrics, self.zone, self.pod)
        if self._device is not None:
            background = Background(
                self._context, self.zone, self.pod, self.owner.epoch,
                look=self._look, looks=lambda: self.owner.drift.looks,
            )  # fmt: skip
            self._tasks.spawn(background.run(), name=f"background of {self.zone}.{self.pod}")

    def _look(self, key: str) -> None:
        if not self.owner.stopping:
            self.owner.drift.look(key)
            self._loop.carry_out()

    def _describe(self, key: str, now_s: float) -> dict[str, object]:
        device, said = self._device, self.owner.describe(key, now_s)
        if isinstance(device, DeviceClient):
            said |= {"device": device.address, "link": device.link, "link_error": device.link_error}
        return said

    @property
    def escalation(self) -> Escalation | None:
        """What it asks of its supervisor, if nothing helps its processes."""
        return self.owner.escalation

    @property
    def drained(self) -> bool:
        """Whether no call and no append is on its way."""
        return self.owner.drained

    def stop_taking(self) -> None:
        """Take no further unit."""
        self.owner.stop_taking()

    async def close(self) -> None:
        """Stop at once."""
        self._tasks.close()
        await self._loop.close()
        if self._policies is not None:
            self._policies.leave(self.pod, self.owner.policies)
        for metric in (names.ROWS, names.MAILBOX_UNITS):
            self._context.metrics.forget(metric, self.zone, self.pod)
        Doubts.hide(self._context.metrics, self.zone, self.pod)
        if self._answers is not None:
            await self._answers.close()


def connect_to_device(address: str) -> Device:
    """A connection to the device at an address, sought from now on."""
    device = DeviceClient(address, chance=None)
    device.start()
    return device


class Pods:
    """Begins owners of pods; connections to devices are shared and stay until `close`."""

    def __init__(self, context: Context, connect: Callable[[str], Device] = connect_to_device) -> None:
        self.context = context
        self._connect = connect
        self._devices: dict[str, Device] = {}
        self._policies: dict[str, BranchPolicies] = {}

    async def begin(self, claim: Claimed, gave_up: Callable[[str, bool], None]) -> PodInCharge | None:
        """Begin to own a pod; None if nobody says where its device is, or what is said cannot be an address."""
        device = None
        if not claim.event.isolated:  # one that is isolated is asked nothing any more
            device = self._device_of(claim)
            if device is None:
                return None
        pod = PodInCharge(self.context, claim, device, gave_up)
        pod.follow(self._policies_of(pod.zone))
        return await begun(pod)

    def _policies_of(self, zone: str) -> BranchPolicies:
        if zone not in self._policies:
            self._policies[zone] = BranchPolicies(self.context, zone)
            self._policies[zone].start()
        return self._policies[zone]

    def _device_of(self, claim: Claimed) -> Device | None:
        address = (claim.event.definition or {}).get("device") or self.context.settings.device
        if not address:
            self.context.log.error(
                "a pod has no device: name one in its definition or set TREEWARD_DEVICE", branch=claim.branch
            )
            return None
        try:
            return self._device(address)
        except InvalidDeviceAddressError as error:  # whoever defined the pod wrote it: no reason for all agents to end
            self.context.log.error("a pod's device cannot be used", branch=claim.branch, reason=str(error))
            return None

    def _device(self, address: str) -> Device:
        if address not in self._devices:
            self._devices[address] = self._connect(address)
        return self._devices[address]

    async def close(self) -> None:
        """Give the connections up."""
        for policies in self._policies.values():
            await policies.close()
        for device in self._devices.values():
            await device.close()
