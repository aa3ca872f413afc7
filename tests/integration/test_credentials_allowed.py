"""The real server, with the generated accounts: every allowed thing works."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
from tests.support.key_site import AGENT, ORCHESTRATOR, READER, SUBMITTER, SUPERVISOR, Site, site_in
from tests.support.seen import Seen
from tests.support.until import until

from treeward.bus.appender import GuardedAppender
from treeward.bus.interface import AppendResult, Draft, Guard, Refused, Start
from treeward.bus.nats_bus import NatsBus
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT

ZONE_CLAIM = subjects.claim_of_zone("zone-a")
POD_CLAIM = subjects.claim_of_pod("zone-a", "a1")
WEB = subjects.work("zone-a", "vm.web-1")
COMPLETED = subjects.log("zone-a", "vm.web-1", "completed")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path) as site:
        yield site


async def appended(appender: GuardedAppender, drafts: Sequence[Draft]) -> AppendResult:
    future: asyncio.Future[AppendResult] = asyncio.get_running_loop().create_future()
    appender.append(drafts, future.set_result)
    return await asyncio.wait_for(future, 30.0)


async def claimed(bus: NatsBus, claim: str, log: str = "LOG_zone-a") -> int:
    """The epoch of whoever claims first."""
    epoch = await bus.append_expecting(log, Draft(claim, b"{}", None, True), subject=claim, position=0)
    assert isinstance(epoch, int)
    return epoch


async def claimed_pod(site: Site, supervisor: NatsBus) -> int:
    """The epoch of the pod, claimed under the guard of the zone's claim."""
    owner = supervisor.appender("LOG_zone-a", Guard(ZONE_CLAIM, await claimed(site.bus, ZONE_CLAIM)))
    epoch = await appended(owner, [Draft(POD_CLAIM, b"{}")])
    assert isinstance(epoch, int)
    return epoch


async def test_a_submitter_gets_a_receipt_and_the_same_one_for_the_same_message_id(site: Site) -> None:
    async with site.users(SUBMITTER) as (submitter,):
        assert (await submitter.submit(WEB, b"{}", message_id="once")).ticket == 1
        assert (await submitter.submit(WEB, b"{}", message_id="once")).duplicate
        assert (await submitter.submit("tw.work.zone-a.volume.data", b"{}")).ticket == 2


async def test_an_orchestrator_reads_purges_and_submits_work_claims_and_dispatches(site: Site) -> None:
    async with site.users(AGENT) as (agent,):
        for ticket in (1, 2):
            assert (await site.bus.submit(WEB, b"{}")).ticket == ticket
        work, mailbox = Seen(), Seen()
        await work.read(site.bus, "WORK_zone-a", "tw.work.zone-a.>")
        await work.until_count(2)
        await claimed(site.bus, ZONE_CLAIM)
        assert await claimed(site.bus, subjects.claim_of_zone(ROOT), "LOG_root") == 1
        await mailbox.read(agent, "MAILBOX_zone-a", subjects.mailbox_of("zone-a", "a1"), Start.NEW)
        site.bus.publish(subjects.mailbox("zone-a", "a1", "vm.web-1"), b"unit")
        await mailbox.until_count(1)
        await site.bus.purge("WORK_zone-a", below=2)
        state = await site.bus.state("WORK_zone-a")
        assert state is not None and state.first == 2


async def test_a_supervisor_claims_a_pod_places_thirty_in_one_batch_and_submits_the_units_of_a_drain(
    site: Site,
) -> None:
    async with site.users(SUPERVISOR) as (supervisor,):
        owner = supervisor.appender("LOG_zone-a", Guard(ZONE_CLAIM, await claimed(site.bus, ZONE_CLAIM)))
        assert isinstance(await appended(owner, [Draft(POD_CLAIM, b"{}")]), int)
        placed = Draft(subjects.log("zone-a", "vm.web-1", "placed"), b"{}")
        assert isinstance(await appended(owner, [placed] * 30), int)
        assert (await supervisor.submit(WEB, b"{}")).ticket == 1


async def test_an_agent_answers_under_its_claim_and_whoever_may_hears_it(site: Site) -> None:
    heard: set[str] = set()

    def hears(name: str) -> Callable[[str, bytes, object], None]:
        return lambda subject, *_: heard.add(f"{name} {subject}")

    async with site.users(SUPERVISOR, AGENT, SUBMITTER, READER, "operator") as (supervisor, agent, *listeners):
        events = ("tw.event.zone-a.vm.*.*", "tw.event.zone-a.*.*.*", "tw.event.zone-a.*.*.*")
        for name, bus, event in zip(("submitter", "reader", "operator"), listeners, events, strict=True):
            await bus.subscribe(event, hears(name))
        epoch = await claimed_pod(site, supervisor)
        position = await appended(agent.appender("LOG_zone-a", Guard(POD_CLAIM, epoch)), [Draft(COMPLETED, b"{}")])
        assert isinstance(position, int)
        last = await agent.last("LOG_zone-a", subjects.log_of_resource("zone-a", "vm.web-1"), at_least=position)
        assert last is not None and last.position == position
        event = subjects.event("zone-a", "vm.web-1", "completed")
        everybody = {f"{name} {event}" for name in ("submitter", "reader", "operator")}
        await until(lambda: everybody <= heard, "the event")


async def test_an_agent_that_has_been_replaced_is_refused_by_the_log_itself(site: Site) -> None:
    async with site.users(SUPERVISOR, AGENT) as (supervisor, agent):
        epoch = await claimed_pod(site, supervisor)
        late = agent.appender("LOG_zone-a", Guard(POD_CLAIM, epoch + 99))
        fenced = await appended(late, [Draft(COMPLETED, b"{}")])
        assert isinstance(fenced, Refused) and fenced.fenced


async def test_an_agent_is_heard_by_its_supervisor_and_by_the_orchestrators(site: Site) -> None:
    heard: set[str] = set()

    def hears(name: str) -> Callable[[str, bytes, object], None]:
        return lambda *_: heard.add(name)

    async with site.users(SUPERVISOR, AGENT) as (supervisor, agent):
        for name, bus in ((SUPERVISOR, supervisor), (ORCHESTRATOR, site.bus)):
            await bus.subscribe(subjects.presence_of("pod-agent"), hears(name))
            await bus.connection._client.flush()

        def heard_by_both() -> bool:
            agent.publish(subjects.presence("pod-agent", "pod-agent-1"), b"{}")  # again and again, as an agent does
            return heard == {SUPERVISOR, ORCHESTRATOR}

        await until(heard_by_both, "a heartbeat, in the zone and outside")


async def yes(_subject: str, _body: bytes) -> bytes:
    return b"yes"


async def test_questions_are_answered_by_whom_they_are_for(site: Site) -> None:
    explain, place = subjects.owner_api("explain", "zone-a", "a1"), subjects.owner_api("place", "zone-a", "zone")
    agent_1, supervisor_1 = subjects.control("pod-agent-1"), subjects.control("zone-supervisor-1")
    state, steer = subjects.api("state", "zone-a"), subjects.api("steer", "zone-a")
    async with site.users(SUPERVISOR, AGENT, READER, "operator") as (supervisor, agent, reader, operator):
        for bus, served in (
            (agent, (explain, agent_1)),
            (supervisor, (place, supervisor_1)),
            (site.bus, (subjects.api("state", "*"), subjects.api("steer", "*"))),
        ):
            for subject in served:
                await bus.serve(subject, yes)
            await bus.connection._client.flush()
        for bus, asked in (
            (site.bus, (explain,)),
            (agent, (place,)),
            (supervisor, (place,)),
            (reader, (state,)),
            (operator, (state, steer, agent_1, supervisor_1)),
        ):
            for subject in asked:
                assert await bus.request(subject, b"", timeout_s=20.0) == b"yes", subject


async def test_a_reader_reads_the_log_from_its_beginning_and_the_state_as_nats_kv_get_does(site: Site) -> None:
    async with site.users(SUPERVISOR, AGENT, READER) as (supervisor, agent, reader):
        epoch = await claimed_pod(site, supervisor)
        answer = Draft(COMPLETED, b'{"a":1}')
        position = await appended(agent.appender("LOG_zone-a", Guard(POD_CLAIM, epoch)), [answer])
        assert isinstance(position, int)
        log, state = Seen(), Seen()
        await log.read(reader, "LOG_zone-a", subjects.log_of_zone("zone-a"))
        await log.until(position)
        await state.read(reader, "KV_tw_state_zone-a", streams.state_subject("zone-a", "*.*"), purged_is_fine=True)
        await until(lambda: answer.data in state.bodies, "the server fills the bucket")
        entry = await reader.last("KV_tw_state_zone-a", streams.state_subject("zone-a", "vm.web-1"))
        assert entry is not None and entry.data == answer.data
        direct = "tw.js.DIRECT.GET.KV_tw_state_zone-a.$KV.tw_state_zone-a.vm.web-1"
        assert await reader.request(direct, b"", timeout_s=20.0) == answer.data
