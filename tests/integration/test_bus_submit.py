"""Handing in work, asking for what is stored, and the zone's streams as they are made."""

import asyncio
from pathlib import Path

import pytest
from tests.support.proxy import Proxy
from tests.support.seen import Seen
from tests.support.until import until

from treeward.bus.interface import (
    BusUnavailableError,
    Draft,
    NoSuchZoneError,
    Receipt,
    StreamDiffersError,
    SubmitRefusedError,
)
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import streams, subjects
from treeward.schemas.streams import Retention

WEB = "tw.work.zone-a.vm.web-1"


async def test_a_submit_returns_the_ticket(bus: NatsBus) -> None:
    assert await bus.submit(WEB, b"{}") == Receipt("WORK_zone-a", 1, duplicate=False)
    assert await bus.submit(WEB, b"{}") == Receipt("WORK_zone-a", 2, duplicate=False)


async def test_a_submit_with_a_known_message_id_is_the_same_unit(bus: NatsBus) -> None:
    first = await bus.submit(WEB, b"{}", message_id="order-66")
    again = await bus.submit(WEB, b"{}", message_id="order-66")
    assert (again.ticket, again.duplicate) == (first.ticket, True)
    state = await bus.state("WORK_zone-a")
    assert state is not None
    assert state.messages == 1


async def test_a_submitter_is_told_at_once_that_nobody_defined_the_zone(bus: NatsBus) -> None:
    with pytest.raises(NoSuchZoneError, match="zone-x"):
        await bus.submit("tw.work.zone-x.vm.web-1", b"{}", timeout_s=60)


async def test_a_submit_whose_receipt_is_lost_is_repeated_and_stored_once(
    bus: NatsBus, far_bus: NatsBus, proxy: Proxy
) -> None:
    proxy.lose_to_client = True
    submitting = asyncio.create_task(far_bus.submit(WEB, b"{}", timeout_s=20))
    await until(lambda: proxy.lost_bytes)
    proxy.heal()
    proxy.cut()
    receipt = await submitting
    assert (receipt.ticket, receipt.duplicate) == (1, True)
    state = await bus.state("WORK_zone-a")
    assert state is not None
    assert state.messages == 1


async def test_a_submit_without_a_server_says_that_it_may_or_may_not_be_stored(
    bus: NatsBus, nats_server: EmbeddedNats
) -> None:
    nats_server.kill()
    with pytest.raises(BusUnavailableError):
        await bus.submit(WEB, b"{}", timeout_s=0.5)


async def test_what_is_larger_than_the_server_takes_is_refused_before_it_ends_the_connection(bus: NatsBus) -> None:
    huge = b"x" * bus.connection.payload_bytes_max
    with pytest.raises(SubmitRefusedError):
        await bus.submit(WEB, huge)
    bus.publish(WEB, huge)
    assert (await bus.submit(WEB, b"{}")).ticket == 1
    assert bus.connection.counts["lost"] == 0


async def test_a_refusal_of_the_stream_is_told(bus: NatsBus) -> None:
    config = {"name": "WORK_zone-f", "subjects": ["tw.work.zone-f.*.*"], "discard": "new", "max_msgs": 1}
    await bus.streams.api("STREAM.CREATE.WORK_zone-f", config)
    await bus.submit("tw.work.zone-f.vm.web-1", b"{}")
    with pytest.raises(SubmitRefusedError, match="maximum messages exceeded"):
        await bus.submit("tw.work.zone-f.vm.web-1", b"{}")


async def test_the_last_message_of_a_subject_and_of_a_wildcard(bus: NatsBus) -> None:
    for number, key in enumerate(("vm.a", "vm.b", "volume.c")):
        await bus.submit(subjects.work("zone-a", key), b"%d" % number)
    last = await bus.last("WORK_zone-a", subjects.work("zone-a", "vm.a"))
    assert last is not None
    assert (last.position, last.subject, last.data) == (1, "tw.work.zone-a.vm.a", b"0")
    of_kind = await bus.last("WORK_zone-a", "tw.work.zone-a.vm.*")
    assert of_kind is not None
    assert of_kind.position == 2
    assert await bus.last("WORK_zone-a", "tw.work.zone-a.host.*") is None
    with pytest.raises(NoSuchZoneError):
        await bus.last("WORK_zone-x", "tw.work.zone-x.*.*")


async def test_what_is_asked_for_by_position_equals_what_a_reader_delivers(bus: NatsBus) -> None:
    await bus.submit(WEB, b"body", headers={"traceparent": "00-1"})
    seen = Seen()
    await seen.read(bus, "WORK_zone-a", subjects.work_of_zone("zone-a"))
    await seen.until(1)
    assert await bus.get("WORK_zone-a", 1) == seen.messages[0]
    assert await bus.streams.leader_get("WORK_zone-a", {"seq": 1}) == seen.messages[0]
    assert await bus.get("WORK_zone-a", 2) is None


async def test_hundreds_of_questions_are_open_at_once(bus: NatsBus) -> None:
    for number in range(300):
        bus.publish(subjects.work("zone-a", f"vm.v{number}"), b"%d" % number)
    answers = await asyncio.gather(
        *(bus.last("WORK_zone-a", subjects.work("zone-a", f"vm.v{number}")) for number in range(300))
    )
    assert [answer.data for answer in answers if answer is not None] == [b"%d" % number for number in range(300)]


async def test_purging_removes_what_lies_below_and_keeps_it_in_the_history(bus: NatsBus) -> None:
    for _ in range(5):
        await bus.submit(WEB, b"{}")
    history = Seen()
    await history.read(bus, "WORK_HISTORY_zone-a")
    await history.until_count(5)
    for _ in range(2):
        await bus.purge("WORK_zone-a", below=4)
    state = await bus.state("WORK_zone-a")
    assert state is not None
    assert (state.first, state.last, state.messages) == (4, 5, 2)
    kept = await bus.state("WORK_HISTORY_zone-a")
    assert kept is not None
    assert (kept.first, kept.last) == (1, 5)
    with pytest.raises(NoSuchZoneError):
        await bus.purge("WORK_zone-x", below=4)


async def test_provisioning_again_changes_nothing(bus: NatsBus) -> None:
    assert await provision(bus, "zone-a", Retention()) == ()
    assert await provision(bus, "root", Retention()) == tuple(
        spec.name for spec in streams.streams_of("root", Retention())
    )


async def test_two_may_provision_a_zone_at_the_same_time(bus: NatsBus, nats_server: EmbeddedNats) -> None:
    other = await NatsBus.connect(nats_server.url, timeout_s=5)
    made = await asyncio.gather(*(provision(each, "zone-b", Retention()) for each in (bus, other)))
    await other.close()
    assert sorted({*made[0], *made[1]}) == sorted(spec.name for spec in streams.streams_of("zone-b", Retention()))


async def test_a_stream_with_other_settings_is_reported_and_left_as_it_is(bus: NatsBus) -> None:
    before = await bus.streams.info("LOG_zone-a")
    with pytest.raises(StreamDiffersError) as caught:
        await provision(bus, "zone-a", Retention(log_age_s=60, mailbox_age_s=7))
    assert "LOG_zone-a: max_age is 604800000000000, wanted 60000000000" in str(caught.value)
    assert "MAILBOX_zone-a: max_age is 120000000000, wanted 7000000000" in str(caught.value)
    after = await bus.streams.info("LOG_zone-a")
    assert before is not None
    assert after is not None
    assert before["config"] == after["config"]


async def test_more_readers_than_the_servers_default_are_allowed(bus: NatsBus) -> None:
    for spec in streams.streams_of("zone-a", Retention()):
        info = await bus.streams.info(spec.name)
        assert info is not None
        assert info["config"]["max_consumers"] > 1000


async def test_the_bucket_holds_the_last_event_of_each_resource_with_its_position(bus: NatsBus) -> None:
    claim = subjects.claim_of_zone("zone-a")
    position = 0
    for key, type_ in (("vm.web-1", "ready"), ("vm.web-2", "ready"), ("vm.web-1", "completed")):
        draft = Draft(subjects.log("zone-a", key, type_), f"{key} {type_}".encode(), {"traceparent": "00-1"})
        result = await bus.append_expecting("LOG_zone-a", draft, subject=claim, position=0)
        assert isinstance(result, int)
        position = result
    bucket = streams.state("zone-a")
    seen = Seen()
    await seen.read(bus, bucket, streams.state_subject("zone-a", "*.*"))
    await until(lambda: any(b"completed" in body for body in seen.bodies))
    web_1 = await bus.last(bucket, streams.state_subject("zone-a", "vm.web-1"))
    web_2 = await bus.last(bucket, streams.state_subject("zone-a", "vm.web-2"))
    assert web_1 is not None
    assert web_2 is not None
    assert (web_1.data, web_2.data) == (b"vm.web-1 completed", b"vm.web-2 ready")
    assert web_1.headers is not None
    assert web_1.headers["Nats-Stream-Source"].split()[:2] == ["LOG_zone-a", str(position)]
    assert web_1.headers["traceparent"] == "00-1"


async def test_a_purge_marker_with_a_lifetime_removes_an_entry_of_the_bucket(bus: NatsBus) -> None:
    claim, bucket = subjects.claim_of_zone("zone-a"), streams.state("zone-a")
    forgotten = Draft(subjects.log("zone-a", "vm.web-1", "forgotten"), b"", {"KV-Operation": "PURGE", "Nats-TTL": "1s"})
    await bus.append_expecting(
        "LOG_zone-a", Draft(subjects.log("zone-a", "vm.web-1", "ready"), b"{}"), subject=claim, position=0
    )
    await bus.append_expecting("LOG_zone-a", forgotten, subject=claim, position=0)
    seen = Seen()
    await seen.read(bus, bucket, streams.state_subject("zone-a", "*.*"))
    await until(lambda: any((stored.headers or {}).get("KV-Operation") == "PURGE" for stored in seen.messages))
    give_up_s = asyncio.get_running_loop().time() + 20
    while await bus.last(bucket, streams.state_subject("zone-a", "vm.web-1")) is not None:
        assert asyncio.get_running_loop().time() < give_up_s
    assert await bus.last(bucket, streams.state_subject("zone-a", "vm.web-1")) is None


async def test_streams_and_positions_survive_a_restart_and_the_memory_stream_does_not(
    bus: NatsBus, nats_server: EmbeddedNats, tmp_path: Path
) -> None:
    await bus.submit(WEB, b"{}")
    await asyncio.to_thread(nats_server.stop)
    await asyncio.to_thread(nats_server.start)
    assert (await bus.submit(WEB, b"{}", timeout_s=20)).ticket == 2
    assert await bus.state("MAILBOX_zone-a") is None
    assert await provision(bus, "zone-a", Retention()) == ("MAILBOX_zone-a",)
    assert (tmp_path / "nats" / "jetstream").is_dir()
