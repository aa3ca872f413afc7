"""A zone supervisor: the zones that this instance is claimed for."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version

from treeward.runtime.branches import Branches, Claimed
from treeward.runtime.context import Context
from treeward.runtime.control import obey
from treeward.runtime.presence import Presence
from treeward.zone_supervisor.zone import ZoneInCharge


class Supervisor:
    """The zones of one instance."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.branches = Branches(context, "zone", self._begin, lambda: self.presence.beat())
        self.presence = Presence(context, "zone-supervisor", version("treeward"), self.branches.holdings)

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

    def _leave(self) -> None:
        self.presence.leaving = True
        self.presence.beat()

    async def _begin(self, claim: Claimed, gave_up: Callable[[str, bool], None]) -> ZoneInCharge:
        zone = ZoneInCharge(self.context, claim, gave_up)
        await zone.start()
        return zone
