"""`tw.api` where nobody else is: no dispatcher, no owner, an aged log, a server that goes and comes back."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from faststream.nats import NatsBroker
from tests.support.contexts import context_of
from tests.support.until import until

from treeward.bus.interface import BusUnavailableError, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.orchestrator.api.snapshot import Bounds, Snapshots
from treeward.orchestrator.app import answer_questions
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.runtime.settings import Settings
from treeward.schemas import streams, subjects
from treeward.schemas.api import ANSWERS
from treeward.schemas.api.explain import Wait
from treeward.schemas.events import Event, EventType, Verdict

ZONE = "zone-a"


@pytest.fixture
def context(bus: NatsBus, nats_server: EmbeddedNats) -> Context:
    """That of an orchestrator which is nothing else."""
    settings = Settings(nats_url=(nats_server.url,))
    return context_of(bus, "orchestrator", "orchestrator-alone", settings=settings)


@pytest.fixture
async def api(context: Context, bus: NatsBus) -> AsyncIterator[NatsBus]:
    """The API alone, on a zone with streams and nothing in them."""
    answering = asyncio.create_task(answer_questions(context, ping_s=0.5))
    await answered(bus)
    yield bus
    answering.cancel()
    await asyncio.wait({answering})
    assert answering.cancelled()


async def answered(bus: NatsBus) -> None:
    """Until the service answers; fails the test if it never does."""

    async def answers() -> bool:
        return await bus.request("$SRV.PING.treeward", b"", timeout_s=1) is not None

    await until(answers, "the service answers", 60)


async def ask(bus: NatsBus, endpoint: str, **question: Any) -> Any:
    reply = await bus.request(subjects.api(endpoint, ZONE), json.dumps(question).encode(), timeout_s=10)
    assert reply is not None
    return ANSWERS[endpoint].model_validate_json(reply)


async def append(bus: NatsBus, key: str, type_: EventType, **fields: Any) -> int:
    kind, _, id_ = key.partition(".")
    event = Event(type=type_, zone=ZONE, kind=kind, id=id_, at=datetime.now(UTC), **{"life": 1} | fields)
    draft = codec.draft_of(event, instance="test", trace=None)
    position = await bus.append_expecting(
        streams.log(ZONE), draft, subject=subjects.claim_of_pod(ZONE, "nobody"), position=0
    )
    assert isinstance(position, int)
    return position


async def submit(bus: NatsBus, key: str, operation: str) -> int:
    return (await bus.submit(subjects.work(ZONE, key), json.dumps({"operation": operation}).encode())).ticket


async def test_without_a_dispatcher_the_answer_says_so(api: NatsBus) -> None:
    ticket = await submit(api, "vm.web-1", "create")
    queued = await ask(api, "queued")
    assert (queued.silent, queued.resources, queued.units_in_all) == (["dispatcher"], [], 1)
    why = await ask(api, "explain", ticket=ticket)
    assert (why.id, why.outcome, why.silent) == ("web-1", None, ["dispatcher", "owner"])
    assert "did not answer within 0.5 s" in " ".join(why.sentences)
    tree = await ask(api, "tree")
    assert (tree.silent, tree.owner.instance, tree.pods) == (["dispatcher"], None, [])


async def test_a_zone_without_anything_in_it_has_nothing_to_tell(api: NatsBus) -> None:
    assert (await ask(api, "state")).resources == []
    assert (await ask(api, "state", key="vm.web-1")).resources == []
    unknown = await ask(api, "explain", ticket=1)
    assert unknown.sentences == ["Zone zone-a has not accepted a ticket 1; it has accepted none."]


async def test_the_tree_is_read_from_bucket_and_log_and_kept_up_to_date(api: NatsBus) -> None:
    await append(api, "pod.p1", EventType.COMPLETED, definition={"labels": {"row": "7"}})
    await append(api, "pod.p1", EventType.CLAIMED, definition={"labels": {"row": "7"}}, owner="agent-x")
    capacity = {"pod": "p1", "cpus": 8.0, "memory_mib": 1000, "labels": {}}
    await append(api, "host.h1", EventType.COMPLETED, pod="p1", host="h1", definition=capacity)
    tree = await ask(api, "tree")
    assert [(pod.id, pod.labels, pod.owner.instance) for pod in tree.pods] == [("p1", {"row": "7"}, "agent-x")]
    assert tree.pods[0].owner.presence == "unknown"
    for number in range(3):
        definition = {"cpus": 1.5, "memory_mib": 100}
        await append(api, f"vm.v{number}", EventType.COMPLETED, pod="p1", host="h1", definition=definition)
    position = await append(api, "vm.v0", EventType.CRASHED, pod="p1", host="h1", definition={"cpus": 1.5})
    await append(api, "volume.moving", EventType.HANDED_OFF, existed=True, definition={"size_gib": 1})
    while (tree := await ask(api, "tree")).position <= position:
        pass
    host = tree.pods[0].hosts[0]
    assert (host.used.cpus, host.used.memory_mib, host.capacity.cpus) == (4.5, 200, 8.0)
    assert host.counts == {"vm": {"ready": 2, "crashed": 1}}
    assert tree.unplaced == {"volume": {"initialized": 1}}


async def test_an_event_that_has_aged_out_of_the_log_is_told_from_the_bucket(api: NatsBus) -> None:
    position = await append(api, "vm.old", EventType.COMPLETED, definition={"cpus": 1}, pod="p1", answered=5)
    await append(api, "vm.new", EventType.COMPLETED, definition={"cpus": 1}, pod="p1", answered=6)
    stored: list[Stored] = []
    reader = await api.read(streams.state(ZONE), ">", 1, stored.append, on_lost=lambda: None)
    await until(lambda: len(stored) == 2, "both entries of the bucket")
    await reader.close()
    await api.purge(streams.log(ZONE), below=position + 1)
    old = (await ask(api, "state", key="vm.old")).resources[0]
    assert (old.source, old.position, old.answered, old.exists) == ("bucket", position, 5, True)
    new = (await ask(api, "state", key="vm.new")).resources[0]
    assert new.source == "log"
    assert {resource.id for resource in (await ask(api, "state")).resources} == {"old", "new"}


async def test_a_crash_with_a_unit_that_maybe_started_is_told_as_doubt(api: NatsBus) -> None:
    await append(
        api, "vm.web-1", EventType.CRASHED, definition={"cpus": 1}, pod="p1", host="h1", answered=3, ticket=4,
        operation="stop", attempts=1, verdict=Verdict.MAYBE_STARTED, reason="lost",
    )  # fmt: skip
    state = (await ask(api, "state", key="vm.web-1")).resources[0]
    assert state.doubt is not None
    assert (state.doubt.ticket, state.doubt.verdict, state.doubt.attempts) == (4, Verdict.MAYBE_STARTED, 1)
    assert state.process == "crashed"


async def test_a_quarantined_resource_is_told_to_wait_for_a_release(api: NatsBus) -> None:
    await append(api, "vm.web-1", EventType.QUARANTINED, pod="p1", host="h1", quarantined=True, reason="too often")
    why = await ask(api, "explain", key="vm.web-1")
    assert why.waits_for is Wait.QUARANTINE


async def test_an_owner_of_an_older_epoch_is_not_believed(api: NatsBus) -> None:
    await append(api, "pod.p1", EventType.CLAIMED, definition={}, owner="agent-old")
    await append(api, "vm.web-1", EventType.COMPLETED, pod="p1", host="h1", definition={"cpus": 1})
    epoch = await append(api, "pod.p1", EventType.CLAIMED, definition={}, owner="agent-new")
    said = {"epoch": 1, "phase": "called", "ticket": 9}

    async def answer(_subject: str, _body: bytes) -> bytes:
        return json.dumps(said).encode()

    await api.serve(subjects.owner_api("explain", ZONE, "p1"), answer)
    stale = await ask(api, "explain", key="vm.web-1")
    assert (stale.owner_says, "owner" in stale.silent) == (None, True)
    said["epoch"] = epoch
    current = await ask(api, "explain", key="vm.web-1")
    assert current.owner_says is not None
    assert current.state is not None
    assert current.state.doubt is not None
    assert current.state.doubt.ticket == 9


async def test_after_a_restart_of_the_server_questions_are_answered_again(
    api: NatsBus, nats_server: EmbeddedNats
) -> None:
    await append(api, "vm.web-1", EventType.COMPLETED, pod="p1", host="h1", definition={"cpus": 1})
    await asyncio.to_thread(nats_server.stop)
    with pytest.raises(BusUnavailableError):
        await api.submit(subjects.work(ZONE, "vm.web-1"), b"{}", timeout_s=0.5)
    await asyncio.to_thread(nats_server.start)
    await until(lambda: api.connected, "the connection")
    await answered(api)
    state = (await ask(api, "state", key="vm.web-1")).resources[0]
    assert state.exists


async def test_a_question_that_is_garbage_to_the_dispatchers_end_of_it_ends_nobody(api: NatsBus) -> None:
    await asyncio.gather(
        *(api.request(subjects.api("explain", ZONE), b"\xff\x00{" * 10, timeout_s=10) for _ in range(5))
    )
    stats = json.loads(await api.request("$SRV.STATS.treeward", b"", timeout_s=10) or b"{}")
    explain = next(endpoint for endpoint in stats["endpoints"] if endpoint["name"] == "explain")
    assert (explain["num_requests"], explain["num_errors"]) == (5, 5)
    assert explain["last_error"].startswith("explain:")


async def test_a_connection_whose_reader_has_died_is_made_anew(api: NatsBus) -> None:
    brokers = [found for found in gc.get_objects() if isinstance(found, NatsBroker)]
    broker = next(found for found in brokers if found._connection is not None)
    reading = broker.connection._reading_task
    assert reading is not None
    reading.cancel()
    assert await api.request("$SRV.PING.treeward", b"", timeout_s=1) is None
    assert broker.connection.is_connected, "nats-py does not notice"
    await until(lambda: broker._connection is None, "the broker is replaced, not healed")
    await answered(api)
    assert (await ask(api, "state")).resources == []


async def append_volumes(bus: NatsBus, number: int) -> None:
    for each in range(number):
        await append(bus, f"volume.v{each}", EventType.COMPLETED, definition={"size_gib": 1}, existed=True)


async def test_a_zone_too_large_for_one_question_is_read_on_by_the_next(bus: NatsBus, context: Context) -> None:
    await append_volumes(bus, 20)
    hasty = Snapshots(context, Bounds(fresh_s=0.0, read_s=0.0))
    first = await hasty.of(ZONE)
    assert (first.complete, first.entries) == (False, {})
    patient = Snapshots(context, Bounds(fresh_s=0.0))
    first.bucket_position, first.position = 15, 15
    patient._snapshots[ZONE] = first
    second = await patient.of(ZONE)
    assert second is first
    assert second.complete
    assert set(second.entries) == {f"volume.v{number}" for number in range(15, 20)}, "what was read is not read again"


async def test_more_resources_than_are_counted_are_said_to_be_more(bus: NatsBus, context: Context) -> None:
    await append_volumes(bus, 4)
    snapshot = await Snapshots(context, Bounds(resources_max=3)).of(ZONE)
    assert (snapshot.complete, len(snapshot.entries)) == (False, 3)


async def test_what_is_forgotten_is_not_in_the_tree(api: NatsBus) -> None:
    await append(api, "volume.v1", EventType.HANDED_OFF, definition={"size_gib": 1}, existed=True)
    position = await append(api, "volume.v1", EventType.FORGOTTEN)
    while (tree := await ask(api, "tree")).position < position:
        pass
    assert tree.unplaced == {}
