"""What stands between an owner and its log, WORK and its history, a device and its memory: in virtual time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.support.world import ZONE, World, world

from treeward.bus.interface import Since, Start
from treeward.orchestrator.dispatching import Dispatching
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.owner_loop import OwnerLoop
from treeward.schemas import streams, subjects
from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.streams import Retention
from treeward.simulation.bus import SimulatedBus
from treeward.simulation.device_link import DeviceLink
from treeward.simulation.link import Link
from treeward.simulation.program import Program
from treeward.simulation.server import BusServer
from treeward.supervision.pod_owner import PodOwner
from treeward.telemetry import names

KEY, POD = "vm.web-1", "pod-1"
DEVICE = f"tcp://{POD}:1"
CLAIM = subjects.claim_of_pod(ZONE, POD)


class Alone:
    """A zone's log and mailbox, in which the test says what others have said."""

    def __init__(self) -> None:
        self.world = World(orchestrators=0, supervisors=0, agents=0, latency_s=0.001, limits={})
        self.world.server.provision(ZONE, Retention())
        self.epoch = self.claim("agent-1")
        self.placed = self.log(Event(**self.said(EventType.PLACED, KEY), pod=POD, host="host-1", reserves={}))

    def said(self, type_: EventType, key: str, **fields: Any) -> dict[str, Any]:
        kind, _, id_ = key.partition(".")
        told = {"type": type_, "zone": ZONE, "kind": kind, "id": id_, "life": 1}
        return told | {"at": datetime(2026, 1, 1, tzinfo=UTC)} | fields

    def claim(self, instance: str) -> int:
        return self.log(Event(**self.said(EventType.CLAIMED, f"pod.{POD}"), owner=instance, definition={}))

    def log(self, event: Event) -> int:
        draft = codec.draft_of(event, instance="somebody", trace=None)
        position = self.world.server.append(streams.log(ZONE), draft, None, None)
        assert isinstance(position, int)
        return position


class Pod(Alone):
    """One pod's owner with its log, mailbox and device, and nobody else."""

    def __init__(self) -> None:
        super().__init__()
        self.gave_up: list[bool] = []
        """Whether it was fenced, each time that it gave up."""
        self.context: Context | None = None
        self.world.trace.loud = True
        self.world.add("agent-1", self._own)
        self.world.start("agent-1")
        self.world.run_for(0.1)

    def send(self, ticket: int, operation: str) -> None:
        unit = Message(epoch=self.epoch, life=self.placed, ticket=ticket, previous=0, operation=operation)
        self.world.server.publish(subjects.mailbox(ZONE, POD, KEY), codec.message_bytes(unit))

    def counted(self, metric: names.Metric) -> int:
        """What a scrape of its program would say of the zone."""
        assert self.context is not None
        return self.context.metrics.counter(metric, ZONE).total

    def logged(self, sentence: str) -> list[dict[str, str]]:
        """The fields of each line of its log that begins with this."""
        lines = [line.words for line in self.world.trace.details if line.what == "log"]
        return [
            dict(word.split("=", 1) for word in fields)
            for told, *fields in lines
            if told.startswith(f"agent-1-1: {sentence}")
        ]

    async def _own(self, program: Program, context: Context, stopping: asyncio.Event) -> None:
        centre, self.context = self.world, context
        link = DeviceLink(centre.device(DEVICE), centre.loop, program.chance, program.call)
        owner = OwnerLoop(
            context,
            PodOwner(ZONE, POD, self.epoch, context.limits),
            zone=ZONE,
            partition=POD,
            claim_subject=CLAIM,
            claimed_s=context.now_s(),
            gave_up=lambda _reason, fenced: self.gave_up.append(fenced),
            device=program.device_link(link),
        )
        await owner.start()
        await stopping.wait()


@contextmanager
def pod() -> Iterator[Pod]:
    alone = Pod()
    try:
        yield alone
    finally:
        alone.world.close()


def test_an_owner_that_was_replaced_can_say_nothing_and_stops() -> None:
    """It has not heard of the claim: the log itself refuses what it says (DESIGN 3.1)."""
    with pod() as alone:
        alone.claim("agent-2")
        before = alone.world.types(KEY)
        alone.send(5, "create")
        alone.world.until(lambda: alone.gave_up, "the end of the owner")
        assert (alone.gave_up, alone.world.types(KEY)) == ([True], before)


def test_a_stale_append_that_the_log_refused_is_counted_and_told_with_who_and_which_life() -> None:
    with pod() as alone:
        alone.claim("agent-2")
        alone.send(5, "create")
        alone.world.until(lambda: alone.gave_up, "the end of the owner")
        assert (alone.counted(names.APPENDS_REFUSED), alone.counted(names.DEVICE_FENCED)) == (1, 0)
        (line,) = alone.logged("the log refused a stale append: two owners acted")
        told = (line["zone"], line["resource"], line["ticket"], line["life"], line["epoch"])
        assert told == (ZONE, KEY, "5", str(alone.placed), str(alone.epoch))


def test_a_call_that_the_device_refused_is_counted_and_told_with_who_and_which_life() -> None:
    """The next owner has been at the device; this one has heard nothing of it, and has nothing to append."""
    with pod() as alone:
        device, answers = alone.world.device(DEVICE), list[Answer]()
        own = {"zone": ZONE, "kind": "vm", "id": "web-1", "verb": "synchronize"}
        device.handle(1, own | {"life": alone.placed + 7, "owner": "agent-2", "host": "host-1"}, answers.append)
        alone.world.until(lambda: answers, "the next owner's answer")
        alone.send(5, "create")
        alone.world.until(lambda: alone.gave_up, "the end of the owner")
        assert alone.gave_up == [True]
        assert (alone.counted(names.APPENDS_REFUSED), alone.counted(names.DEVICE_FENCED)) == (0, 1)
        (line,) = alone.logged("the device refused a stale life: two owners acted")
        assert line == {
            "zone": ZONE, "resource": KEY, "life": str(alone.placed), "epoch": str(alone.epoch),
            "accepted_life": str(alone.placed + 7), "accepted_owner": "agent-2",
        }  # fmt: skip


def test_an_owner_that_cannot_know_whether_it_was_heard_gives_up() -> None:
    with pod() as alone:
        alone.world.server.trouble.doubt = 1.0
        alone.send(5, "create")
        alone.world.until(lambda: alone.gave_up, "the end of the owner")
        assert alone.gave_up == [False]


def test_a_second_event_of_a_resource_is_not_on_its_way_while_the_first_may_come_behind_it() -> None:
    """`ready` is refused for a passing reason and repeated; the outcome would be stored before it (PROTOCOL H16)."""
    with pod() as alone:
        centre, device = alone.world, alone.world.device(DEVICE)
        device.trouble.hang = 1.0
        centre.server.trouble.passing = 1.0
        alone.send(5, "create")
        centre.until(lambda: centre.books.entries, "the call has begun")
        centre.run_for(0.01)
        centre.server.trouble.passing = 0.0
        device.clear()
        centre.until(lambda: "completed" in centre.types(KEY), "the outcome")
        centre.run_for(1.0)
        assert centre.types(KEY) == ["placed", "ready", "completed"]


class TwoWays(SimulatedBus):
    """The log comes from another server than all else, and slowly, as it may where there are three."""

    def __init__(self, server: BusServer, link: Link, other: Link) -> None:
        super().__init__(server, link, "two-ways")
        self._other = SimulatedBus(server, other, "two-ways")

    async def read(self, stream: str, subject_filter: str, start: int | Start | Since, *rest: Any, **more: Any) -> Any:
        if stream != streams.log(ZONE) or not isinstance(start, int):
            return await super().read(stream, subject_filter, start, *rest, **more)
        reader = await self._other.read(stream, subject_filter, start, *rest, **more)
        self._other.link.extra_s[1] = 20.0
        return reader


def test_nothing_is_sent_to_a_life_before_the_log_was_read_up_to_its_claim() -> None:
    """The dispatcher has the claim from elsewhere, and not yet what was answered before it (R3)."""

    async def dispatch(program: Program, context: Context, _stopping: asyncio.Event) -> None:
        assert program.link is not None
        other = Link(alone.world.loop, program.chance, copy_context(), 0.001)
        bus = TwoWays(alone.world.server, program.link, other)
        await Dispatching(replace(context, bus=bus), ZONE).run()

    alone = Alone()
    centre, mailbox = alone.world, alone.world.server.stream(streams.mailbox(ZONE))
    centre.submit(KEY, "start")
    centre.add("dispatcher", dispatch)
    centre.start("dispatcher")
    centre.until(lambda: centre.server.stream(streams.log(ZONE)).consumers, "it follows the log")
    epoch = alone.claim("agent-2")
    centre.run_for(10.0)
    assert not mailbox.messages
    centre.until(lambda: mailbox.messages, "the unit")
    sent = codec.message_of(next(iter(mailbox.messages.values())).data)
    assert sent is not None
    assert (sent.epoch, sent.life) == (epoch, epoch)
    centre.close()


def test_nothing_leaves_work_before_its_history_has_it() -> None:
    """A mirror may stand still after a fault of a server, and copies nothing that is gone by then."""
    with world() as centre:
        work, history = streams.work(ZONE), streams.work_history(ZONE)
        centre.server.stall(history)
        ticket = centre.submit("vm.one", "create")
        centre.until(lambda: (ZONE, ticket) in centre.answered, "an outcome")
        centre.run_for(10.0)
        assert ticket in centre.server.stream(work).messages
        centre.server.resume(history)
        centre.until(lambda: ticket not in centre.server.stream(work).messages, "it is forgotten")
        assert ticket in centre.server.stream(history).messages


def stuck_below_others(centre: World) -> tuple[int, list[int]]:
    """A unit is called and not answered; the tickets of it and of six others that come after it."""
    centre.done("vm.one", "create")
    devices = [centre.device_of(pod) for pod in ("pod-1", "pod-2")]
    for device in devices:
        device.trouble.hang = 1.0
    stuck = centre.submit("vm.one", "stop")
    centre.until(lambda: centre.books.entries[-1].ticket == stuck, "its call has begun")
    for device in devices:
        device.trouble.hang = 0.0
    return stuck, [centre.submit(f"vm.other-{number}", "create") for number in range(6)]


def test_what_is_not_answered_stays_in_work_whatever_is_answered_around_it() -> None:
    with world(pods=2, answered_above_max=2) as centre:
        stuck, others = stuck_below_others(centre)
        behind = centre.submit("vm.one", "start")
        messages = centre.server.stream(streams.work(ZONE)).messages
        centre.until(lambda: not any(ticket in messages for ticket in others), "they are answered, and forgotten")
        assert [ticket in messages for ticket in (stuck - 1, stuck, behind)] == [False, True, True]


def test_above_a_unit_that_is_stuck_nothing_leaves_work_before_its_history_has_it_either() -> None:
    with world(pods=2, answered_above_max=2) as centre:
        history = streams.work_history(ZONE)
        centre.server.stall(history)
        _, others = stuck_below_others(centre)
        centre.until(lambda: all((ZONE, ticket) in centre.answered for ticket in others), "an outcome of each")
        centre.run_for(5.0)
        assert set(others) <= set(centre.server.stream(streams.work(ZONE)).messages)
        centre.server.resume(history)
        assert set(others) <= set(centre.server.stream(history).messages)


def test_the_simulated_device_remembers_what_it_has_answered_for_longer_than_the_object() -> None:
    with world() as centre:
        created = centre.done("vm.one", "create")
        centre.done("vm.one", "destroy")
        answers: list[Answer] = []
        copy: dict[str, Any] = {"zone": ZONE, "kind": "vm", "id": "one", "verb": "call", "operation": "create"}
        copy |= {"life": created.life, "owner": "agent-1", "ticket": created.ticket, "host": created.host}
        device, carried_out = centre.device_of("pod-1"), len(centre.books.entries)
        device.handle(1, copy | {"owner": device.records[f"{ZONE}.vm.one"].owner}, answers.append)
        centre.run_for(1.0)
        assert [(answer.status, answer.exists) for answer in answers] == [(Status.APPLIED, False)]
        assert len(centre.books.entries) == carried_out
