"""`tw.api` of a whole running zone: what a user is told of resources, units and owners, by any orchestrator."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.stack import Stack, stack

from treeward.bus.wire import parse_headers
from treeward.schemas import subjects
from treeward.schemas.api import ANSWERS
from treeward.schemas.api.explain import ExplainAnswer, Wait
from treeward.schemas.api.parts import ProcessState
from treeward.schemas.api.queued import QueuedAnswer, Stage
from treeward.schemas.api.state import ResourceState, StateAnswer
from treeward.schemas.api.tree import TreeAnswer
from treeward.schemas.events import EventType, Outcome

pytestmark = pytest.mark.asyncio(loop_scope="module")
ZONE = "zone-a"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def centre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Two orchestrators, two pods a1 and a2 with a host each; the tests use resources of their own names."""
    settings = {"TREEWARD_CALL_TIMEOUT_S": "60"}
    async with stack(tmp_path_factory.mktemp("api"), pods=2, orchestrators=2, settings=settings) as running:
        yield running


async def ask(centre: Stack, endpoint: str, zone: str = ZONE, **question: Any) -> Any:
    reply = await centre.bus.request(subjects.api(endpoint, zone), json.dumps(question).encode(), timeout_s=10)
    assert reply is not None, "no orchestrator answered"
    return ANSWERS[endpoint].model_validate_json(reply)


async def ask_until(centre: Stack, endpoint: str, good: Any, **question: Any) -> Any:
    """Ask again until the answer is as it has to become; the last answer is shown if it never is."""
    give_up_s = asyncio.get_running_loop().time() + 30
    while not good(answer := await ask(centre, endpoint, **question)):
        assert asyncio.get_running_loop().time() < give_up_s, answer
    return answer


async def state_of(centre: Stack, key: str) -> ResourceState:
    answer: StateAnswer = await ask(centre, "state", key=key)
    assert len(answer.resources) == 1, answer
    return answer.resources[0]


async def done(centre: Stack, key: str, operation: str, **fields: Any) -> int:
    ticket = await centre.submit(f"{ZONE}.{key}", operation, **fields)
    event = await centre.wait_for_outcome(ZONE, ticket)
    assert event.type is EventType.COMPLETED, event
    return ticket


async def test_a_vm_is_told_with_its_definition_place_owner_and_the_event_that_says_so(centre: Stack) -> None:
    ticket = await done(centre, "vm.told", "create", spec={"cpus": 2})
    state = await state_of(centre, "vm.told")
    last = [row for row in centre.events if row.event.key == "vm.told"][-1]
    assert (state.exists, state.process, state.answered) == (True, ProcessState.READY, ticket)
    assert (state.position, state.event, state.source) == (last.position, EventType.COMPLETED, "log")
    assert (state.pod, state.host) == (last.event.pod, last.event.host)
    assert state.definition is not None
    assert state.definition["cpus"] == 2
    assert state.observed is not None
    assert state.owner is not None
    assert state.owner.rpartition("-")[0] == centre.owner_of(ZONE, str(state.pod))
    assert state.age_s is not None
    assert state.doubt is None
    assert (state.queued, state.silent) == ([], [])


async def test_what_was_destroyed_does_not_exist(centre: Stack) -> None:
    await done(centre, "vm.gone", "create")
    ticket = await done(centre, "vm.gone", "destroy")
    state = await state_of(centre, "vm.gone")
    assert (state.exists, state.process, state.pod, state.answered) == (False, ProcessState.NONE, None, ticket)


async def test_pages_of_a_zone_hold_every_resource_once_and_in_order(centre: Stack) -> None:
    for number in range(5):
        await done(centre, f"volume.page-{number}", "create", spec={"size_gib": 1})
    waiting = await centre.submit(f"{ZONE}.vm.page-huge", "create", {"cpus": 10_000})
    await ask_until(centre, "queued", lambda answer: answer.resources, key="vm.page-huge")
    keys: list[str] = []
    beyond = ""
    while True:
        page: StateAnswer = await ask(centre, "state", beyond=beyond, limit=3)
        assert page.complete
        keys += [f"{resource.kind}.{resource.id}" for resource in page.resources]
        if page.next is None:
            break
        assert len(page.resources) == 3
        beyond = page.next
    assert keys == sorted(set(keys))
    assert {f"volume.page-{number}" for number in range(5)} <= set(keys)
    assert "vm.page-huge" in keys, "what only waits is a resource too"
    volumes: StateAnswer = await ask(centre, "state", kind="volume")
    assert {resource.kind for resource in volumes.resources} == {"volume"}
    await done(centre, "vm.page-huge", "cancel", ticket=waiting)


async def test_a_called_unit_is_in_doubt_until_the_device_answers(centre: Stack) -> None:
    await done(centre, "vm.doubt", "create")
    centre.add_fault(effect="hang", id="doubt", operation="stop")
    ticket = await centre.submit(f"{ZONE}.vm.doubt", "stop")
    answer: StateAnswer = await ask_until(
        centre, "state", lambda found: found.resources[0].doubt is not None, key="vm.doubt"
    )
    state = answer.resources[0]
    assert state.doubt is not None
    assert (state.doubt.ticket, state.doubt.operation, state.doubt.verdict) == (ticket, "stop", None)
    assert [(unit.ticket, unit.stage) for unit in state.queued] == [(ticket, Stage.IN_HAND)]
    why: ExplainAnswer = await ask(centre, "explain", ticket=ticket)
    assert why.waits_for is Wait.DEVICE
    assert why.owner_says is not None
    assert (why.owner_says["phase"], why.owner_says["ticket"]) == ("called", ticket)
    assert any("the device has been at it for" in sentence for sentence in why.sentences)
    centre.clear_faults()
    await centre.wait_for_outcome(ZONE, ticket)
    assert (await state_of(centre, "vm.doubt")).doubt is None


async def test_an_unreachable_resource_backs_off_and_says_when_it_is_tried_again(centre: Stack) -> None:
    await done(centre, "vm.far", "create")
    centre.add_fault(effect="unreachable", id="far")
    ticket = await centre.submit(f"{ZONE}.vm.far", "stop")
    why: ExplainAnswer = await ask_until(
        centre,
        "explain",
        lambda answer: answer.waits_for in (Wait.BACK_OFF, Wait.DEVICE, Wait.QUARANTINE),
        key="vm.far",
    )
    assert why.ticket == ticket
    centre.clear_faults()
    if (await ask(centre, "state", key="vm.far")).resources[0].quarantined:
        await centre.submit(f"{ZONE}.vm.far", "release")
    assert (await centre.wait_for_outcome(ZONE, ticket)).type is EventType.COMPLETED


async def test_a_create_that_fits_nowhere_waits_for_room_and_what_is_behind_it_for_the_queue(centre: Stack) -> None:
    create = await centre.submit(f"{ZONE}.vm.huge", "create", {"cpus": 10_000})
    destroy = await centre.submit(f"{ZONE}.vm.huge", "destroy")
    why: ExplainAnswer = await ask_until(centre, "explain", lambda answer: answer.waits_for is Wait.ROOM, ticket=create)
    assert any("larger than every host" in sentence for sentence in why.sentences)
    behind: ExplainAnswer = await ask(centre, "explain", ticket=destroy)
    assert (behind.waits_for, behind.behind) == (Wait.QUEUE, [create])
    assert any("larger than every host" in sentence for sentence in behind.sentences)
    cancel = await centre.submit(f"{ZONE}.vm.huge", "cancel", ticket=create)
    assert (await centre.wait_for_outcome(ZONE, create)).type is EventType.CANCELLED
    await centre.wait_for_outcome(ZONE, cancel)


async def test_a_paused_resource_holds_its_units_and_names_the_pause(centre: Stack) -> None:
    await done(centre, "vm.held", "create")
    pause = await done(centre, "vm.held", "pause")
    ticket = await centre.submit(f"{ZONE}.vm.held", "stop")
    why: ExplainAnswer = await ask_until(
        centre, "explain", lambda answer: answer.waits_for is Wait.PAUSE, ticket=ticket
    )
    assert f"Ticket {pause} paused zone-a.vm.held" in " ".join(why.sentences)
    assert why.unit is not None
    assert why.unit.stage is Stage.HELD
    assert (await state_of(centre, "vm.held")).paused
    await centre.submit(f"{ZONE}.vm.held", "resume")
    await centre.wait_for_outcome(ZONE, ticket)


async def test_a_unit_names_the_tickets_that_it_waits_for(centre: Stack) -> None:
    first = await centre.submit(f"{ZONE}.vm.first", "create", {"cpus": 10_000})
    second = await centre.submit(f"{ZONE}.vm.second", "create", after=[first])
    why: ExplainAnswer = await ask_until(
        centre, "explain", lambda answer: answer.waits_for is Wait.AFTER, ticket=second
    )
    assert f"until ticket {first} (vm.first) has an outcome" in " ".join(why.sentences)
    assert why.unit is not None
    assert why.unit.after == [first]
    await centre.submit(f"{ZONE}.vm.first", "cancel", ticket=first)
    await centre.wait_for_outcome(ZONE, second)


async def test_an_answered_ticket_is_found_in_history_and_log(centre: Stack) -> None:
    await done(centre, "vm.past", "create")
    ticket = await done(centre, "vm.past", "stop")
    await done(centre, "vm.past", "start")
    why: ExplainAnswer = await ask(centre, "explain", ticket=ticket)
    assert (why.outcome, why.waits_for, why.id) == (Outcome.COMPLETED, Wait.NOTHING, "past")
    stopped = next(row for row in centre.events if row.event.ticket == ticket and row.event.is_outcome)
    assert why.sentences[0].startswith(f"Ticket {ticket} (stop of zone-a.vm.past) was answered `completed`")
    assert f"at position {stopped.position} of the log" in why.sentences[0]
    other: ExplainAnswer = await ask(centre, "explain", ticket=ticket, key="vm.told")
    assert other.sentences == [f"Ticket {ticket} is of zone-a.vm.past, not of zone-a.vm.told."]
    unknown: ExplainAnswer = await ask(centre, "explain", ticket=1_000_000)
    assert "has not accepted a ticket 1000000" in unknown.sentences[0]
    never: ExplainAnswer = await ask(centre, "explain", key="vm.never")
    assert never.sentences == ["Nothing was ever said of zone-a.vm.never, and no unit waits for it."]


async def test_queued_lists_what_has_no_outcome(centre: Stack) -> None:
    create = await centre.submit(f"{ZONE}.vm.queue", "create", {"cpus": 10_000}, tenant="acme")
    stop = await centre.submit(f"{ZONE}.vm.queue", "stop")
    answer: QueuedAnswer = await ask_until(
        centre, "queued", lambda found: found.resources and found.resources[0].units_in_all == 2, key="vm.queue"
    )
    units = answer.resources[0].units
    assert [(unit.ticket, unit.operation, unit.tenant) for unit in units] == [
        (create, "create", "acme"),
        (stop, "stop", None),
    ]
    assert answer.units_in_all >= 2
    pages: QueuedAnswer = await ask(centre, "queued", limit=1)
    assert len(pages.resources) == 1
    await centre.submit(f"{ZONE}.vm.queue", "cancel", ticket=create)
    await centre.wait_for_outcome(ZONE, stop)


async def test_more_units_than_the_dispatcher_keeps_bodies_of_are_all_told_with_their_operation(centre: Stack) -> None:
    create = await centre.submit(f"{ZONE}.vm.many", "create", {"cpus": 10_000})
    stops = [await centre.submit(f"{ZONE}.vm.many", "stop") for _ in range(40)]
    answer: QueuedAnswer = await ask_until(
        centre, "queued", lambda found: found.resources and found.resources[0].units_in_all == 41, key="vm.many"
    )
    assert {unit.operation for unit in answer.resources[0].units} == {"create", "stop"}
    assert all(unit.submitted_at is not None for unit in answer.resources[0].units)
    await centre.submit(f"{ZONE}.vm.many", "cancel", ticket=create)
    await centre.wait_for_outcome(ZONE, stops[-1])


async def test_the_tree_counts_what_is_on_each_host_and_what_it_uses(centre: Stack) -> None:
    await done(centre, "vm.leaf", "create", spec={"cpus": 3, "memory_mib": 1024})
    read_up_to = centre.events[-1].position
    tree: TreeAnswer = await ask_until(centre, "tree", lambda answer: answer.position >= read_up_to)
    assert [pod.id for pod in tree.pods] == ["a1", "a2"]
    last = {row.event.key: row.event for row in centre.events if row.position <= tree.position}
    for pod in tree.pods:
        for host in pod.hosts:
            there = [event for event in last.values() if event.host == host.id and event.kind == "vm"]
            assert (host.capacity.cpus, host.capacity.memory_mib) == (16, 65_536)
            assert host.used.cpus == sum((event.definition or {})["cpus"] for event in there)
            assert host.used.memory_mib == sum((event.definition or {})["memory_mib"] for event in there)
            assert host.counts.get("vm", {}).get("ready", 0) == len(there)
    assert any(host.used.cpus >= 3 for pod in tree.pods for host in pod.hosts)
    for pod in tree.pods:
        assert pod.owner.instance is not None
        assert (pod.state, pod.owner.presence) == (ProcessState.READY, "present")
        assert pod.owner.instance.rpartition("-")[0] == centre.owner_of(ZONE, pod.id)
    assert (tree.state, tree.owner.presence, tree.complete, tree.silent) == (ProcessState.READY, "present", True, [])
    only: TreeAnswer = await ask(centre, "tree", pod="a2")
    assert [pod.id for pod in only.pods] == ["a2"]
    root: TreeAnswer = await ask(centre, "tree", "root")
    assert root.zones == [ZONE]
    assert root.owner.presence == "present"


async def test_units_of_root_are_explained_by_its_owner_too(centre: Stack) -> None:
    why: ExplainAnswer = await ask(centre, "explain", "root", ticket=1)
    assert (why.kind, why.id, why.outcome) == ("zone", ZONE, Outcome.COMPLETED)
    assert why.silent == []


async def announced(centre: Stack, subject: str, instances: int) -> list[dict[str, Any]]:
    """What the orchestrators say on a subject of the services protocol, asked until all have."""
    found: dict[str, dict[str, Any]] = {}
    while len(found) < instances:
        reply = await centre.bus.request(subject, b"", timeout_s=5)
        assert reply is not None, subject
        said = json.loads(reply)
        found[said["id"]] = said
    return list(found.values())


async def test_the_service_is_found_described_and_counted_by_the_services_protocol(centre: Stack) -> None:
    pings = await announced(centre, "$SRV.PING", 2)
    assert {said["id"].rpartition("-")[0] for said in pings} == {"orchestrator-1", "orchestrator-2"}
    for said in pings:
        assert (said["type"], said["name"]) == ("io.nats.micro.v1.ping_response", "treeward")
        for subject in (f"$SRV.INFO.treeward.{said['id']}", f"$SRV.STATS.treeward.{said['id']}"):
            answer = (await announced(centre, subject, 1))[0]
            assert answer["id"] == said["id"]
            assert [endpoint["subject"] for endpoint in answer["endpoints"]] == [
                f"tw.api.{name}.*" for name in ("state", "tree", "explain", "queued", "work", "steer")
            ]
            assert {endpoint["queue_group"] for endpoint in answer["endpoints"]} == {"treeward"}
    await announced(centre, "$SRV.INFO.treeward", 2)
    await announced(centre, "$SRV.STATS", 2)


async def requests_counted(centre: Stack) -> int:
    stats = await announced(centre, "$SRV.STATS.treeward", 2)
    return sum(endpoint["num_requests"] for said in stats for endpoint in said["endpoints"])


async def test_each_request_is_answered_by_exactly_one_orchestrator(centre: Stack) -> None:
    before = await requests_counted(centre)
    await asyncio.gather(*(ask(centre, "state", key="vm.told") for _ in range(50)))
    assert await requests_counted(centre) == before + 50


@pytest.mark.parametrize(
    ("subject", "body", "code", "words"),
    [
        ("tw.api.state.zone-a", b'{"kye":"vm.a"}', "400", "did you mean 'key'?"),
        ("tw.api.state.zone-a", b"no json", "400", "state:"),
        ("tw.api.state.zone-a", b'{"limit":0}', "400", "limit"),
        ("tw.api.state.zone-a", b'{"key":"zone.zone-a"}', "400", "ask for root.zone.zone-a"),
        ("tw.api.explain.zone-a", b"", "400", "name a `ticket`"),
        ("tw.api.tree.zone-x", b"", "404", "no zone zone-x is defined"),
        ("tw.api.queued.zone-x", b"{}", "404", "no zone zone-x is defined"),
        ("tw.api.tree.z%C3", b"", "400", "zone:"),
    ],
)
async def test_what_cannot_be_answered_is_told_in_body_and_headers(
    centre: Stack, subject: str, body: bytes, code: str, words: str
) -> None:
    answer = await centre.bus.requests.ask(subject, body, timeout_s=10)
    assert answer is not None
    headers = parse_headers(answer.header_block)
    assert headers is not None
    assert headers["Nats-Service-Error-Code"] == code
    assert words in json.loads(answer.data)["error"]
    assert words in headers["Nats-Service-Error"]


async def test_an_owner_that_is_cut_off_is_named_and_nobody_waits_for_it(centre: Stack) -> None:
    await done(centre, "vm.cut", "create")
    state = await state_of(centre, "vm.cut")
    owner = centre.owner_of(ZONE, str(state.pod))
    centre.pause(owner)
    try:
        ticket = await centre.submit(f"{ZONE}.vm.cut", "stop")
        why: ExplainAnswer = await ask_until(
            centre,
            "explain",
            lambda answer: answer.waits_for is Wait.OWNER or answer.outcome is not None,
            ticket=ticket,
        )
        assert why.outcome is None, "another instance was quicker than the question: make the suspicion longer"
        assert why.silent == ["owner"]
        assert why.state is not None
        assert why.state.doubt is not None, "it was sent to an owner that cannot be asked"
    finally:
        centre.resume(owner)
    assert (await centre.wait_for_outcome(ZONE, ticket)).type is EventType.COMPLETED
    assert (await state_of(centre, "vm.cut")).doubt is None
