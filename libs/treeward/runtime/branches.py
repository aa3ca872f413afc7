"""The branches that an instance owns: it follows the claims, begins what it is named for and ends what it is not.

Claims come as republished events, so nothing is known of branches that were claimed before this run began: their
claims name another run. One that is lost on the way costs a second: the parent sees that the epoch is not held, and
claims anew. What is known to be ours but still begins counts as held, or a slow beginning would be claimed anew again
and again; each branch has a lane of its own, so that one that begins slowly holds up no other.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

from treeward.bus.interface import BusError
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import subjects
from treeward.schemas.address import ROOT, parse_branch
from treeward.schemas.events import Event
from treeward.schemas.presence import Holding
from treeward.supervision.self_suspicion import Escalation
from treeward.telemetry import names

CLAIMS_MAX = 100_000
DRAIN_S = 20.0
SUCCESSION_S = 3.0


class Claimed(NamedTuple):
    """A claim as it was stored."""

    branch: str
    epoch: int
    event: Event
    stored_s: float


class GaveUp(NamedTuple):
    """An owner that ended by itself."""

    branch: str
    epoch: int


class Acting(Protocol):
    """An owner at work on one branch."""

    @property
    def drained(self) -> bool:
        """Whether nothing is in hand any more."""
        ...

    def stop_taking(self) -> None:
        """Take no further unit."""
        ...

    async def close(self) -> None:
        """Stop at once."""
        ...


class Starting(Acting, Protocol):
    """An owner that is still to begin."""

    async def start(self) -> None:
        """Begin; raises BusError."""
        ...


Owner = TypeVar("Owner", bound=Starting)


async def begun(owner: Owner) -> Owner:
    """The owner, at work. If it cannot begin, or is cancelled while it does, nothing of it is left."""
    async with AsyncExitStack() as undo:
        undo.push_async_callback(owner.close)
        await owner.start()
        undo.pop_all()
    return owner


@runtime_checkable
class Escalating(Protocol):
    """An owner that may find that nothing it does helps its children."""

    @property
    def escalation(self) -> Escalation | None:
        """What it asks of its supervisor."""
        ...


def _holding(branch: str, epoch: int, acting: Acting) -> Holding:
    trouble = acting.escalation if isinstance(acting, Escalating) else None
    if trouble is None:
        return Holding(branch=branch, epoch=epoch)
    return Holding(branch=branch, epoch=epoch, escalated=trouble.reason, out_of_reach=trouble.out_of_reach)


Begin = Callable[[Claimed, Callable[[str, bool], None]], Awaitable[Acting | None]]


class Branches:
    """What this instance owns of one kind of branch. `begin(claim, gave_up)` starts an owner."""

    def __init__(
        self, context: Context, kind: Literal["root", "zone", "pod"], begin: Begin, changed: Callable[[], None]
    ) -> None:
        self.context = context
        self.kind = kind
        self.held: dict[str, tuple[int, Acting]] = {}
        self._begin = begin
        self._changed = changed
        self._beginning: dict[str, int] = {}
        self._given_up: dict[str, int] = {}
        """Of what its owner has given up, the epoch: until it is told who came after."""
        self._claims: asyncio.Queue[Claimed | GaveUp] = asyncio.Queue(CLAIMS_MAX)
        self._lanes: dict[str, deque[Claimed | GaveUp]] = {}
        """Of each branch that has any, what is still to be done, in order."""

    def holdings(self) -> list[Holding]:
        """For the heartbeat."""
        held = {branch: _holding(branch, epoch, acting) for branch, (epoch, acting) in self.held.items()}
        begins = {branch: Holding(branch=branch, epoch=epoch) for branch, epoch in self._beginning.items()}
        return list((held | begins).values())

    async def follow(self) -> None:
        """Hear the claims; before the first heartbeat, so that none that names us is missed."""
        zone = self.context.settings.zone or "*"
        key = {"pod": "pod.*", "zone": f"zone.{zone}", "root": f"zone.{ROOT}"}[self.kind]
        subject = subjects.event(ROOT if self.kind == "root" else zone, key, "claimed")
        await self.context.bus.subscribe(subject, self._on_claim)

    def _on_claim(self, subject: str, data: bytes, headers: Mapping[str, str] | None) -> None:
        zone, _, _ = subjects.parse_log(subject)
        event = codec.event_of(data)
        if event is None or (zone == ROOT) != (self.kind == "root"):
            return
        branch = f"{zone}.{event.id}" if self.kind == "pod" else zone
        self._claims.put_nowait(
            Claimed(branch, int((headers or {}).get("Nats-Sequence", "0")), event, self.context.now_s())
        )

    async def run(self) -> None:
        """Begin and end owners, in order for each branch, until cancelled."""
        async with asyncio.TaskGroup() as lanes:
            while True:
                item = await self._claims.get()
                lane = self._lanes.get(item.branch)
                if lane is not None:
                    lane.append(item)
                elif self._concerns(item):
                    self._lanes[item.branch] = deque([item])
                    lanes.create_task(self._serve(item.branch), name=f"claims of {item.branch}")

    def _concerns(self, item: Claimed | GaveUp) -> bool:
        if item.branch in self.held or item.branch in self._given_up:
            return True
        return isinstance(item, Claimed) and item.event.owner == self.context.instance

    async def _serve(self, branch: str) -> None:
        """Do what is to be done about a branch; a claim that has been followed by another is not begun."""
        lane = self._lanes[branch]
        while lane:
            item = lane.popleft()
            if isinstance(item, GaveUp):
                if branch in self.held and self.held[branch][0] == item.epoch:
                    await self._end(branch)
            elif not any(later.epoch > item.epoch for later in lane):
                await self._on(item)
            self._changed()
        del self._lanes[branch]

    async def _on(self, claim: Claimed) -> None:
        held = self.held.get(claim.branch)
        epoch = held[0] if held is not None else self._given_up.get(claim.branch, 0)
        if claim.epoch <= epoch:
            return
        self._given_up.pop(claim.branch, None)
        if epoch:  # it owns it still, or was refused before it heard of the claim
            self.context.log.warning(
                "replaced as owner", branch=claim.branch, epoch=epoch, by=claim.event.owner, new_epoch=claim.epoch
            )
            await self._end(claim.branch)
        if claim.event.owner != self.context.instance:
            return

        ended = False

        def gave_up(reason: str, fenced: bool) -> None:
            nonlocal ended
            ended = True
            self.context.log.error(
                "owner gives up and waits to be claimed anew",
                branch=claim.branch,
                epoch=claim.epoch,
                reason=reason,
                fenced=fenced,
            )
            self._given_up[claim.branch] = claim.epoch
            self._claims.put_nowait(GaveUp(claim.branch, claim.epoch))

        self._beginning[claim.branch] = claim.epoch
        self._changed()
        try:
            acting = await self._begin(claim, gave_up)
        except BusError as error:
            self.context.log.error(
                "cannot begin as owner and waits to be claimed anew",
                branch=claim.branch,
                epoch=claim.epoch,
                reason=str(error),
            )
            return
        finally:
            del self._beginning[claim.branch]
        if acting is not None and ended:  # it gave up while it began: nobody else would end it
            await acting.close()
        elif acting is not None:
            self.held[claim.branch] = (claim.epoch, acting)
            self.context.metrics.gauge(names.OWNER_EPOCH, *parse_branch(claim.branch)).set(claim.epoch)
            self.context.log.info(
                "owner of a branch", branch=claim.branch, epoch=claim.epoch, reason=claim.event.reason
            )

    async def _end(self, branch: str) -> None:
        held = self.held.pop(branch, None)
        if held is not None:
            self.context.metrics.gauge(names.OWNER_EPOCH, *parse_branch(branch)).set(0)
            await held[1].close()

    async def end_all(self) -> None:
        """Stop at once whatever is still held."""
        for branch in list(self.held):
            await self._end(branch)


async def hand_over(context: Context, leave: Callable[[], None], *owned: Branches) -> None:
    """Planned end: finish what is in hand, say that we leave, and wait (bounded) until others were claimed for.

    Branches of several kinds end together: whoever says that it leaves is succeeded in all that it holds, so by then
    nothing of any kind may be in hand; and one after the other they could take longer than we are given to stop.
    """

    def held() -> list[tuple[str, Acting]]:
        return [(branch, acting) for branches in owned for branch, (_, acting) in branches.held.items()]

    for _, acting in held():
        acting.stop_taking()
    try:
        async with asyncio.timeout(DRAIN_S):
            while not all(acting.drained for _, acting in held()):
                await asyncio.sleep(0.01)
    except TimeoutError:
        context.log.warning("units in hand did not end in time; the next owner finds out what became of them")
    leave()
    try:
        async with asyncio.timeout(SUCCESSION_S):
            while held():
                await asyncio.sleep(0.01)
    except TimeoutError:
        context.log.warning("nobody took over yet", branches=[branch for branch, _ in held()])
    for branches in owned:
        await branches.end_all()
