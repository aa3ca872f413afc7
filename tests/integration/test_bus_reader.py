"""A reader gives each message once, in order and without gaps, whatever happens to server, link and consumer."""

import asyncio
import json
import time

import pytest
from tests.support.proxy import Proxy
from tests.support.seen import Seen
from tests.support.until import until

from treeward.bus.interface import NoSuchZoneError, Since, Start, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import configuration
from treeward.bus.reader import CREDIT, StreamReader
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import subjects
from treeward.schemas.streams import Retention, streams_of

STREAM = "WORK_zone-a"
ALL = subjects.work_of_zone("zone-a")


async def read(seen: Seen, bus: NatsBus, start: int | Start | Since = 1, **options: bool) -> StreamReader:
    reader = await seen.read(bus, STREAM, ALL, start, **options)
    assert isinstance(reader, StreamReader)
    return reader


async def submit(bus: NatsBus, count: int, key: str = "vm.web-1") -> None:
    for number in range(count):
        await bus.submit(subjects.work("zone-a", key), b"%d" % number, timeout_s=30)


async def consumers_made(bus: NatsBus) -> list[str]:
    """Grows with the name of each consumer that the server makes of the stream for a reader from now on."""
    made: list[str] = []

    def on_made(_subject: str, told: bytes, _headers: object) -> None:
        name: str = json.loads(told)["consumer"]
        if not name.startswith("JS_MIRROR_"):  # the server's own, which feeds the history
            made.append(name)

    await bus.subscribe(f"$JS.EVENT.ADVISORY.CONSUMER.CREATED.{STREAM}.*", on_made)
    await bus.state(STREAM)  # once it answers, the server knows of the subscription
    return made


async def remake_work(bus: NatsBus) -> None:
    await bus.streams.api(f"STREAM.DELETE.{STREAM}", {})
    spec = streams_of("zone-a", Retention())[0]
    await bus.streams.api(f"STREAM.CREATE.{STREAM}", configuration(spec))


async def test_messages_arrive_with_position_time_and_headers(bus: NatsBus) -> None:
    before_s = time.time()
    await bus.submit("tw.work.zone-a.vm.web-1", b"body", headers={"traceparent": "00-1", "note": "a: b\r\nc: d"})
    seen = Seen()
    await read(seen, bus)
    await until(lambda: seen.messages)
    stored = seen.messages[0]
    assert (stored.position, stored.subject, stored.data) == (1, "tw.work.zone-a.vm.web-1", b"body")
    assert before_s - 1 < stored.time_s < time.time() + 1
    assert stored.headers is not None
    assert stored.headers["traceparent"] == "00-1"
    assert stored.headers["note"] == "a: b  c: d", "a line break in a value must not make a header"


async def test_more_than_one_credit_is_read_without_a_gap(bus: NatsBus) -> None:
    count = 3 * CREDIT + 7
    for number in range(count):
        bus.publish(subjects.work("zone-a", f"vm.web-{number}"), b"x")
    seen = Seen()
    await read(seen, bus)
    await seen.until_count(count)
    assert seen.positions == list(range(1, count + 1))


async def test_a_long_read_lets_everybody_else_have_their_turn(bus: NatsBus) -> None:
    """A takeover of a million placed resources reads for half a minute: its heartbeats go on meanwhile."""
    count = 40 * CREDIT
    for number in range(count):
        bus.publish(subjects.work("zone-a", f"vm.web-{number}"), b"x")
    await submit(bus, 1)
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    in_this_turn, turns = 0, []

    def deliver(_stored: Stored) -> None:
        nonlocal in_this_turn
        in_this_turn += 1

    def next_turn() -> None:
        nonlocal in_this_turn
        turns.append(in_this_turn)
        in_this_turn = 0
        if not done.is_set():
            loop.call_soon(next_turn)

    reader = await bus.read(STREAM, ALL, 1, deliver, on_lost=done.set, on_caught_up=done.set)
    next_turn()
    await until(done.is_set)
    await reader.close()
    assert sum(turns) + in_this_turn == count + 1
    assert max(turns) <= 512, "a million of these would hold up the loop for as long as they take"


async def test_a_reader_begins_where_it_is_told(bus: NatsBus) -> None:
    await submit(bus, 2, "vm.web-1")
    await submit(bus, 2, "vm.web-2")
    from_three, news, last, since = Seen(), Seen(), Seen(), Seen()
    await read(from_three, bus, 3)
    await read(news, bus, Start.NEW)
    await read(last, bus, Start.LAST_PER_SUBJECT)
    fourth = await bus.get(STREAM, 4)
    assert fourth is not None
    await read(since, bus, Since(fourth.time_s))
    await submit(bus, 1, "vm.web-3")
    for seen, positions in ((from_three, [3, 4, 5]), (news, [5]), (last, [2, 4, 5])):
        await seen.until(5)
        assert seen.positions == positions
    await since.until(5)
    assert since.positions == [4, 5]


async def test_caught_up_is_told_once_and_after_all_that_was_stored(bus: NatsBus) -> None:
    empty = Seen()
    await read(empty, bus)
    await until(lambda: empty.caught_up_at)
    await submit(bus, 20)
    seen, behind = Seen(), Seen()
    await read(seen, bus)
    await read(behind, bus, 21)
    await until(lambda: seen.caught_up_at and behind.caught_up_at)
    await submit(bus, 3)
    await until(lambda: len(seen.messages) == 23 and len(empty.messages) == 23)
    assert (empty.caught_up_at, seen.caught_up_at, behind.caught_up_at) == ([0], [20], [0])


async def test_a_reader_catches_up_although_the_last_message_it_waits_for_was_purged(bus: NatsBus) -> None:
    await submit(bus, 3, "vm.web-1")
    seen = Seen()
    reader = await read(seen, bus, purged_is_fine=True)
    reader.pause()
    await bus.purge(STREAM, below=4)
    await submit(bus, 1, "vm.web-2")
    reader.resume()
    await until(lambda: seen.caught_up_at)


async def test_reading_a_stream_that_does_not_exist_says_so(bus: NatsBus) -> None:
    with pytest.raises(NoSuchZoneError):
        await bus.read("WORK_nowhere", "tw.work.nowhere.*.*", 1, lambda _: None, on_lost=lambda: None)


async def test_order_and_completeness_survive_kill_and_restart_of_the_server(
    bus: NatsBus, nats_server: EmbeddedNats
) -> None:
    seen = Seen()
    await read(seen, bus)
    for _ in range(3):
        await submit(bus, 50)
        nats_server.kill()
        await until(lambda: not bus.connected)
        await asyncio.to_thread(nats_server.start)
        await submit(bus, 50)
    state = await bus.state(STREAM)
    assert state is not None
    await seen.until_count(state.last)
    assert seen.positions == list(range(1, state.last + 1))
    assert seen.lost == 0


async def test_order_and_completeness_survive_a_frozen_server(bus: NatsBus, nats_server: EmbeddedNats) -> None:
    seen = Seen()
    await read(seen, bus)
    await submit(bus, 20)
    nats_server.pause()
    bus.publish("tw.work.zone-a.vm.web-2", b"on its way when the server froze")
    await until(lambda: not bus.connected)
    nats_server.resume()
    await until(lambda: bus.connected)
    await submit(bus, 20)
    state = await bus.state(STREAM)
    assert state is not None
    await seen.until_count(state.last)
    assert seen.positions == list(range(1, state.last + 1))


async def test_order_and_completeness_survive_links_cut_in_the_middle(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    seen = Seen()
    await read(seen, far_bus)
    for cut in range(5):
        for number in range(2000):
            bus.publish(subjects.work("zone-a", f"vm.web-{number}"), b"x" * 500)
        await seen.until_count(cut * 2000 + 101)
        proxy.cut()
    await seen.until_count(10_000)
    assert seen.positions == list(range(1, 10_001))
    assert far_bus.connection.counts["lost"] >= 1


async def test_a_deleted_consumer_is_replaced_behind_the_last_position(bus: NatsBus) -> None:
    seen = Seen()
    await read(seen, bus)
    await submit(bus, 5)
    await until(lambda: len(seen.messages) == 5)
    for name in (await bus.streams.api(f"CONSUMER.NAMES.{STREAM}", {}))["consumers"]:
        await bus.streams.api(f"CONSUMER.DELETE.{STREAM}.{name}", {})
    await submit(bus, 5)
    await seen.until_count(10)
    assert seen.positions == list(range(1, 11))


async def test_a_message_lost_on_its_way_is_read_again_when_the_next_one_comes(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    seen, made = Seen(), await consumers_made(bus)
    await read(seen, far_bus)
    await submit(bus, 2)
    await until(lambda: len(seen.messages) == 2)
    proxy.lose_to_client_once = b"vm.unlucky"
    await submit(bus, 1, "vm.unlucky")
    await until(lambda: proxy.lost_bytes)
    await submit(bus, 3)
    await seen.until_count(6)
    assert seen.positions == [1, 2, 3, 4, 5, 6]
    await until(lambda: len(made) >= 2)
    assert len(made) == 2


async def test_a_message_lost_on_its_way_is_read_again_when_nothing_more_comes(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    seen, made = Seen(), await consumers_made(bus)
    await read(seen, far_bus)
    await submit(bus, 2)
    await until(lambda: len(seen.messages) == 2)
    proxy.lose_to_client_once = b"vm.unlucky"
    await submit(bus, 1, "vm.unlucky")
    await until(lambda: len(seen.messages) == 3, "the heartbeat says that there was a third")
    assert seen.positions == [1, 2, 3]
    await until(lambda: len(made) >= 2)
    assert len(made) == 2


async def test_silence_is_taken_for_a_dead_consumer(bus: NatsBus) -> None:
    seen, made = Seen(), await consumers_made(bus)
    reader = await read(seen, bus)
    bus.connection.send(f"UNSUB {reader._sid}\r\n".encode())  # the server's part of the subscription is gone
    await submit(bus, 3)
    await until(lambda: len(seen.messages) == 3)
    assert seen.positions == [1, 2, 3]
    await until(lambda: len(made) >= 2, "another consumer")


async def test_a_reader_is_told_when_what_it_wanted_next_has_aged_out(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    log_like, work_like = Seen(), Seen()
    await read(log_like, far_bus)
    await read(work_like, far_bus, purged_is_fine=True)
    await submit(bus, 3)
    await until(lambda: len(log_like.messages) == 3 and len(work_like.messages) == 3)
    proxy.refuse = True
    proxy.cut()
    await until(lambda: not far_bus.connected)
    await submit(bus, 3)
    await bus.purge(STREAM, below=6)
    proxy.heal()
    await until(lambda: log_like.lost and len(work_like.messages) == 4)
    assert log_like.positions == [1, 2, 3], "a reader that has lost something delivers nothing more"
    assert work_like.positions == [1, 2, 3, 6]
    assert (log_like.lost, work_like.lost) == (1, 0)


async def test_positions_below_the_first_are_no_loss_at_the_very_start(bus: NatsBus) -> None:
    await submit(bus, 5)
    await bus.purge(STREAM, below=4)
    seen = Seen()
    await read(seen, bus, 1)
    await until(lambda: len(seen.messages) == 2)
    assert seen.positions == [4, 5]
    assert seen.lost == 0


async def test_a_reader_of_a_rare_subject_survives_the_ageing_of_the_rest(bus: NatsBus) -> None:
    seen = Seen()
    await submit(bus, 1, "vm.rare")
    reader = await seen.read(bus, STREAM, subjects.work("zone-a", "vm.rare"))
    assert isinstance(reader, StreamReader)
    await submit(bus, 5, "vm.frequent")
    await until(lambda: reader._covered == 6, "the heartbeat says how far the consumer has looked")
    await bus.purge(STREAM, below=6)
    reader._renew()
    await submit(bus, 1, "vm.rare")
    await until(lambda: len(seen.messages) == 2)
    assert seen.positions == [1, 7]
    assert seen.lost == 0


async def test_a_stream_made_anew_is_a_loss_except_for_who_wanted_news(bus: NatsBus) -> None:
    seen, news = Seen(), Seen()
    await read(seen, bus, purged_is_fine=True)
    await read(news, bus, Start.NEW)
    await submit(bus, 3)
    await until(lambda: len(seen.messages) == 3 and len(news.messages) == 3)
    await remake_work(bus)
    await submit(bus, 5)
    await until(lambda: seen.lost and len(news.messages) == 8)
    assert seen.positions == [1, 2, 3]
    assert news.positions == [1, 2, 3, 1, 2, 3, 4, 5]
    assert (seen.lost, news.lost) == (1, 0)


async def test_a_position_beyond_the_streams_last_is_a_loss(bus: NatsBus) -> None:
    await submit(bus, 3)
    seen = Seen()
    await read(seen, bus, 9)
    await until(lambda: seen.lost)
    next_one = Seen()
    await read(next_one, bus, 4)
    await submit(bus, 1)
    await until(lambda: next_one.positions == [4])


async def test_a_paused_reader_asks_for_no_more_until_it_is_resumed(bus: NatsBus) -> None:
    seen = Seen()
    reader = await read(seen, bus)
    reader.pause()
    count = 4 * CREDIT
    for number in range(count):
        bus.publish(subjects.work("zone-a", f"vm.web-{number}"), b"x")
    await until(lambda: len(seen.messages) == CREDIT)
    await bus.submit("tw.work.zone-a.vm.last", b"", timeout_s=30)
    assert len(seen.messages) == CREDIT
    reader.resume()
    await until(lambda: len(seen.messages) == count + 1)
    assert seen.positions == list(range(1, count + 2))


async def test_a_reader_that_was_paused_for_long_is_told_what_it_has_missed(bus: NatsBus) -> None:
    seen, witness = Seen(), Seen()
    reader = await read(seen, bus)
    await read(witness, bus)
    reader.pause()
    for number in range(2 * CREDIT):
        bus.publish(subjects.work("zone-a", f"vm.web-{number}"), b"x")
    await until(lambda: len(seen.messages) == CREDIT and len(witness.messages) == 2 * CREDIT)
    await bus.purge(STREAM, below=2 * CREDIT)
    reader._paused_at_s -= 60  # as if a minute had passed
    reader.resume()
    await until(lambda: seen.lost)
    assert len(seen.messages) == CREDIT


async def test_a_closed_reader_delivers_nothing(bus: NatsBus) -> None:
    seen, witness = Seen(), Seen()
    reader = await read(seen, bus)
    await read(witness, bus)
    await reader.close()
    await submit(bus, 3)
    await until(lambda: len(witness.messages) == 3)
    assert seen.messages == []
