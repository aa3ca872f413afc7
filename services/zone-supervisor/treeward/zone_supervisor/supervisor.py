"""A zone supervisor: the zones that this instance is claimed for, and pods of theirs that no agent can take."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version

from treeward.runtime.branches import Branches, Claimed, begun, hand_over
from treeward.runtime.context import Context
from treeward.runtime.control import obey
from treeward.runtime.device_client import Device
from treeward.runtime.pods import Pods, connect_to_device
from treeward.runtime.presence import Presence
from treeward.schemas.presence import Holding
from treeward.zone_supervisor.zone import ZoneInCharge


class Supervisor:
    """The zones of one instance."""

    def __init__(self, context: Context, connect: Callable[[str], Device] = connect_to_device) -> None:
        self.context = context
        self.branches = Branches(context, "zone", self._begin, lambda: self.presence.beat())
        self.pods = Pods(context, connect)
        self.orphans = Branches(context, "pod", self.pods.begin, lambda: self.presence.beat())
        self.presence = Presence(context, "zone-supervisor", version("treeward"), self._holdings)

    def _holdings(self) -> list[Holding]:
        return self.branches.holdings() + self.orphans.holdings()

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop, then hand over."""
        await self.branches.follow()
        await self.orphans.follow()
        await obey(self.context, stopping)
        async with asyncio.TaskGroup() as group:
            duties = [
                group.create_task(self.branches.run()),
                group.create_task(self.orphans.run()),
                group.create_task(self.presence.run()),
            ]
            await stopping.wait()
            await hand_over(self.context, self.presence.leave, self.branches, self.orphans)
            for duty in duties:
                duty.cancel()
        await self.pods.close()

    async def _begin(self, claim: Claimed, gave_up: Callable[[str, bool], None]) -> ZoneInCharge:
        return await begun(ZoneInCharge(self.context, claim, gave_up, self.orphans.holdings))
