"""The command against a real nats-server, without any service behind it."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from treeward.bus.interface import BusError, Draft, Guard, Receipt, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.cli.existing import definitions, last_events
from treeward.cli.main import build
from treeward.cli.outcomes import Outcomes
from treeward.cli.output import BAD_INPUT, FINE, NO, UNAVAILABLE
from treeward.cli.pipeline import Draft as Submit
from treeward.cli.pipeline import Pipeline
from treeward.runtime.embedded_nats import EmbeddedNats, free_port
from treeward.schemas import streams, subjects
from treeward.schemas.api import REQUESTS
from treeward.schemas.api.explain import ExplainRequest
from treeward.schemas.api.state import StateAnswer, StateRequest
from treeward.schemas.api.tree import TreeAnswer
from treeward.schemas.events import Event, EventType
from treeward.schemas.streams import Retention


def call(url: str, *arguments: str, text: str | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `treeward ARGUMENTS` at a server."""
    result = CliRunner().invoke(build(arguments), list(arguments), input=text, env={"TREEWARD_NATS_URL": url})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def with_bus(url: str, work: Callable[[NatsBus], Any]) -> Any:
    """Run a coroutine function with a connection."""

    async def run() -> Any:
        bus = await NatsBus.connect(url, timeout_s=10)
        try:
            return await work(bus)
        finally:
            await bus.close()

    return asyncio.run(run())


def event(type_: EventType, key: str = "vm.a", *, ticket: int | None = 1, **more: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event(type=type_, zone="zone-a", kind=kind, id=id_, life=1, at=datetime.now(UTC), ticket=ticket, **more)


async def append(bus: NatsBus, *events: Event) -> None:
    """Append as an owner does; the first is the claim under which the others are."""
    claim = subjects.claim_of_zone("zone-a")
    if await bus.last(streams.log("zone-a"), claim) is None:
        first = event(EventType.CLAIMED, "zone.zone-a", ticket=None)
        await bus.append_expecting(streams.log("zone-a"), Draft(claim, body(first)), subject=claim, position=0)
    last = await bus.last(streams.log("zone-a"), claim)
    assert last is not None
    appender = bus.appender(streams.log("zone-a"), Guard(claim, last.position))
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    drafts = [Draft(subjects.log("zone-a", one.key, one.type), body(one)) for one in events]
    appender.append(drafts, done.set_result)
    assert isinstance(await done, int)
    appender.close()


def body(one: Event) -> bytes:
    return one.model_dump_json(exclude_defaults=True).encode()


@pytest.fixture
def url(nats_server: EmbeddedNats) -> str:
    """A server on which root and zone-a have been provisioned."""

    async def make(bus: NatsBus) -> None:
        await provision(bus, "zone-a", Retention())

    assert call(nats_server.url, "provision")[0] == FINE
    with_bus(nats_server.url, make)
    return nats_server.url


@pytest.mark.parametrize("arguments", [("submit", "zone-a.vm.web-1", "create"), ("events",), ("tree",)])
def test_without_a_server_a_command_says_what_to_do(arguments: tuple[str, ...]) -> None:
    nobody = f"nats://127.0.0.1:{free_port()}"
    code, _, error = call(nobody, *arguments)
    assert code == UNAVAILABLE
    assert error.startswith(f"error: no NATS server answers at {nobody}; start one (`treeward up`)")
    assert len(error.splitlines()) == 1


def test_provision_makes_roots_streams_once_and_says_what_differs(nats_server: EmbeddedNats) -> None:
    assert call(nats_server.url, "provision")[1].startswith("made WORK_root, WORK_HISTORY_root, LOG_root")
    assert call(nats_server.url, "provision")[1] == "everything was there\n"
    code, _, error = call(nats_server.url, "provision", "--replicas", "3")
    assert code == NO and "num_replicas is 1, wanted 3" in error and "nothing was changed" in error


def test_a_ticket_is_printed_and_an_id_makes_a_repeat_harmless(url: str) -> None:
    assert call(url, "submit", "zone-a.vm.web-1", "create") == (FINE, "1\n", "")
    assert call(url, "submit", "zone-a.vm.web-1", "destroy", "--id", "x")[1] == "2\n"
    code, out, _ = call(url, "submit", "zone-a.vm.web-1", "destroy", "--id", "x", "--json")
    assert code == FINE and json.loads(out) == {"zone": "zone-a", "ticket": 2, "duplicate": True}


def test_the_body_on_the_bus_is_what_was_typed(url: str) -> None:
    arguments = ("--spec", '{"cpus":2}', "--label", "a=b", "--after", "1", "--reason", "why", "--on-failure", "fail")
    assert call(url, "submit", "zone-a.vm.web-1", "create", *arguments)[0] == FINE

    async def get(bus: NatsBus) -> Stored | None:
        return await bus.get(streams.work("zone-a"), 1)

    stored = with_bus(url, get)
    assert stored.subject == "tw.work.zone-a.vm.web-1"
    assert json.loads(stored.data) == {
        "operation": "create", "on_failure": "fail", "after": [1], "reason": "why", "spec": {"cpus": 2},
        "labels": {"a": "b"},
    }  # fmt: skip


def test_a_zone_that_nobody_has_defined_is_said(url: str) -> None:
    for arguments in (("submit", "zone-x.vm.a", "create"), ("events", "zone-x", "--since", "all")):
        code, _, error = call(url, *arguments)
        assert code == NO and "zone-x" in error and "treeward apply" in error


def test_waiting_in_vain_ends_with_no(url: str) -> None:
    code, _, error = call(url, "submit", "zone-a.vm.a", "create", "--wait", "--timeout", "0.2")
    assert code == NO and "ticket 1 has no outcome after 0.2 s; `treeward explain zone-a:1` says why" in error


@pytest.mark.parametrize(("type_", "wanted"), [(EventType.COMPLETED, FINE), (EventType.REJECTED, NO)])
def test_waiting_ends_with_the_outcome(url: str, type_: EventType, wanted: int) -> None:
    """The unit has been answered before: a repeat under its id finds that answer."""
    assert call(url, "submit", "zone-a.vm.a", "create", "--id", "x")[0] == FINE

    async def answer(bus: NatsBus) -> None:
        await append(bus, event(EventType.READY), event(type_, reason="because"), event(type_, ticket=2))

    with_bus(url, answer)
    code, out, _ = call(url, "submit", "zone-a.vm.a", "create", "--id", "x", "--wait")
    assert code == wanted and f"zone-a.vm.a {type_} #1  because" in out


def test_a_file_is_submitted_in_its_order(url: str) -> None:
    lines = [{"address": f"zone-a.vm.{number % 7}", "operation": "create"} for number in range(300)]
    code, _, error = call(url, "submit", "--file", "-", "--id", "run", text="\n".join(map(json.dumps, lines)))
    assert code == FINE and "300 of 300 units accepted" in error
    again = call(url, "submit", "--file", "-", "--id", "run", text="\n".join(map(json.dumps, lines)))
    assert again[0] == FINE

    async def read(bus: NatsBus) -> list[str]:
        state = await bus.state(streams.work("zone-a"))
        assert state is not None and state.messages == 300
        stored = [await bus.get(streams.work("zone-a"), ticket) for ticket in range(1, 301)]
        return [one.subject for one in stored if one is not None]

    assert with_bus(url, read) == [f"tw.work.zone-a.vm.{number % 7}" for number in range(300)]


def test_units_that_are_refused_are_counted(url: str) -> None:
    lines = [{"address": f"{zone}.vm.a", "operation": "create"} for zone in ("zone-a", "zone-x", "zone-x")]
    code, out, error = call(url, "submit", "--file", "-", "--json", text="\n".join(map(json.dumps, lines)))
    assert code == NO and "no zone zone-x" in error
    assert json.loads(out)["accepted"] == 1 and list(json.loads(out)["refused"].values()) == [2]


def test_events_are_read_from_a_position_to_the_end(url: str) -> None:
    async def make(bus: NatsBus) -> None:
        await append(bus, *(event(EventType.COMPLETED, f"vm.{number}", ticket=number) for number in range(1, 6)))

    with_bus(url, make)
    code, out, _ = call(url, "events", "zone-a", "--since", "all", "--no-follow")
    assert code == FINE and len(out.splitlines()) == 6 and "zone-a.zone.zone-a claimed" in out
    out = call(url, "events", "zone-a.vm.*.completed", "--since", "4", "--no-follow", "--json")[1]
    assert [(row["position"], row["id"]) for row in map(json.loads, out.splitlines())] == [(4, "3"), (5, "4"), (6, "5")]
    assert len(call(url, "events", "zone-a", "--since", "all", "--count", "2")[1].splitlines()) == 2


def test_an_answer_and_an_error_of_an_orchestrator_are_told(url: str) -> None:
    """The other side is written here with the published models, as a client in another language would meet it."""
    answers: dict[str, bytes] = {
        "state": StateAnswer(resources=[]).model_dump_json().encode(),
        "explain": b'{"error": "no ticket 9 in zone zone-a"}',
        "queued": b"[]",
        "tree": TreeAnswer(zone="zone-a", later="field").model_dump_json().encode(),  # type: ignore[call-arg]
    }
    wanted = {"state": (NO, "never heard of vm.a"), "explain": (NO, "no ticket 9"), "queued": (UNAVAILABLE, "versions")}
    arguments = {"state": "zone-a.vm.a", "explain": "zone-a:9", "queued": "zone-a", "tree": "zone-a"}
    asked: list[tuple[str, Any]] = []

    async def serve_and_call(bus: NatsBus) -> None:
        async def answer(subject: str, question: bytes) -> bytes:
            endpoint = subject.split(".")[2]
            asked.append((endpoint, REQUESTS[endpoint].model_validate_json(question)))
            return answers[endpoint]

        await bus.serve(subjects.api("*", "zone-a"), answer)
        for endpoint, argument in arguments.items():
            code, out, error = await asyncio.to_thread(call, url, endpoint, argument)
            code_wanted, text = wanted.get(endpoint, (FINE, "zone-a"))
            assert code == code_wanted and text in out + error, endpoint

    with_bus(url, serve_and_call)
    assert ("explain", ExplainRequest(ticket=9)) in asked
    assert ("state", StateRequest(key="vm.a", limit=500)) in asked


def test_nobody_to_answer_is_said(url: str) -> None:
    code, _, error = call(url, "state", "zone-a", "--timeout", "0.2")
    assert code == UNAVAILABLE and "no orchestrator answered for zone zone-a" in error


def test_a_topology_with_a_mistake_is_refused_before_anything_is_sent(url: str, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("zones:\n  zone-b: {pod: {}}\n")
    code, _, error = call(url, "apply", str(tmp_path / "t.yaml"))
    assert code == BAD_INPUT and "t.yaml:2: zones.zone-b.pod: there is no such field" in error


async def test_each_receipt_comes_before_the_next_unit_of_its_resource_is_sent(bus: NatsBus) -> None:
    open_keys: set[str] = set()
    tickets: dict[str, list[int]] = {}

    def done(draft: Submit, result: Receipt | BusError) -> None:
        assert isinstance(result, Receipt)
        open_keys.discard(draft.key)
        tickets.setdefault(draft.key, []).append(result.ticket)

    async with Pipeline(bus, done, in_flight_max=8) as pipeline:
        for number in range(200):
            draft = Submit("zone-a", f"vm.{number % 5}", b"{}")
            await pipeline.receipts_of("zone-a", draft.key)
            assert draft.key not in open_keys
            open_keys.add(draft.key)
            await pipeline.send(draft)
            assert len(open_keys) <= 8
    assert all(found == sorted(found) for found in tickets.values())
    assert sorted(ticket for found in tickets.values() for ticket in found) == list(range(1, 201))


async def test_what_exists_is_the_last_event_of_each_resource(bus: NatsBus) -> None:
    await append(
        bus,
        event(EventType.COMPLETED, "host.h-1", definition={"cpus": 1}),
        event(EventType.COMPLETED, "host.h-2", definition={"cpus": 1}),
        event(EventType.CRASHED, "host.h-1", ticket=None, definition={"cpus": 2}),
        event(EventType.COMPLETED, "host.h-2", ticket=2, removed=True),
        event(EventType.COMPLETED, "pod.p-1", definition={}),
    )
    assert await definitions(bus, "zone-a", ("host", "pod")) == {"host.h-1": {"cpus": 2}, "pod.p-1": {}}
    assert await definitions(bus, "zone-a", ("volume",)) == {}
    assert {key: last.position for key, last in (await last_events(bus, "zone-a", "host")).items()} == {
        "host.h-1": 4, "host.h-2": 5,
    }  # fmt: skip


async def test_the_first_outcome_of_a_ticket_is_its_answer(bus: NatsBus) -> None:
    outcomes = Outcomes(bus)
    await outcomes.follow("zone-a")
    await append(bus, event(EventType.COMPLETED), event(EventType.FAILED), event(EventType.COMPLETED, ticket=2))
    answers = await outcomes.answers_of([("zone-a", 1), ("zone-a", 2)], quiet_s=10)
    assert [one and one.type for one in answers] == [EventType.COMPLETED, EventType.COMPLETED]
    assert await outcomes.answer_of("zone-a", 3, timeout_s=0.05) is None
    await outcomes.close()
