"""What an instance holds: begun and ended by claims, told as held from the claim on, never held after giving up."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs
from tests.support.contexts import context_of
from tests.support.until import until

from treeward.bus.nats_bus import NatsBus
from treeward.runtime import codec
from treeward.runtime.branches import Branches, Claimed
from treeward.schemas import subjects
from treeward.schemas.events import Event, EventType

HERE = "pod-agent-here"


class Owner:
    """An owner that does nothing but remember."""

    drained = True

    def __init__(self, claim: Claimed) -> None:
        self.claim = claim
        self.closed = False

    def stop_taking(self) -> None:
        """There is nothing to take."""

    async def close(self) -> None:
        self.closed = True


class Agent:
    """An instance whose owners begin when the test lets them."""

    def __init__(self, bus: NatsBus) -> None:
        self.bus = bus
        self.branches = Branches(context_of(bus, "pod-agent", HERE), "pod", self.begin, lambda: None)
        self.may_begin: dict[str, asyncio.Event] = {}
        self.owners: list[Owner] = []
        self.gave_up: dict[str, Callable[[str, bool], None]] = {}

    async def begin(self, claim: Claimed, gave_up: Callable[[str, bool], None]) -> Owner:
        self.gave_up[claim.branch] = gave_up
        await self.may_begin.setdefault(claim.branch, asyncio.Event()).wait()
        self.owners.append(Owner(claim))
        return self.owners[-1]

    def claim(self, pod: str, epoch: int, owner: str = HERE) -> None:
        at = datetime.now(UTC)
        event = Event(type=EventType.CLAIMED, zone="zone-a", kind="pod", id=pod, life=1, at=at, owner=owner)
        data = codec.draft_of(event, instance="test", trace=None).data
        self.bus.publish(subjects.event("zone-a", f"pod.{pod}", "claimed"), data, {"Nats-Sequence": str(epoch)})

    @property
    def told(self) -> set[tuple[str, int]]:
        return {(holding.branch, holding.epoch) for holding in self.branches.holdings()}


@pytest.fixture
async def agent(bus: NatsBus) -> AsyncIterator[Agent]:
    agent = Agent(bus)
    await agent.branches.follow()
    running = asyncio.create_task(agent.branches.run())
    yield agent
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled()


async def test_a_branch_that_begins_slowly_holds_up_no_other_and_is_told_as_held(agent: Agent) -> None:
    agent.may_begin["zone-a.a2"] = asyncio.Event()
    agent.may_begin["zone-a.a2"].set()
    agent.claim("a1", 5)
    agent.claim("a2", 6)
    await until(lambda: "zone-a.a2" in agent.branches.held)
    assert "zone-a.a1" not in agent.branches.held
    assert agent.told == {("zone-a.a1", 5), ("zone-a.a2", 6)}


async def test_who_gives_up_while_it_begins_is_closed_and_not_held(agent: Agent) -> None:
    agent.claim("a1", 5)
    await until(lambda: "zone-a.a1" in agent.gave_up)
    agent.gave_up["zone-a.a1"]("refused", True)
    agent.may_begin["zone-a.a1"].set()
    await until(lambda: agent.owners and agent.owners[0].closed)
    assert agent.told == set()


async def test_a_claim_that_was_followed_by_another_is_not_begun(agent: Agent) -> None:
    agent.claim("a1", 5)
    await until(lambda: "zone-a.a1" in agent.gave_up)
    agent.claim("a1", 7)
    agent.claim("a1", 8, owner="another")
    agent.claim("a2", 9)
    await until(lambda: "zone-a.a2" in agent.gave_up)
    agent.may_begin["zone-a.a1"].set()
    await until(lambda: agent.owners and agent.owners[0].closed)
    assert [owner.claim.epoch for owner in agent.owners] == [5]
    assert agent.told == {("zone-a.a2", 9)}


async def test_giving_up_an_old_epoch_does_not_end_the_new(agent: Agent) -> None:
    agent.may_begin["zone-a.a1"] = asyncio.Event()
    agent.may_begin["zone-a.a1"].set()
    agent.claim("a1", 5)
    await until(lambda: agent.told == {("zone-a.a1", 5)} and agent.owners)
    old = agent.gave_up["zone-a.a1"]
    agent.claim("a1", 6)
    await until(lambda: len(agent.owners) == 2)
    old("in doubt", False)
    agent.may_begin["zone-a.a2"] = agent.may_begin["zone-a.a1"]
    agent.claim("a2", 9)
    await until(lambda: ("zone-a.a2", 9) in agent.told)
    assert ("zone-a.a1", 6) in agent.told and not agent.owners[1].closed


async def test_an_older_claim_that_is_heard_late_neither_ends_nor_begins_an_owner(agent: Agent) -> None:
    agent.may_begin["zone-a.a1"] = agent.may_begin["zone-a.a2"] = asyncio.Event()
    agent.may_begin["zone-a.a1"].set()
    agent.claim("a1", 8)
    await until(lambda: "zone-a.a1" in agent.branches.held)
    agent.claim("a1", 5, owner="another")
    agent.claim("a1", 6)
    agent.claim("a2", 9)
    await until(lambda: "zone-a.a2" in agent.branches.held)
    agent.claim("a1", 10)
    await until(lambda: agent.branches.held["zone-a.a1"][0] == 10)
    assert [owner.claim.epoch for owner in agent.owners if owner.claim.branch == "zone-a.a1"] == [8, 10]


async def test_who_gave_up_before_it_heard_of_the_claim_still_tells_by_whom_it_was_replaced(agent: Agent) -> None:
    """The log refused it: the claim is there, and has yet to come this way."""
    agent.may_begin["zone-a.a1"] = agent.may_begin["zone-a.a2"] = asyncio.Event()
    agent.may_begin["zone-a.a1"].set()
    agent.claim("a1", 5)
    await until(lambda: "zone-a.a1" in agent.branches.held)
    with capture_logs() as lines:
        agent.gave_up["zone-a.a1"]("the log refused an append: wrong last sequence: 8 (10071)", True)
        await until(lambda: agent.owners[0].closed)
        agent.claim("a1", 3, owner="older")
        agent.claim("a1", 8, owner="another")
        await until(lambda: len(lines) == 2)
        agent.claim("a1", 9, owner="a-third")
        agent.claim("a2", 10)
        await until(lambda: "zone-a.a2" in agent.branches.held)
    said = [line for line in lines if line["log_level"] != "info"]
    gave_up = {"event": "owner gives up and waits to be claimed anew", "log_level": "error", "fenced": True}
    gave_up |= {"reason": "the log refused an append: wrong last sequence: 8 (10071)"}
    replaced = {"event": "replaced as owner", "log_level": "warning", "by": "another", "new_epoch": 8}
    assert said == [one | {"branch": "zone-a.a1", "epoch": 5} for one in (gave_up, replaced)]
