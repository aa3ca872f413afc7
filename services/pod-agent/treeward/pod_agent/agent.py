"""A pod agent: the pods that this instance is claimed for."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version

from treeward.runtime.branches import Branches, hand_over
from treeward.runtime.context import Context
from treeward.runtime.control import obey
from treeward.runtime.device_client import Device
from treeward.runtime.pods import Pods, connect_to_device
from treeward.runtime.presence import Presence


class Agent:
    """The pods of one instance, and its connections to their devices."""

    def __init__(self, context: Context, connect: Callable[[str], Device] = connect_to_device) -> None:
        self.context = context
        self.pods = Pods(context, connect)
        self.branches = Branches(context, "pod", self.pods.begin, lambda: self.presence.beat())
        self.presence = Presence(context, "pod-agent", version("treeward"), self.branches.holdings)

    async def run(self, stopping: asyncio.Event) -> None:
        """Serve until told to stop, then hand over."""
        await self.branches.follow()
        await obey(self.context, stopping)
        async with asyncio.TaskGroup() as group:
            duties = [group.create_task(self.branches.run()), group.create_task(self.presence.run())]
            await stopping.wait()
            await hand_over(self.context, self.presence.leave, self.branches)
            for duty in duties:
                duty.cancel()
        await self.pods.close()
