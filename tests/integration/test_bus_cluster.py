"""The bus on three servers with three replicas: batches, lost answers, and the death of leaders."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

import pytest
from tests.support.proxy import Proxy, proxied
from tests.support.until import until

from treeward.bus.appender import GuardedAppender
from treeward.bus.interface import AppendResult, BusError, Draft, Guard, Refused, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import subjects
from treeward.schemas.streams import Retention

LOG = "LOG_zone-a"
CLAIM = subjects.claim_of_pod("zone-a", "pod-1")


def draft(key: str, data: bytes = b"{}") -> Draft:
    return Draft(subjects.log("zone-a", key, "completed"), data)


@pytest.fixture
async def cluster_bus(nats_cluster: list[EmbeddedNats]) -> AsyncIterator[NatsBus]:
    """A connection to any of three servers, on which zone-a has three replicas of everything."""
    crashes: list[BaseException] = []
    bus = await NatsBus.connect([server.url for server in nats_cluster], timeout_s=20, crash=crashes.append)
    for attempt in range(20):
        try:
            await provision(bus, "zone-a", Retention(replicas=3))
            break
        except BusError:  # the servers are still finding one another
            assert attempt < 19
    yield bus
    await bus.close()
    assert not crashes


@pytest.fixture
async def cluster_proxy(nats_cluster: list[EmbeddedNats]) -> AsyncIterator[Proxy]:
    async with proxied(nats_cluster[0].port) as proxy:
        yield proxy


async def owner(bus: NatsBus, *, through: NatsBus | None = None) -> GuardedAppender:
    position = await bus.append_expecting(LOG, Draft(CLAIM, b"{}", None, True), subject=CLAIM, position=0)
    assert isinstance(position, int), position
    appender = (through or bus).appender(LOG, Guard(CLAIM, position))
    await until(lambda: appender._replicated is not None)
    return appender


async def leader_of(bus: NatsBus, stream: str, servers: list[EmbeddedNats]) -> EmbeddedNats:
    info = await bus.streams.info(stream)
    assert info is not None
    return next(server for server in servers if server.name == info["cluster"]["leader"])


async def stored(bus: NatsBus) -> list[Stored]:
    messages: list[Stored] = []
    caught_up = asyncio.Event()
    reader = await bus.read(
        LOG, subjects.log_of_zone("zone-a"), 1, messages.append, on_lost=caught_up.set, on_caught_up=caught_up.set
    )
    await asyncio.wait_for(caught_up.wait(), 30)
    await reader.close()
    return [message for message in messages if message.subject != CLAIM]


async def test_what_waits_becomes_one_batch_and_each_call_hears_its_own_position(cluster_bus: NatsBus) -> None:
    appender = await owner(cluster_bus)
    results: list[AppendResult] = []
    for number in range(2500):
        key = f"vm.v{number}"
        appender.append([draft(key, b"%d" % part) for part in range(1 + number % 3)], results.append)
    await until(lambda: len(results) == 2500)
    messages = await stored(cluster_bus)
    by_position = {message.position: message for message in messages}
    assert [by_position[result].subject for result in results] == [  # type: ignore[index]
        draft(f"vm.v{number}").subject for number in range(2500)
    ]
    assert len(messages) == sum(1 + number % 3 for number in range(2500))
    assert [message.subject for message in messages] == [
        draft(f"vm.v{number}").subject for number in range(2500) for _ in range(1 + number % 3)
    ], "on a replicated log calls are stored in their order"


async def test_a_call_longer_than_any_batch_is_stored_in_order(cluster_bus: NatsBus) -> None:
    appender = await owner(cluster_bus)
    results: list[AppendResult] = []
    appender.append([draft("vm.first")], results.append)
    appender.append([draft("vm.long", b"%d" % number) for number in range(2300)], results.append)
    appender.append([draft("vm.last")], results.append)
    await until(lambda: len(results) == 3)
    messages = await stored(cluster_bus)
    assert [int(message.data) for message in messages[1:-1]] == list(range(2300))
    assert [messages[0].position, messages[-2].position, messages[-1].position] == results


async def test_a_replaced_owner_is_refused_as_a_whole(cluster_bus: NatsBus) -> None:
    appender = await owner(cluster_bus)
    again = await cluster_bus.append_expecting(
        LOG, Draft(CLAIM, b"{}"), subject=CLAIM, position=appender._guard.position
    )
    assert isinstance(again, int)
    results: list[AppendResult] = []
    for number in range(50):
        appender.append([draft(f"vm.v{number}")], results.append)
    await until(lambda: len(results) == 50)
    assert all(isinstance(result, Refused) and result.fenced for result in results)
    assert await stored(cluster_bus) == []


async def test_several_owners_append_at_once_each_under_its_own_claim(cluster_bus: NatsBus) -> None:
    results: dict[int, list[AppendResult]] = defaultdict(list)
    for pod in range(4):
        claim = subjects.claim_of_pod("zone-a", f"p{pod}")
        position = await cluster_bus.append_expecting(LOG, Draft(claim, b"{}"), subject=claim, position=0)
        assert isinstance(position, int)
        appender = cluster_bus.appender(LOG, Guard(claim, position))
        for number in range(200):
            appender.append([draft(f"vm.p{pod}-{number}")], results[pod].append)
    await until(lambda: sum(map(len, results.values())) == 800)
    positions = {message.position: message.subject for message in await stored(cluster_bus)}
    for pod in range(4):
        assert [positions[result] for result in results[pod]] == [  # type: ignore[index]
            draft(f"vm.p{pod}-{number}").subject for number in range(200)
        ]


@pytest.mark.parametrize("count", [1, 30])
async def test_a_lost_answer_is_settled_by_repeating(cluster_bus: NatsBus, cluster_proxy: Proxy, count: int) -> None:
    far = await NatsBus.connect(cluster_proxy.url, timeout_s=10)
    appender = await owner(cluster_bus, through=far)
    results: list[AppendResult] = []
    cluster_proxy.lose_to_client = True
    for number in range(count):
        appender.append([draft(f"vm.v{number}")], results.append)
    await until(lambda: cluster_proxy.lost_bytes)
    cluster_proxy.heal()
    cluster_proxy.cut()
    await until(lambda: len(results) == count)
    assert [message.position for message in await stored(cluster_bus)] == results
    await far.close()


async def test_the_death_of_leaders_neither_doubles_nor_loses_nor_reorders(
    cluster_bus: NatsBus, nats_cluster: list[EmbeddedNats]
) -> None:
    appender = await owner(cluster_bus)
    told: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    failures: list[AppendResult] = []
    stopped: set[str] = set()
    going = True
    seen: list[Stored] = []
    await cluster_bus.read(LOG, subjects.log_of_zone("zone-a"), 1, seen.append, on_lost=lambda: failures.append(0))

    def go_on(key: str, count: int) -> None:
        def done(result: AppendResult) -> None:
            if not isinstance(result, int):
                failures.append(result)
                return
            told[key].append((result, b"%d" % (count + 1)))
            if going:
                go_on(key, count + 2)
            else:
                stopped.add(key)

        appender.append([draft(key, b"%d" % count), draft(key, b"%d" % (count + 1))], done)

    keys = [f"vm.v{number}" for number in range(20)]
    for key in keys:
        go_on(key, 0)

    async def more_are_told(count: int) -> None:
        before = sum(map(len, told.values()))
        await until(lambda: sum(map(len, told.values())) > before + count or failures, timeout_s=60)

    for _ in range(2):
        await more_are_told(200)
        leader = await leader_of(cluster_bus, LOG, nats_cluster)
        leader.kill()
        await more_are_told(20)
        await asyncio.to_thread(leader.start)
    going = False
    await until(lambda: len(stopped) == len(keys) or failures, timeout_s=60)
    assert not failures
    found: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
    messages = await stored(cluster_bus)
    for message in messages:
        found[message.subject].append((message.position, message.data))
    for key in keys:
        in_log = found[draft(key).subject]
        assert [int(data) for _, data in in_log] == list(range(len(in_log)))
        assert [entry for entry in told[key] if entry not in in_log] == []
    await until(lambda: seen[-1].position >= messages[-1].position)
    assert [message.position for message in seen if message.subject != CLAIM] == [
        message.position for message in messages
    ]


async def test_work_is_accepted_while_the_leader_of_its_stream_is_dead(
    cluster_bus: NatsBus, nats_cluster: list[EmbeddedNats]
) -> None:
    work = "tw.work.zone-a.vm.web-1"
    await cluster_bus.submit(work, b"1", timeout_s=30)
    (await leader_of(cluster_bus, "WORK_zone-a", nats_cluster)).kill()
    receipt = await cluster_bus.submit(work, b"2", timeout_s=60)
    assert receipt.ticket == 2
    last = await cluster_bus.last("WORK_zone-a", work, at_least=2)
    assert last is not None
    assert last.data == b"2"


async def test_what_is_asked_at_least_from_a_position_is_never_older(cluster_bus: NatsBus) -> None:
    for number in range(200):
        key = f"vm.v{number % 7}"
        receipt = await cluster_bus.submit(subjects.work("zone-a", key), b"%d" % number, timeout_s=30)
        of_it = await cluster_bus.last("WORK_zone-a", subjects.work("zone-a", key), at_least=receipt.ticket)
        assert of_it is not None
        assert of_it.position == receipt.ticket
        nothing = await cluster_bus.last("WORK_zone-a", subjects.work("zone-a", "vm.none"), at_least=receipt.ticket)
        assert nothing is None


async def test_a_position_that_no_replica_has_is_waited_for_and_then_given_up(cluster_bus: NatsBus) -> None:
    with pytest.raises(BusError, match="position 0, not 5"):
        await cluster_bus.last("WORK_zone-a", "tw.work.zone-a.*.*", at_least=5)
