"""The suite for two buses, second part: what readers are given, what is republished, and what is heard."""

import asyncio
import json
from collections.abc import Mapping

from tests.support.seen import Seen
from tests.support.two_buses import CLAIM, POD_CLAIM, ZONE, CarryOut, append, claim, submit
from tests.support.until import until

from treeward.bus.interface import (
    Bus,
    Guard,
    Refused,
    Since,
    Start,
)
from treeward.schemas import streams, subjects
from treeward.schemas.streams import Retention


def test_a_reader_gives_what_was_there_and_what_comes_and_says_when_it_has_caught_up(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        await submit(bus, b"1", b"2")
        seen = Seen()
        reader = await seen.read(bus, streams.work(ZONE), subjects.work_of_zone(ZONE), 1)
        await until(lambda: seen.caught_up_at)
        assert seen.caught_up_at == [2]
        await submit(other, b"3", key="vm.web-2")
        await until(lambda: len(seen.messages) == 3)
        assert seen.positions == [1, 2, 3]
        assert seen.messages[2].subject == subjects.work(ZONE, "vm.web-2")
        assert reader.position == 3
        await reader.close()
        await submit(other, b"4")
        assert seen.positions == [1, 2, 3]
        assert (seen.lost, seen.caught_up_at) == (0, [2])

    carry_out(scenario)


def test_a_reader_of_an_empty_stream_has_caught_up_at_once(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        seen = Seen()
        await seen.read(bus, streams.work(ZONE), subjects.work_of_zone(ZONE), 1)
        await until(lambda: seen.caught_up_at == [0])

    carry_out(scenario)


def test_a_reader_may_begin_at_a_position_or_with_what_is_new(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        await submit(bus, b"1", b"2", b"3")
        from_two, new = Seen(), Seen()
        await from_two.read(bus, streams.work(ZONE), subjects.work_of_zone(ZONE), 2)
        await new.read(bus, streams.work(ZONE), subjects.work_of_zone(ZONE), Start.NEW)
        await until(lambda: from_two.caught_up_at)
        await submit(other, b"4")
        await until(lambda: len(from_two.messages) == 3 and new.messages)
        assert from_two.positions == [2, 3, 4]
        assert new.positions == [4]

    carry_out(scenario)


def test_a_reader_may_begin_with_the_last_of_each_subject(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        assert await claim(bus, 0) == 1
        assert await claim(bus, 0, POD_CLAIM) == 2
        assert await claim(bus, 1) == 3
        seen = Seen()
        await seen.read(bus, streams.log(ZONE), subjects.claims_of_zone_and_pods(ZONE), Start.LAST_PER_SUBJECT)
        await until(lambda: seen.caught_up_at)
        assert seen.positions == [2, 3]
        assert await append(other, Guard(CLAIM, 3), "ready") == [4]
        assert await claim(other, 2, POD_CLAIM) == 5
        await until(lambda: len(seen.messages) == 3)
        assert seen.positions == [2, 3, 5]

    carry_out(scenario)


def test_a_reader_may_begin_at_a_time(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        await submit(bus, b"1")
        await asyncio.sleep(0.05)  # the two are to have times that differ
        await submit(bus, b"2")
        second = await bus.get(streams.work(ZONE), 2)
        assert second is not None
        seen = Seen()
        await seen.read(bus, streams.work(ZONE), subjects.work_of_zone(ZONE), Since(second.time_s - 0.02))
        await submit(other, b"3")
        await until(lambda: len(seen.messages) == 2)
        assert seen.positions == [2, 3]

    carry_out(scenario)


def test_a_reader_from_the_beginning_takes_what_a_purge_has_left(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        await submit(bus, b"1", b"2", b"3")
        await bus.purge(streams.work(ZONE), below=3)
        seen = Seen()
        await seen.read(bus, streams.work(ZONE), subjects.work_of_zone(ZONE), 1, purged_is_fine=True)
        await until(lambda: seen.caught_up_at)
        assert seen.positions == [3]
        assert seen.lost == 0

    carry_out(scenario)


# core


def test_what_the_log_stores_is_republished_with_its_position_and_what_it_refuses_is_not(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        heard: list[tuple[str, bytes, Mapping[str, str] | None]] = []
        await other.subscribe(f"tw.event.{ZONE}.>", lambda *message: heard.append(message))
        assert await other.request("nobody.listens", b"", timeout_s=0.5) is None  # and the subscription is there
        assert await claim(bus, 0, body=b"mine") == 1
        assert isinstance(await claim(bus, 0, body=b"late"), Refused)
        assert await append(bus, Guard(CLAIM, 1), "ready") == [2]
        await until(lambda: len(heard) == 2)
        subject, body, headers = heard[0]
        assert (subject, body) == (subjects.event(ZONE, f"zone.{ZONE}", "claimed"), b"mine")
        assert (headers or {})["Nats-Sequence"] == "1"
        assert heard[1][1] == b"ready"
        assert (heard[1][2] or {})["h"] == "ready"

    carry_out(scenario)


def test_a_mailbox_takes_plain_publishes(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        seen = Seen()
        await seen.read(bus, streams.mailbox(ZONE), subjects.mailbox_of(ZONE, "pod-1"), Start.NEW)
        other.publish(subjects.mailbox(ZONE, "pod-2", "vm.web-1"), b"for another")
        other.publish(subjects.mailbox(ZONE, "pod-1", "vm.web-1"), b"for us")
        await until(lambda: seen.messages)
        assert seen.bodies == [b"for us"]
        assert seen.positions == [2]

    carry_out(scenario)


def test_who_reads_a_mailbox_that_is_made_anew_is_told_or_goes_on_from_its_beginning(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        mailbox, ours = streams.mailbox(ZONE), subjects.mailbox_of(ZONE, "pod-1")
        subject = subjects.mailbox(ZONE, "pod-1", "vm.web-1")
        from_position, new, after = Seen(), Seen(), Seen()
        await from_position.read(bus, mailbox, ours, 1)
        await new.read(bus, mailbox, ours, Start.NEW)
        other.publish(subject, b"before")
        other.publish(subject, b"before")
        await until(lambda: from_position.positions == new.positions == [1, 2])
        was = await bus.state(mailbox)
        await other.make_mailbox_anew(ZONE, Retention())
        other.publish(subject, b"after")
        await until(lambda: from_position.lost and len(new.messages) == 3)
        now = await bus.state(mailbox)
        assert was is not None
        assert now is not None
        assert now.created_s > was.created_s
        assert (was.last, now.last) == (2, 1)
        assert (new.positions, new.bodies[2], new.lost) == ([1, 2, 1], b"after", 0)
        await after.read(bus, mailbox, ours, 1)
        other.publish(subject, b"later")
        await until(lambda: len(after.messages) == 2 and len(new.messages) == 4)
        assert after.bodies == [b"after", b"later"]
        assert (from_position.lost, from_position.bodies) == (1, [b"before", b"before"])  # it was closed

    carry_out(scenario)


def test_a_mailbox_can_be_made_anew_again_and_again(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        await bus.make_mailbox_anew(ZONE, Retention())
        await other.make_mailbox_anew(ZONE, Retention())
        assert await bus.provision(ZONE, Retention()) == ()
        state = await bus.state(streams.mailbox(ZONE))
        assert state is not None
        assert (state.last, state.messages) == (0, 0)

    carry_out(scenario)


def test_subscribers_hear_what_is_published_until_they_close(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        heard: list[bytes] = []
        subscription = await bus.subscribe(
            "tw.presence.pod-agent.*", lambda _subject, data, _headers: heard.append(data)
        )
        await bus.request("nobody.listens", b"", timeout_s=0.5)
        other.publish("tw.presence.pod-agent.a", b"1")
        other.publish("tw.presence.orchestrator.a", b"2")
        other.publish("tw.presence.pod-agent.b", b"3")
        await until(lambda: len(heard) == 2)
        await subscription.close()
        await bus.request("nobody.listens", b"", timeout_s=0.5)
        other.publish("tw.presence.pod-agent.a", b"4")
        await other.request("nobody.listens", b"", timeout_s=0.5)
        assert heard == [b"1", b"3"]

    carry_out(scenario)


def test_a_question_is_answered_or_nobody_is_there(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        async def answer(subject: str, body: bytes) -> bytes:
            return json.dumps({"to": subject, "was": body.decode()}).encode()

        serving = await bus.serve("tw.api.state.zone-a", answer)
        await bus.request("nobody.listens", b"", timeout_s=0.5)
        said = await other.request("tw.api.state.zone-a", b"hello", timeout_s=5.0)
        assert said is not None
        assert json.loads(said) == {"to": "tw.api.state.zone-a", "was": "hello"}
        await serving.close()
        await bus.request("nobody.listens", b"", timeout_s=0.5)
        assert await other.request("tw.api.state.zone-a", b"hello", timeout_s=1.0) is None

    carry_out(scenario)
