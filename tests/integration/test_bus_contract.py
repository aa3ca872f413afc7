"""One suite for two buses: what the simulation's bus does is what NATS does, as far as the services rely on it."""

import asyncio
from dataclasses import replace

import pytest
from tests.support.seen import Seen
from tests.support.two_buses import CLAIM, POD_CLAIM, ZONE, CarryOut, append, claim, submit
from tests.support.until import until

from treeward.bus.interface import (
    AppendResult,
    Bus,
    Draft,
    Guard,
    NoSuchZoneError,
    Refused,
    StreamDiffersError,
)
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.streams import Retention

# streams


def test_streams_are_made_once_and_never_changed(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        made = await bus.provision("zone-b", Retention())
        assert made == tuple(spec.name for spec in streams.streams_of("zone-b", Retention()))
        assert await bus.provision("zone-b", Retention()) == ()
        with pytest.raises(StreamDiffersError):
            await bus.provision("zone-b", replace(Retention(), log_age_s=1234.0))

    carry_out(scenario)


def test_a_stream_tells_its_positions(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        work = streams.work(ZONE)
        empty = await bus.state(work)
        assert empty is not None
        assert (empty.last, empty.messages) == (0, 0)
        await submit(bus, b"1", b"2", b"3")
        full = await other.state(work)
        assert full is not None
        assert (full.first, full.last, full.messages) == (1, 3, 3)
        assert full.created_s == empty.created_s
        assert full.replicas == 1
        assert await bus.state(streams.work("nowhere")) is None

    carry_out(scenario)


def test_a_purge_removes_what_is_below_and_keeps_the_count(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        work = streams.work(ZONE)
        await submit(bus, b"1", b"2", b"3")
        await bus.purge(work, below=3)
        await bus.purge(work, below=3)
        state = await other.state(work)
        assert state is not None
        assert (state.first, state.last, state.messages) == (3, 3, 1)
        assert await bus.get(work, 2) is None
        stored = await bus.get(work, 3)
        assert stored is not None
        assert stored.data == b"3"
        await bus.purge(work, below=4)
        state = await other.state(work)
        assert state is not None
        assert (state.first, state.last, state.messages) == (4, 3, 0)
        assert await submit(bus, b"4") == [4]

    carry_out(scenario)


def test_a_purge_of_one_subject_leaves_the_others_and_is_no_gap_to_readers(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        work, all_work = streams.work(ZONE), subjects.work_of_zone(ZONE)
        before, after = Seen(), Seen()
        await before.read(other, work, all_work, 1, purged_is_fine=True)
        await submit(bus, b"1")
        await submit(bus, b"2", b"3", key="vm.web-2")
        await submit(bus, b"4")
        await submit(bus, b"5", key="vm.web-2")
        await until(lambda: before.positions == [1, 2, 3, 4, 5])
        for _ in range(2):
            await bus.purge(work, below=5, subject=subjects.work(ZONE, "vm.web-2"))
        state = await other.state(work)
        assert state is not None
        assert (state.first, state.last, state.messages) == (1, 5, 3)
        await after.read(other, work, all_work, 1, purged_is_fine=True)
        await submit(bus, b"6")
        await until(lambda: before.positions[-1] == 6 and after.positions[-1:] == [6])
        assert after.positions == [1, 4, 5, 6]
        assert before.lost == after.lost == 0

    carry_out(scenario)


def test_the_history_keeps_what_is_purged_under_the_same_position(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        history = streams.work_history(ZONE)
        await submit(bus, b"1", b"2", b"3")

        async def copied() -> bool:
            state = await bus.state(history)
            return state is not None and state.last >= 3

        await until(copied)
        await bus.purge(streams.work(ZONE), below=4)
        stored = await bus.get(history, 2)
        assert stored is not None
        assert (stored.position, stored.data, stored.subject) == (2, b"2", subjects.work(ZONE, "vm.web-1"))

    carry_out(scenario)


def test_the_last_message_of_a_subject_or_wildcard(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        log = streams.log(ZONE)
        assert await bus.last(log, subjects.log_of_resource(ZONE, "vm.web-1")) is None
        epoch = await claim(bus, 0)
        assert epoch == 1
        await append(bus, Guard(CLAIM, 1), "ready", "completed")
        last = await other.last(log, subjects.log_of_resource(ZONE, "vm.web-1"), at_least=3)
        assert last is not None
        assert (last.position, last.data) == (3, b"completed")
        ready = await other.last(log, subjects.log(ZONE, "vm.web-1", "ready"))
        assert ready is not None
        assert ready.position == 2
        with pytest.raises(NoSuchZoneError):
            await bus.last(streams.log("nowhere"), "tw.log.nowhere.vm.x.ready")

    carry_out(scenario)


def test_the_bucket_holds_the_last_event_of_each_resource_and_says_where_it_is_from(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        assert await claim(bus, 0) == 1
        await append(bus, Guard(CLAIM, 1), "ready", "completed", key="vm.web-1")
        await append(bus, Guard(CLAIM, 1), "placed", key="vm.web-2")
        state, entry = streams.state(ZONE), streams.state_subject(ZONE, "vm.web-1")

        async def copied() -> bool:
            last = await bus.last(state, streams.state_subject(ZONE, "*.*"))
            return last is not None and codec.log_position_of(last) >= 4

        await until(copied)
        last = await bus.last(state, entry)
        assert last is not None
        assert last.data == b"completed"
        assert codec.log_position_of(last) == 3
        seen = Seen()
        reader = await seen.read(bus, state, streams.state_subject(ZONE, "*.*"), 1, purged_is_fine=True)
        await until(lambda: seen.caught_up_at)
        await reader.close()
        assert [codec.log_position_of(each) for each in seen.messages] == [1, 3, 4]

    carry_out(scenario)


# submit


def test_a_submit_is_answered_with_its_place_in_the_order(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        first = await bus.submit(subjects.work(ZONE, "vm.web-1"), b"{}")
        second = await other.submit(subjects.work(ZONE, "vm.web-2"), b"{}", headers={"traceparent": "x"})
        assert (first.stream, first.ticket, first.duplicate) == (streams.work(ZONE), 1, False)
        assert second.ticket == 2
        stored = await bus.get(streams.work(ZONE), 2)
        assert stored is not None
        assert (stored.headers or {})["traceparent"] == "x"

    carry_out(scenario)


def test_the_same_message_id_is_the_same_unit(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        subject = subjects.work(ZONE, "vm.web-1")
        first = await bus.submit(subject, b"1", message_id="once")
        await submit(bus, b"2")
        again = await other.submit(subject, b"1", message_id="once")
        assert (again.ticket, again.duplicate) == (first.ticket, True)

    carry_out(scenario)


def test_a_zone_that_nobody_defined_is_said_at_once(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        with pytest.raises(NoSuchZoneError):
            await bus.submit(subjects.work("nowhere", "vm.web-1"), b"{}")
        with pytest.raises(NoSuchZoneError):
            await Seen().read(bus, streams.work("nowhere"), subjects.work_of_zone("nowhere"), 1)

    carry_out(scenario)


# appends


def test_under_a_guard_that_holds_everything_is_stored_in_order(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        assert await claim(bus, 0) == 1
        results = await append(bus, Guard(CLAIM, 1), "ready", "completed", "failed", "crashed")
        assert results == [2, 3, 4, 5]
        stored = await bus.get(streams.log(ZONE), 3)
        assert stored is not None
        assert (stored.headers or {})["h"] == "completed"

    carry_out(scenario)


def test_what_one_resource_says_is_stored_in_the_order_of_the_calls(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        assert await claim(bus, 0) == 1
        results: list[AppendResult] = []
        appender = bus.appender(streams.log(ZONE), Guard(CLAIM, 1))
        said = [(f"vm.web-{number % 3}", ("ready", "completed", "failed")[number % 5 % 3]) for number in range(60)]
        for number, (key, type_) in enumerate(said):
            appender.append([Draft(subjects.log(ZONE, key, type_), b"%d" % number)], results.append)
        await until(lambda: len(results) == len(said))
        seen = Seen()
        reader = await seen.read(bus, streams.log(ZONE), subjects.log_of_zone(ZONE), 2)
        await until(lambda: seen.caught_up_at)
        await reader.close()
        for first in range(3):
            mine = [int(body) for body in seen.bodies if int(body) % 3 == first]
            assert mine == list(range(first, len(said), 3))

    carry_out(scenario)


def test_several_drafts_of_one_call_are_stored_together(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        assert await claim(bus, 0) == 1
        results: list[AppendResult] = []
        appender = bus.appender(streams.log(ZONE), Guard(CLAIM, 1))
        keys = [f"vm.web-{number}" for number in range(10)]
        drafts = [Draft(subjects.log(ZONE, key, "crashed"), key.encode()) for key in keys]
        appender.append(drafts, results.append)
        await until(lambda: results)
        assert results == [11]
        seen = Seen()
        reader = await seen.read(bus, streams.log(ZONE), subjects.log_of_zone(ZONE), 2)
        await until(lambda: seen.caught_up_at)
        await reader.close()
        assert seen.bodies == [key.encode() for key in keys]

    carry_out(scenario)


def test_a_replaced_owner_is_refused_and_everything_after_it_too(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        assert await claim(bus, 0) == 1
        results: list[AppendResult] = []
        appender = bus.appender(streams.log(ZONE), Guard(CLAIM, 1))
        appender.append([Draft(subjects.log(ZONE, "vm.web-1", "ready"), b"mine")], results.append)
        await until(lambda: results)
        assert await claim(other, 1) == 3
        for _ in range(2):
            appender.append([Draft(subjects.log(ZONE, "vm.web-1", "completed"), b"late")], results.append)
        await until(lambda: len(results) == 3)
        assert results[0] == 2
        for result in results[1:]:
            assert isinstance(result, Refused)
            assert result.fenced
        assert await append(other, Guard(CLAIM, 3), "completed") == [4]

    carry_out(scenario)


def test_the_claim_of_one_branch_does_not_guard_another(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        assert await claim(bus, 0) == 1
        pod_epoch = await claim(bus, 0, POD_CLAIM)
        assert pod_epoch == 2
        assert await claim(other, 1) == 3
        assert await append(bus, Guard(POD_CLAIM, 2), "completed") == [4]
        refused = await append(bus, Guard(CLAIM, 1), "completed")
        assert isinstance(refused[0], Refused)

    carry_out(scenario)


def test_of_two_who_contend_for_a_claim_exactly_one_wins(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, other: Bus) -> None:
        results = await asyncio.gather(
            *(claim(each, 0, body=b"%d" % number) for number, each in enumerate((bus, other)))
        )
        assert sorted(isinstance(result, int) for result in results) == [False, True]
        assert any(isinstance(result, Refused) and result.fenced for result in results)
        assert isinstance(await claim(bus, 0), Refused)

    carry_out(scenario)


def test_what_is_closed_is_never_told(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        assert await claim(bus, 0) == 1
        results: list[AppendResult] = []
        appender = bus.appender(streams.log(ZONE), Guard(CLAIM, 1))
        appender.append([Draft(subjects.log(ZONE, "vm.web-1", "ready"), b"")], results.append)
        appender.close()
        appender.append([Draft(subjects.log(ZONE, "vm.web-1", "ready"), b"")], results.append)
        assert await append(bus, Guard(CLAIM, 1), "completed")
        assert results == []

    carry_out(scenario)
