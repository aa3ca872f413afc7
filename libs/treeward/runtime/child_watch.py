"""A supervisor at its children: hears who is there, decides in turns whom to claim for, and shows and says so."""

import asyncio
from collections.abc import Callable

from treeward.bus.interface import Subscription
from treeward.runtime.context import Context
from treeward.runtime.owned_branches import OwnedBranches
from treeward.runtime.presence import can_claim, listen, listen_to_closed
from treeward.schemas.address import ZONE_PARTITION, parse_branch
from treeward.schemas.presence import Heartbeat, Service
from treeward.supervision.children import Children
from treeward.supervision.effects import ClaimBranch
from treeward.telemetry import names
from treeward.telemetry.traces import Kind

DECIDE_S = 0.1


class ChildWatch:
    """The children of the owner of `zone`, which is a zone or root: that zone's log is where it claims."""

    def __init__(self, context: Context, zone: str, children: Children) -> None:
        self._context = context
        self._zone = zone
        self._children = children
        self._owned = OwnedBranches(context.metrics, children)
        self._suspected = 0
        self._subscriptions: list[Subscription] = []

    async def listen(self, service: Service, heard: Callable[[Heartbeat, float], None]) -> None:
        """Hear the instances of a service, and whose connection is gone; raises BusError."""
        self._subscriptions.append(await listen(self._context, service, heard))
        self._subscriptions.append(await listen_to_closed(self._context, self._children.on_closed))

    async def turn(self) -> None:
        """Wait for the next turn. There is none while we hear nobody: it is not they who are silent.

        Back again, we suspect ourselves first.
        """
        await asyncio.sleep(DECIDE_S)
        while not self._context.bus.connected:
            await asyncio.sleep(DECIDE_S)

    async def decide(self, is_new: Callable[[ClaimBranch], bool]) -> list[ClaimBranch]:
        """Whom to claim for now, of those that are new; meanwhile the gauges of the branches are brought up to date."""
        claims = await self._decide(is_new)
        self._owned.show(self._context.now_s())
        if self._children.suspected_itself > self._suspected:
            self._suspected = self._children.suspected_itself
            self._context.log.warning("was away or cut off, and suspects itself before its children", zone=self._zone)
        return claims

    async def _decide(self, is_new: Callable[[ClaimBranch], bool]) -> list[ClaimBranch]:
        """Only if the log has a majority behind it; else nobody, and we suspect ourselves.

        Whoever was heard of while that was asked is left alone.
        """
        context, children = self._context, self._children
        if not any(map(is_new, children.decide(context.now_s()))):
            return []
        asking = asyncio.create_task(can_claim(context, self._zone), name="can claim")
        try:
            while not asking.done():  # who asks is not away: we go on deciding, which also tells if we were
                await asyncio.wait({asking}, timeout=context.limits.heartbeat_s)
                claims = children.decide(context.now_s())
        finally:
            asking.cancel()
        if not asking.result():
            children.suspect_itself(context.now_s())
            return []
        return [claim for claim in claims if is_new(claim)]

    def tell(self, claim: ClaimBranch, **more: int) -> None:
        """Say who is claimed for, and why: in the log, in a span of its own and in a counter."""
        context, now_s = self._context, self._context.now_s()
        zone, partition = parse_branch(claim.branch)
        level, message = ("zone", "claims a zone") if partition == ZONE_PARTITION else ("pod", "claims a pod")
        context.log.warning(message, branch=claim.branch, owner=claim.instance, reason=claim.reason, **more)
        context.metrics.counter(names.TAKEOVERS, zone, level, claim.cause.value).inc()
        attributes: dict[str, str | bool | int | float] = {names.ZONE: zone, names.REASON: claim.reason}
        if level == "pod":
            attributes[names.POD] = partition
        context.tracer.span(names.TAKEOVER, None, now_s, now_s, Kind.INTERNAL, attributes, always=True)

    async def close(self) -> None:
        """Hear and show nobody any more."""
        self._owned.close()
        for subscription in self._subscriptions:
            await subscription.close()
