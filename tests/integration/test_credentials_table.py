"""The real server, with the generated accounts: every forbidden thing is denied."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.credentials import connected_as
from tests.support.key_site import AGENT, ORCHESTRATOR, READER, SUBMITTER, SUPERVISOR, Site, site_in
from tests.support.seen import Seen
from tests.support.until import until

from treeward.bus.interface import Draft
from treeward.bus.nats_bus import NatsBus
from treeward.bus.permissions import filters
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path) as site:
        yield site


FORBIDDEN_TO_PUBLISH = [
    # who, what, why not
    (AGENT, subjects.claim_of_pod("zone-a", "a1"), "claims its own pod"),
    (AGENT, subjects.claim_of_zone("zone-a"), "claims its zone"),
    (AGENT, subjects.claim_of_zone(ROOT), "claims root"),
    (AGENT, subjects.log("zone-a", "vm.web-1", "placed"), "places"),
    (AGENT, subjects.log("zone-a", "vm.web-1", "forgotten"), "forgets"),
    (AGENT, subjects.log("zone-a", "pod.a1", "completed"), "answers for a pod"),
    (AGENT, subjects.log("zone-b", "vm.web-1", "completed"), "writes another zone's log"),
    (AGENT, subjects.mailbox("zone-a", "a1", "vm.web-1"), "dispatches"),
    (AGENT, subjects.work("zone-a", "vm.web-1"), "submits"),
    (AGENT, streams.state_subject("zone-a", "vm.web-1"), "writes the bucket"),
    (AGENT, subjects.event("zone-a", "vm.web-1", "completed"), "invents an event"),
    (AGENT, subjects.presence("zone-supervisor", "x"), "passes for a supervisor"),
    (AGENT, subjects.control("orchestrator-1"), "stops others"),
    (AGENT, "tw.js.STREAM.INFO.WORK_zone-a", "looks at WORK"),
    (AGENT, "tw.js.STREAM.MSG.GET.WORK_zone-a", "reads WORK"),
    (AGENT, "tw.js.DIRECT.GET.WORK_zone-a", "reads WORK past the consumers"),
    (AGENT, "tw.js.CONSUMER.CREATE.WORK_zone-a.x.tw.work.zone-a.>", "consumes WORK"),
    (AGENT, "tw.js.CONSUMER.CREATE.LOG_zone-b.x.tw.log.zone-b.>", "consumes another zone's log"),
    (AGENT, "tw.js.CONSUMER.MSG.NEXT.WORK_zone-a.x", "takes from somebody's consumer of WORK"),
    (AGENT, "tw.js.STREAM.PURGE.LOG_zone-a", "purges the log"),
    (AGENT, "tw.js.STREAM.DELETE.LOG_zone-a", "deletes the log"),
    (AGENT, "$JS.API.STREAM.PURGE.LOG_zone-a", "purges the log under the other prefix"),
    (AGENT, f"_INBOX_{SUPERVISOR}.x", "answers in another's place"),
    (SUPERVISOR, subjects.claim_of_zone("zone-a"), "claims its own zone"),
    (SUPERVISOR, subjects.claim_of_pod("zone-b", "b1"), "claims another zone's pod"),
    (SUPERVISOR, subjects.work("zone-b", "vm.web-1"), "submits in another zone"),
    (SUPERVISOR, subjects.work(ROOT, "zone.zone-c"), "makes a zone"),
    (SUPERVISOR, subjects.mailbox("zone-a", "a1", "vm.web-1"), "dispatches"),
    (SUPERVISOR, "tw.js.STREAM.PURGE.WORK_zone-a", "purges WORK"),
    (SUPERVISOR, "tw.js.STREAM.MSG.GET.WORK_zone-a", "reads WORK"),
    (ORCHESTRATOR, subjects.log("zone-a", "vm.web-1", "completed"), "answers for a resource"),
    (ORCHESTRATOR, subjects.claim_of_pod("zone-a", "a1"), "claims a pod"),
    (ORCHESTRATOR, subjects.work("zone-c", "vm.web-1"), "submits in a zone without credentials"),
    (ORCHESTRATOR, subjects.claim_of_zone("zone-c"), "claims a zone without credentials"),
    (ORCHESTRATOR, "$JS.API.STREAM.PURGE.LOG_zone-a", "purges a log"),
    (ORCHESTRATOR, "$JS.API.STREAM.PURGE.WORK_HISTORY_zone-a", "purges the history"),
    (ORCHESTRATOR, "$JS.API.STREAM.DELETE.WORK_zone-a", "deletes WORK"),
    (ORCHESTRATOR, "$JS.API.STREAM.UPDATE.WORK_zone-a", "changes WORK"),
    (ORCHESTRATOR, "$JS.API.STREAM.CREATE.OTHER", "makes other streams"),
    (SUBMITTER, subjects.work("zone-b", "vm.web-1"), "submits in a zone not listed"),
    (SUBMITTER, subjects.work("zone-a", "host.a1-h1"), "submits for a kind not listed"),
    (SUBMITTER, subjects.work("zone-a", "volume.other"), "submits for an address not listed"),
    (SUBMITTER, subjects.work(ROOT, "zone.zone-a"), "steers a zone"),
    (SUBMITTER, subjects.api("steer", "zone-a"), "steers by an orchestrator's hand"),
    (SUBMITTER, subjects.log("zone-a", "vm.web-1", "completed"), "answers itself"),
    (SUBMITTER, subjects.claim_of_pod("zone-a", "a1"), "claims"),
    (SUBMITTER, subjects.mailbox("zone-a", "a1", "vm.web-1"), "passes WORK by"),
    (SUBMITTER, subjects.presence("pod-agent", "x"), "passes for an agent"),
    (SUBMITTER, "tw.js.STREAM.MSG.GET.WORK_zone-a", "reads others' work"),
    (SUBMITTER, "$JS.API.STREAM.PURGE.WORK_zone-a", "purges"),
    (READER, subjects.work("zone-a", "vm.web-1"), "submits"),
    (READER, subjects.log("zone-a", "vm.web-1", "completed"), "writes a log"),
    (READER, subjects.api("state", "zone-b"), "asks about a zone not listed"),
    (READER, subjects.api("steer", "zone-a"), "steers by an orchestrator's hand"),
    (READER, "tw.js.STREAM.MSG.GET.LOG_zone-b", "reads a zone not listed"),
    (READER, "tw.js.STREAM.PURGE.LOG_zone-a", "purges"),
    (READER, subjects.control("pod-agent-1"), "stops an instance"),
    ("bootstrap", "$JS.API.STREAM.DELETE.LOG_root", "deletes"),
    ("bootstrap", "$JS.API.STREAM.UPDATE.LOG_root", "changes"),
    ("bootstrap", subjects.work(ROOT, "zone.zone-a"), "submits"),
    ("operator", subjects.log("zone-a", "vm.web-1", "completed"), "answers for a resource"),
    ("operator", subjects.claim_of_pod("zone-a", "a1"), "claims"),
    ("operator", subjects.mailbox("zone-a", "a1", "vm.web-1"), "passes WORK by"),
    ("operator", "$JS.API.STREAM.PURGE.LOG_zone-a", "purges"),
]
FORBIDDEN_TO_HEAR = [
    (AGENT, "tw.work.>", "hears WORK"),
    (AGENT, "tw.mailbox.>", "hears mailboxes"),
    (AGENT, "tw.log.zone-b.>", "hears another zone's log"),
    (AGENT, f"_INBOX_{SUPERVISOR}.>", "hears another's answers"),
    (AGENT, "_INBOX.>", "hears everybody's answers"),
    (AGENT, ">", "hears everything"),
    (AGENT, "tw.closed.*", "hears whose connections end"),
    (SUBMITTER, "tw.closed.*", "hears whose connections end"),
    (SUPERVISOR, "$SYS.>", "hears the servers themselves"),
    (SUPERVISOR, "tw.work.>", "hears WORK"),
    (SUPERVISOR, f"_INBOX_{AGENT}.>", "hears another's answers"),
    (ORCHESTRATOR, "_INBOX_operator.>", "hears another's answers"),
    (ORCHESTRATOR, "tw.work.>", "hears WORK past its stream"),
    (SUBMITTER, "tw.work.>", "hears others' work"),
    (SUBMITTER, "tw.event.zone-a.host.>", "hears events of a kind not listed"),
    (SUBMITTER, "tw.event.zone-b.>", "hears events of a zone not listed"),
    (READER, "tw.event.zone-b.>", "hears events of a zone not listed"),
    (READER, "tw.work.>", "hears WORK"),
    ("operator", "_INBOX_orchestrator.>", "hears another's answers"),
]  # fmt: skip
BY_THE_SERVERS_HAND = [
    # who, a request that is allowed, its body, and the reply subject where its answer should do harm
    (SUBMITTER, "tw.work.zone-a.vm.x", "{}", subjects.claim_of_pod("zone-a", "a1")),
    (SUBMITTER, "tw.work.zone-a.vm.x", "{}", subjects.claim_of_zone(ROOT)),
    (SUBMITTER, "tw.work.zone-a.vm.x", "{}", subjects.work("zone-b", "vm.x")),
    (SUBMITTER, "tw.work.zone-a.vm.x", "{}", subjects.work("zone-a", "volume.other")),
    (AGENT, "tw.js.DIRECT.GET.LOG_zone-a", '{"seq":1}', subjects.claim_of_pod("zone-b", "b1")),
    (AGENT, "tw.log.zone-a.vm.x.completed", "{}", subjects.claim_of_pod("zone-a", "a1")),
    (AGENT, "tw.log.zone-a.vm.x.completed", "{}", subjects.claim_of_zone("zone-a")),
    (AGENT, "tw.log.zone-a.vm.x.completed", "{}", subjects.work("zone-a", "vm.x")),
    (AGENT, "tw.log.zone-a.vm.x.completed", "{}", subjects.work("zone-b", "vm.x")),
    (SUPERVISOR, "tw.work.zone-a.vm.x", "{}", subjects.claim_of_pod("zone-b", "b1")),
    (AGENT, "tw.js.DIRECT.GET.LOG_zone-a", '{"seq":1}', subjects.claim_of_pod("zone-a", "a1")),
    (AGENT, "tw.js.STREAM.INFO.LOG_zone-a", "", subjects.work("zone-a", "vm.x")),
    (READER, "tw.js.DIRECT.GET.LOG_zone-a", '{"seq":1}', subjects.log("zone-a", "vm.x", "completed")),
]  # fmt: skip


async def test_everything_that_is_forbidden_is_denied_and_said(site: Site) -> None:
    async with connected_as(site.url, site.folder, SUPERVISOR) as bus:
        claim = subjects.claim_of_pod("zone-a", "a1")
        await bus.append_expecting("LOG_zone-a", Draft(claim, b"{}"), subject=claim, position=0)
    before = await site.positions()
    rows = []
    for name in dict.fromkeys(who for who, *_ in (*FORBIDDEN_TO_PUBLISH, *FORBIDDEN_TO_HEAR)):
        async with connected_as(site.url, site.folder, name) as bus:
            for verb, table in (("publish", FORBIDDEN_TO_PUBLISH), ("subscribe", FORBIDDEN_TO_HEAR)):
                for who, subject, what in table:
                    if who == name:
                        rows.append((who, what, subject, await is_denied(bus, verb, subject)))
            assert bus.violation
    for who, what, subject, denied in rows:
        print(f"{'denied' if denied else 'NOT DENIED':<11} {who:<24} {what:<45} {subject}")
    assert [row for row in rows if not row[-1]] == []
    assert await site.positions() == before
    print(f"{len(rows)} forbidden things, all denied")


async def test_a_supervisor_hears_of_connections_that_end_below_it_and_of_no_others(site: Site) -> None:
    heard: list[tuple[str, str | None]] = []
    url, folder = site.url, site.folder

    def listener(who: str) -> Callable[[str, bytes, object], None]:
        return lambda _, data, __: heard.append((who, codec.closed_connection_of(data)))

    async with connected_as(url, folder, SUPERVISOR) as supervisor:
        await supervisor.subscribe(subjects.ALL_CLOSED, listener(SUPERVISOR))
        await site.bus.subscribe(subjects.ALL_CLOSED, listener(ORCHESTRATOR))
        for bus in (supervisor, site.bus):
            await bus.state("LOG_zone-a")  # the server knows of the subscription
        for name in (SUBMITTER, AGENT):
            async with connected_as(url, folder, name):
                pass
        await until(lambda: heard == [(SUPERVISOR, AGENT)], str(heard))
    await until(lambda: heard[1:] == [(ORCHESTRATOR, SUPERVISOR)], str(heard))


async def is_denied(bus: NatsBus, verb: str, subject: str) -> bool:
    violations = bus.counts["violations"]
    if verb == "publish":
        bus.publish(subject, b"{}")
    else:
        await bus.subscribe(subject, lambda *_: None)
    try:
        async with asyncio.timeout(5.0):
            while bus.counts["violations"] == violations:
                await asyncio.sleep(0.002)
    except TimeoutError:
        return False
    return bus.violation is not None and subject.lower() in bus.violation.lower()


async def test_the_server_cannot_be_made_to_write_for_somebody_else(site: Site) -> None:
    """It publishes answers without looking at the reply subject: only the account keeps it in."""
    async with connected_as(site.url, site.folder, SUPERVISOR) as bus:
        claim = subjects.claim_of_pod("zone-a", "a1")
        await bus.append_expecting("LOG_zone-a", Draft(claim, b"{}"), subject=claim, position=0)
    for who, subject, body, reply in BY_THE_SERVERS_HAND:
        async with connected_as(site.url, site.folder, who) as bus:
            bus.connection.publish(subject, body.encode(), reply=reply)
            # The same once more: when this is answered, so was that.
            assert await bus.requests.ask(subject, body.encode(), timeout_s=5.0) is not None
            assert bus.violation is None
        print(f"{'sent':<11} {who:<24} {subject} > {reply}")
    rows = len(BY_THE_SERVERS_HAND)
    stored: list[str] = []
    for name in ("WORK_zone-a", "WORK_zone-b", "LOG_root", "LOG_zone-a", "LOG_zone-b"):
        seen = Seen()
        state = await site.bus.state(name)
        assert state is not None
        subject = filters(name.partition("_")[2])[name]
        await seen.read(site.bus, name, subject)
        await seen.until_count(state.messages)
        stored += [message.subject for message in seen.messages]
    work, log = "tw.work.zone-a.vm.x", "tw.log.zone-a.vm.x.completed"
    asked = Counter(subject for _, subject, _, _ in BY_THE_SERVERS_HAND for _ in range(2))
    assert Counter(stored) == {claim: 1, work: asked[work], log: asked[log]}
    print(f"{rows} requests with a reply subject that would do harm, all kept in")
    # In the account that has the streams it would work: whoever is in it is trusted, and this test would see it.
    site.bus.connection.publish("$JS.API.DIRECT.GET.LOG_zone-a", b'{"seq":1}', reply="tw.log.zone-b.vm.x.completed")

    async def last_there() -> object:
        return await site.bus.last("LOG_zone-b", "tw.log.zone-b.>")

    await until(last_there)
    last = await site.bus.last("LOG_zone-b", "tw.log.zone-b.>")
    assert last is not None and last.subject == "tw.log.zone-b.vm.x.completed"
