"""An owner's events: guarded, in order, each stored once, whatever happens to the answers."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from tests.support.proxy import Proxy
from tests.support.until import until

from treeward.bus.appender import BATCH_MAX, CHAIN_MAX, OVERFLOW_MIN, PIPELINE_MAX, GuardedAppender
from treeward.bus.interface import AppendResult, Draft, Guard, InDoubt, Refused, Start, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import subjects
from treeward.schemas.streams import Retention

LOG = "LOG_zone-a"
CLAIM = subjects.claim_of_pod("zone-a", "pod-1")


def draft(key: str, type_: str = "completed", data: bytes = b"{}") -> Draft:
    return Draft(subjects.log("zone-a", key, type_), data)


async def claim(bus: NatsBus, previous: int = 0) -> int:
    position = await bus.append_expecting(LOG, Draft(CLAIM, b"{}", None, True), subject=CLAIM, position=previous)
    assert isinstance(position, int)
    return position


async def owner(bus: NatsBus, *, through: NatsBus | None = None) -> GuardedAppender:
    """An appender under a fresh claim, which has already learnt what kind of stream it is for."""
    appender = (through or bus).appender(LOG, Guard(CLAIM, await claim(bus)))
    await until(lambda: appender._replicated is not None)
    return appender


async def stored(bus: NatsBus) -> list[Stored]:
    """The whole log without claims, by reading it."""
    messages: list[Stored] = []
    caught_up = asyncio.Event()
    reader = await bus.read(
        LOG, subjects.log_of_zone("zone-a"), 1, messages.append, on_lost=caught_up.set, on_caught_up=caught_up.set
    )
    await asyncio.wait_for(caught_up.wait(), 20)
    await reader.close()
    return [message for message in messages if message.subject != CLAIM]


async def test_each_call_hears_the_position_of_its_last_draft_in_the_order_of_the_calls(bus: NatsBus) -> None:
    appender = await owner(bus)
    order: list[int] = []
    results: list[AppendResult] = []
    calls = 3 * PIPELINE_MAX
    sizes = [1, 2, 1, CHAIN_MAX, CHAIN_MAX + 1, 1]
    drafts = [
        [draft(f"vm.v{number}", type_) for type_ in subjects.EVENT_TYPES[1 : 1 + sizes[number % len(sizes)]]]
        for number in range(calls)
    ]

    def told(number: int, result: AppendResult) -> None:
        order.append(number)
        results.append(result)

    for number in range(calls):
        appender.append(drafts[number], partial(told, number))
    await until(lambda: len(results) == calls)
    assert order == list(range(calls))
    by_position = {message.position: message.subject for message in await stored(bus)}
    assert [by_position[result] for result in results] == [call[-1].subject for call in drafts]  # type: ignore[index]
    assert len(by_position) == sum(len(call) for call in drafts)


async def test_the_drafts_of_one_call_are_stored_in_their_order(bus: NatsBus) -> None:
    appender = await owner(bus)
    results: list[AppendResult] = []
    for count in (2, CHAIN_MAX, CHAIN_MAX + 1, BATCH_MAX + 5):
        appender.append([draft(f"vm.v{count}", data=b"%d" % number) for number in range(count)], results.append)
    await until(lambda: len(results) == 4)
    by_subject = defaultdict(list)
    for message in await stored(bus):
        by_subject[message.subject].append(int(message.data))
    for count in (2, CHAIN_MAX, CHAIN_MAX + 1, BATCH_MAX + 5):
        assert by_subject[draft(f"vm.v{count}").subject] == list(range(count))


async def test_what_the_pipeline_has_no_room_for_becomes_batches(bus: NatsBus) -> None:
    appender = await owner(bus)
    results: list[AppendResult] = []
    sizes = [1] * (PIPELINE_MAX + OVERFLOW_MIN) + [2 * BATCH_MAX + 7] + [1, 3] * OVERFLOW_MIN
    for call, size in enumerate(sizes):
        appender.append([draft(f"vm.v{call}", data=b"%d" % number) for number in range(size)], results.append)
    await until(lambda: len(results) == len(sizes))
    by_subject = defaultdict(list)
    for message in await stored(bus):
        by_subject[message.subject].append(message)
    for call, size in enumerate(sizes):
        messages = by_subject[draft(f"vm.v{call}").subject]
        assert [int(message.data) for message in messages] == list(range(size))
        assert messages[-1].position == results[call]


async def test_what_never_expires_says_so_to_the_server(bus: NatsBus) -> None:
    await claim(bus)
    last = await bus.last(LOG, CLAIM)
    assert last is not None
    assert last.headers is not None
    assert last.headers["Nats-TTL"] == "never"


@pytest.mark.parametrize("count", [1, 2, CHAIN_MAX + 1])
async def test_a_replaced_owner_is_refused_and_nothing_of_it_is_stored(bus: NatsBus, count: int) -> None:
    appender = await owner(bus)
    await claim(bus, previous=appender._guard.position)
    results: list[AppendResult] = []
    for number in range(3):
        appender.append([draft(f"vm.v{number}")] * count, results.append)
    await until(lambda: len(results) == 3)
    appender.append([draft("vm.later")], results.append)
    await until(lambda: len(results) == 4)
    assert all(isinstance(result, Refused) and result.fenced for result in results)
    assert await stored(bus) == []


async def test_who_appends_while_it_is_told_of_a_refusal_is_told_too(bus: NatsBus) -> None:
    appender = await owner(bus)
    await claim(bus, previous=appender._guard.position)
    order: list[int] = []

    def again(number: int) -> None:
        order.append(number)
        if number < 5:
            appender.append([draft("vm.again")], lambda _: again(number + 2))

    appender.append([draft("vm.first")], lambda _: again(0))
    appender.append([draft("vm.first")], lambda _: again(1))
    await until(lambda: 5 in order and 6 in order)
    assert order == [0, 1, 2, 3, 4, 5, 6]


async def test_a_message_larger_than_the_server_takes_is_refused_before_it_ends_the_connection(bus: NatsBus) -> None:
    appender = await owner(bus)
    results: list[AppendResult] = []
    appender.append([draft("vm.v1"), draft("vm.v1", data=b"x" * bus.connection.payload_bytes_max)], results.append)
    await until(lambda: results)
    assert isinstance(results[0], Refused)
    assert not results[0].fenced
    assert await stored(bus) == []
    assert bus.counts["lost"] == 0


async def test_after_a_refusal_nothing_more_is_stored_even_where_the_server_would_take_it(bus: NatsBus) -> None:
    appender = await owner(bus)
    results: list[AppendResult] = []
    appender.append([Draft("tw.log.nowhere.vm.v1.completed", b"{}")], results.append)  # no stream takes this
    for number in range(PIPELINE_MAX + 10):
        appender.append([draft(f"vm.v{number}")], results.append)
    appender._settle_s = 0.0  # it would try the first one for a minute
    await until(lambda: len(results) == PIPELINE_MAX + 11)
    after = len(await stored(bus))
    appender.append([draft("vm.later")], results.append)
    await until(lambda: len(results) == PIPELINE_MAX + 12)
    assert len(set(results)) == 1
    assert isinstance(results[0], Refused)
    assert len(await stored(bus)) == after


@pytest.mark.parametrize("count", [2, CHAIN_MAX])
async def test_a_later_draft_of_a_call_is_not_stored_while_an_earlier_one_cannot_be(bus: NatsBus, count: int) -> None:
    appender = await owner(bus)
    results: list[AppendResult] = []
    not_taken = Draft("tw.log.nowhere.vm.v1.ready", b"{}")
    appender.append([not_taken, *[draft("vm.v1")] * (count - 1)], results.append)
    appender.append([draft("vm.v2")], results.append)
    await until_stored(bus, 1)
    appender._settle_s = 0.0  # it would try for a minute
    await until(lambda: len(results) == 2)
    assert [message.subject for message in await stored(bus)] == [draft("vm.v2").subject]
    assert isinstance(results[0], Refused)


async def test_only_one_of_many_wins_a_contended_claim(bus: NatsBus, nats_server: EmbeddedNats) -> None:
    others = [await NatsBus.connect(nats_server.url, timeout_s=5) for _ in range(4)]
    try:
        results = await asyncio.gather(
            *(
                other.append_expecting(LOG, Draft(CLAIM, b"%d" % number), subject=CLAIM, position=0)
                for number, other in enumerate(others * 5)
            )
        )
    finally:
        for other in others:
            await other.close()
    assert len([result for result in results if isinstance(result, int)]) == 1
    assert all(isinstance(result, int) or result.fenced for result in results)  # type: ignore[union-attr]


@pytest.mark.parametrize("count", [1, 2, CHAIN_MAX + 1])
async def test_a_lost_answer_is_settled_by_repeating_and_nothing_is_stored_twice(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy, count: int
) -> None:
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_client = True
    appender.append([draft("vm.v1", data=b"%d" % number) for number in range(count)], results.append)
    await until(lambda: proxy.lost_bytes)
    proxy.heal()
    proxy.cut()
    await until(lambda: results)
    messages = await stored(bus)
    assert [int(message.data) for message in messages] == list(range(count))
    assert results == [messages[-1].position]


async def test_what_never_arrived_is_stored_once_when_the_link_is_back(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_server = True
    for number in range(3):
        appender.append([draft(f"vm.v{number}", "ready"), draft(f"vm.v{number}")], results.append)
    await until(lambda: proxy.lost_bytes)
    proxy.heal()
    proxy.cut()
    await until(lambda: len(results) == 3)
    assert sorted(result for result in results if isinstance(result, int)) == results
    assert len(await stored(bus)) == 6


async def test_an_answer_lost_on_a_living_link_is_asked_for_again(bus: NatsBus, far_bus: NatsBus, proxy: Proxy) -> None:
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_client_once = b'"seq"'
    appender.append([draft("vm.v1")], results.append)
    await until(lambda: results)
    assert [message.position for message in await stored(bus)] == results
    assert far_bus.connection.counts["lost"] == 0


@pytest.mark.parametrize("others", [1, PIPELINE_MAX + OVERFLOW_MIN + 5])
async def test_what_a_resource_says_next_waits_for_what_was_lost_on_its_way(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy, others: int
) -> None:
    """Else the later one stands alone for a while, or for ever if this owner ends now (PROTOCOL H16, S13)."""
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_server_once = b"tw.log."
    appender.append([draft("vm.v1", "ready")], results.append)
    await until(lambda: proxy.lost_bytes)
    for number in range(1, 4):
        appender.append([draft("vm.v1", data=b"%d" % number)], results.append)
    for number in range(others):
        appender.append([draft(f"vm.other-{number}")], results.append)
    await until(lambda: len(results) == 4 + others)
    messages = await stored(bus)
    assert [
        (message.subject.rpartition(".")[2], message.data) for message in messages if ".v1." in message.subject
    ] == [
        ("ready", b"{}"),
        ("completed", b"1"),
        ("completed", b"2"),
        ("completed", b"3"),
    ]
    positions = {message.subject: message.position for message in messages}
    assert positions[draft("vm.other-0").subject] < positions[draft("vm.v1", "ready").subject], "others need not wait"
    assert [results[0], *results[-3:]] == [message.position for message in messages if ".v1." in message.subject]


async def test_who_says_much_holds_up_nobody_else(bus: NatsBus) -> None:
    """Each call for the one resource waits for the one before it; what another says is told as soon as it is stored."""
    appender = await owner(bus)
    told: list[str] = []

    def tell(who: str, _: AppendResult) -> None:
        told.append(who)

    for number in range(20):
        appender.append([draft("vm.hot", data=b"%d" % number)], partial(tell, f"hot-{number}"))
    appender.append([draft("vm.v1")], partial(tell, "v1"))
    await until(lambda: len(told) == 21)
    assert [each for each in told if each != "v1"] == [f"hot-{number}" for number in range(20)]
    assert told.index("v1") < told.index("hot-19")


async def test_whoever_waits_for_its_turn_is_told_of_a_refusal_too(bus: NatsBus) -> None:
    appender = await owner(bus)
    await claim(bus, previous=appender._guard.position)
    results: list[AppendResult] = []
    for _ in range(5):
        appender.append([draft("vm.hot")], results.append)
    await until(lambda: len(results) == 5)
    assert all(isinstance(result, Refused) for result in results)
    assert await stored(bus) == []


async def test_stored_before_the_claim_moved_on_is_recognized_although_the_guard_speaks_first(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_client = True
    appender.append([draft("vm.v1")], results.append)
    appender.append([draft("vm.v2", data=b"%d" % number) for number in range(CHAIN_MAX + 1)], results.append)
    await until(lambda: proxy.lost_bytes)
    await until_stored(bus, CHAIN_MAX + 2)
    await claim(bus, previous=appender._guard.position)
    proxy.heal()
    proxy.cut()
    await until(lambda: len(results) == 2)
    messages = await stored(bus)
    assert len(messages) == CHAIN_MAX + 2
    positions = {draft("vm.v1").subject: 0, draft("vm.v2").subject: 0}
    for message in messages:
        positions[message.subject] = message.position
    assert results == list(positions.values())


async def test_what_a_successor_may_have_covered_leaves_the_owner_in_doubt(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_client = True
    appender.append([draft("vm.v1")], results.append)
    await until(lambda: proxy.lost_bytes)
    await until_stored(bus, 1)
    epoch = await claim(bus, previous=appender._guard.position)
    successor = bus.appender(LOG, Guard(CLAIM, epoch))
    successor_results: list[AppendResult] = []
    successor.append([draft("vm.v1")], successor_results.append)
    await until(lambda: successor_results)
    proxy.heal()
    proxy.cut()
    await until(lambda: results)
    assert isinstance(results[0], InDoubt)


async def test_what_never_arrived_before_the_claim_moved_on_is_refused(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    appender = await owner(bus, through=far_bus)
    results: list[AppendResult] = []
    proxy.lose_to_server = True
    appender.append([draft("vm.v1")], results.append)
    await until(lambda: proxy.lost_bytes)
    await claim(bus, previous=appender._guard.position)
    proxy.heal()
    proxy.cut()
    await until(lambda: results)
    assert isinstance(results[0], Refused)
    assert results[0].fenced
    assert await stored(bus) == []


async def test_a_batch_waits_while_others_have_as_many_open_as_the_stream_allows(bus: NatsBus) -> None:
    appender = await owner(bus)
    for number in range(50):
        opened = {"Nats-Batch-Id": f"other-{number}", "Nats-Batch-Sequence": "1"}
        await bus.requests.ask(draft("vm.other").subject, b"{}", timeout_s=5, headers=opened)
    results: list[AppendResult] = []
    appender.append([draft("vm.v1", data=b"%d" % number) for number in range(CHAIN_MAX + 1)], results.append)
    await until(lambda: any(shipment.retry for shipment in appender._in_flight.values()))
    for number in range(50):
        commit = {"Nats-Batch-Id": f"other-{number}", "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}
        await bus.requests.ask(draft("vm.other").subject, b"{}", timeout_s=5, headers=commit)
    await until(lambda: results)
    messages = [message for message in await stored(bus) if message.subject == draft("vm.v1").subject]
    assert [int(message.data) for message in messages] == list(range(CHAIN_MAX + 1))
    assert results == [messages[-1].position]


async def test_an_owner_is_in_doubt_when_the_server_stays_away(bus: NatsBus, nats_server: EmbeddedNats) -> None:
    await provision(bus, "zone-b", Retention(duplicate_window_s=2.0))
    subject = subjects.claim_of_zone("zone-b")
    position = await bus.append_expecting("LOG_zone-b", Draft(subject, b"{}"), subject=subject, position=0)
    assert isinstance(position, int)
    appender = bus.appender("LOG_zone-b", Guard(subject, position))
    await until(lambda: appender._replicated is not None)
    results: list[AppendResult] = []
    nats_server.pause()
    appender.append([Draft(subjects.log("zone-b", "vm.v1", "ready"), b"{}")], results.append)
    await until(lambda: results)
    nats_server.kill()
    assert isinstance(results[0], InDoubt)


async def test_kill_and_restart_of_the_server_neither_double_nor_lose_nor_reorder(
    bus: NatsBus, nats_server: EmbeddedNats
) -> None:
    appender = await owner(bus)
    await hammer(appender, bus, disturb=lambda: asyncio.to_thread(_kill_and_start, nats_server))


async def test_links_cut_at_any_moment_neither_double_nor_lose_nor_reorder(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    appender = await owner(bus, through=far_bus)

    async def cut() -> None:
        proxy.lose_to_client = True
        bytes_before, links_before = proxy.lost_bytes, far_bus.connection.counts["lost"]
        await until(lambda: proxy.lost_bytes > bytes_before)
        proxy.heal()
        proxy.cut()
        await until(lambda: far_bus.connection.counts["lost"] > links_before and far_bus.connected)

    await hammer(appender, bus, disturb=cut)
    assert far_bus.connection.counts["lost"] >= 5


async def hammer(appender: GuardedAppender, bus: NatsBus, *, disturb: Callable[[], Awaitable[object]]) -> None:
    """Keep 40 resources appending, one call each at a time, through five disturbances; then compare with the log."""
    chance = random.Random(7)
    told: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    going = True
    failures: list[AppendResult] = []

    def go_on(key: str, count: int) -> None:
        drafts = [draft(key, data=b"%d" % (count + number)) for number in range(chance.choice((1, 1, 2, 3, 7)))]

        def done(result: AppendResult) -> None:
            if not isinstance(result, int):
                failures.append(result)
                return
            told[key].append((result, drafts[-1].data))
            if going:
                go_on(key, count + len(drafts))
            else:
                stopped.add(key)

        appender.append(drafts, done)

    keys = [f"vm.v{number}" for number in range(40)]
    stopped: set[str] = set()
    for key in keys:
        go_on(key, 0)

    async def more_are_told(count: int) -> None:
        before = sum(map(len, told.values()))
        await until(lambda: sum(map(len, told.values())) > before + count or failures)

    for _ in range(5):
        await more_are_told(100)
        await disturb()
    going = False
    await until(lambda: len(stopped) == len(keys) or failures)
    assert not failures
    found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for message in await stored(bus):
        found[message.subject].append((message.position, message.data))
    for key in keys:
        in_log = found[draft(key).subject]
        assert [int(data) for _, data in in_log] == list(range(len(in_log)))
        assert [entry for entry in told[key] if entry not in in_log] == []


def _kill_and_start(server: EmbeddedNats) -> None:
    server.kill()
    server.start()


async def until_stored(bus: NatsBus, count: int) -> None:
    """Wait until the log holds `count` messages besides the claim."""
    seen: list[Stored] = []
    reader = await bus.read(LOG, subjects.log_of_zone("zone-a"), 1, seen.append, on_lost=lambda: None)
    await until(lambda: len([message for message in seen if message.subject != CLAIM]) == count)
    await reader.close()


async def test_news_of_a_log_are_only_what_it_has_stored(bus: NatsBus, nats_server: EmbeddedNats) -> None:
    appender = await owner(bus)
    heard: list[str] = []
    await bus.subscribe("tw.event.zone-a.>", lambda subject, _data, _headers: heard.append(subject))
    results: list[AppendResult] = []
    appender.append([draft("vm.v1")], results.append)
    await until(lambda: results)
    await claim(bus, previous=appender._guard.position)
    appender.append([draft("vm.refused")], results.append)
    appender.append([draft("vm.refused")] * (CHAIN_MAX + 1), results.append)
    await until(lambda: len(results) == 3)
    news: list[Stored] = []
    await bus.read(LOG, subjects.log_of_zone("zone-a"), Start.NEW, news.append, on_lost=lambda: None)
    last = await bus.append_expecting(LOG, draft("vm.v2"), subject=CLAIM, position=3)
    assert isinstance(last, int)
    await until(lambda: subjects.event("zone-a", "vm.v2", "completed") in heard)
    assert heard == [
        subjects.event("zone-a", "vm.v1", "completed"),
        subjects.event("zone-a", "pod.pod-1", "claimed"),
        subjects.event("zone-a", "vm.v2", "completed"),
    ]
