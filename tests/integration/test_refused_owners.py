"""An owner that acts after it was replaced is refused by the real log and device: counted, and told by whom."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs
from tests.support.contexts import context_of
from tests.support.device import Wire, request
from tests.support.scrape import scrape
from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.bus.nats_bus import NatsBus
from treeward.runtime import codec
from treeward.runtime.owner_loop import OwnerLoop
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision.zone_owner import ZoneOwner
from treeward.telemetry import names

ZONE, KEY, POD = "zone-a", "vm.web-1", "pod.a1"
CLAIM = subjects.claim_of_zone(ZONE)


async def claimed(bus: NatsBus, owner: str, *, after: int) -> int:
    event = Event(
        type=EventType.CLAIMED, zone=ZONE, kind="zone", id=ZONE, life=after, at=datetime.now(UTC), owner=owner
    )  # fmt: skip
    draft = codec.draft_of(event, instance="root", trace=None)
    position = await bus.append_expecting(streams.log(ZONE), draft, subject=CLAIM, position=after)
    assert isinstance(position, int)
    return position


async def test_a_stale_append_is_counted_and_told_with_resource_life_and_the_claim_that_came_after(
    bus: NatsBus,
) -> None:
    """The owner has not heard that another was claimed; it takes a unit, and the log refuses what it says of it."""
    context = context_of(bus, "zone-supervisor", "here")
    gave_up: list[tuple[str, bool]] = []
    epoch = await claimed(bus, "here", after=0)
    owner = ZoneOwner(ZONE, epoch, context.limits)
    loop = OwnerLoop(
        context, owner, zone=ZONE, partition="zone", claim_subject=CLAIM, claimed_s=context.now_s(),
        gave_up=lambda reason, fenced: gave_up.append((reason, fenced)),
    )  # fmt: skip
    owner.on_fold_complete()
    await loop.start()
    successor = await claimed(bus, "another", after=epoch)
    spec = {"device": "tcp://127.0.0.1:1"}
    unit = Message(epoch=epoch, life=epoch, ticket=5, previous=0, operation="create", spec=spec)
    with capture_logs() as lines:
        bus.publish(subjects.mailbox(ZONE, "zone", POD), codec.message_bytes(unit))
        await until(lambda: gave_up, "the end of the owner")
    await loop.close()
    assert [fenced for _, fenced in gave_up] == [True]
    assert context.metrics.counter(names.APPENDS_REFUSED, ZONE).total == 1
    (line,) = [line for line in lines if line["event"] == "the log refused a stale append: two owners acted"]
    told = (line["log_level"], line["zone"], line["resource"], line["ticket"], line["life"], line["epoch"])
    assert told == ("error", ZONE, POD, 5, epoch, epoch)
    assert line["reason"] == f"wrong last sequence: {successor}"


class Fenced:
    """A pod agent that runs, at whose device somebody of a later life has been."""

    def __init__(self, centre: Stack) -> None:
        self.centre = centre
        self.log = centre.centre.folder.logs / "pod-agent-1.log"

    async def somebody_else_was_there(self, life: int) -> None:
        wire = await Wire.open(self.centre.centre.device)
        said = await wire.ask(**request("synchronize", KEY, life=life, owner="somebody-else", host="a1-h1"))
        assert said.status == "ok", said
        await wire.close()

    async def counted(self) -> float | None:
        return await asyncio.to_thread(scrape, self.log, f"{names.DEVICE_FENCED.name}_total", zone=ZONE)

    def lines(self, message: str) -> list[dict[str, Any]]:
        told = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in told if line["message"] == message]


async def test_a_call_that_a_device_refuses_is_shown_by_its_agent_with_who_and_which_life(tmp_path: Path) -> None:
    """The agent stops at once, says so, and is claimed anew: the unit is completed in a later life."""
    async with stack(tmp_path) as centre:
        agent = Fenced(centre)
        await centre.wait_for_outcome(ZONE, await centre.submit(f"{ZONE}.{KEY}", "create"))
        (claim,) = [row for row in centre.events if row.event.key == POD and row.event.type == "claimed"]
        accepted = centre.events[-1].position
        await agent.somebody_else_was_there(accepted)
        ticket = await centre.submit(f"{ZONE}.{KEY}", "stop")
        assert (await centre.wait_for_outcome(ZONE, ticket)).type == "completed"

        assert await agent.counted() == 1
        (refused,) = agent.lines("the device refused a stale life: two owners acted")
        own = {"level": "error", "zone": ZONE, "resource": KEY, "epoch": claim.position}
        own |= {"accepted_life": accepted, "accepted_owner": "somebody-else", "instance": claim.event.owner}
        assert own.items() <= refused.items()
        assert refused["life"] < accepted
        (stopped,) = agent.lines("owner gives up and waits to be claimed anew")
        assert (stopped["branch"], stopped["epoch"], stopped["fenced"]) == ("zone-a.a1", claim.position, True)
        (replaced,) = agent.lines("replaced as owner")
        again = [row for row in centre.events if row.event.key == POD and row.event.type == "claimed"][-1]
        assert (replaced["epoch"], replaced["new_epoch"]) == (claim.position, again.position)
        assert replaced["by"] == again.event.owner
