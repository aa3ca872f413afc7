"""Each unit is one connected waterfall, as a receiver of OTLP sees it from all programs together."""

import signal
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest
from tests.e2e.conftest import QUICK, running
from tests.support.otlp import OtlpReceiver, ReceivedSpan, waterfall
from tests.support.until import until
from tests.support.user import User, at

from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import Layout, default_topology
from treeward.schemas import streams
from treeward.telemetry import names, traceparent

CLIENT_TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OF_A_UNIT = {names.SUBMIT, names.DISPATCH, names.MAILBOX_WAIT, names.PROCESS, names.DEVICE_CALL, names.SETTLE}


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, receiver: OtlpReceiver) -> Iterator[DataCentre]:
    folder = Folder(tmp_path_factory.mktemp("traced") / "data")
    layout = Layout(
        default_topology(1, 1, 2), orchestrators=1, zone_supervisors=1, pod_agents=2,
        settings={**QUICK, **receiver.environment()},
    )  # fmt: skip
    with running(folder, layout) as centre:
        yield centre


async def _trace_of(user: User, receiver: OtlpReceiver, ticket: int, *, at_least: int = 0) -> list[ReceivedSpan]:
    """The spans of the unit once it is settled and every program has exported its own."""

    def spans() -> list[ReceivedSpan]:
        return [span for span in receiver.spans if span.attributes.get(names.TICKET) == ticket and _zoned(span)]

    await until(lambda: any(span.name == names.SETTLE for span in spans()), f"the settle span of {ticket}")
    await until(lambda: not _orphans(spans()), f"every parent in the trace of {ticket}", timeout_s=10.0)
    await until(lambda: len(spans()) >= at_least, f"{at_least} spans of {ticket}", timeout_s=10.0)
    return spans()


def _zoned(span: ReceivedSpan) -> bool:
    return span.attributes.get(names.ZONE) == "zone-a"


def _orphans(spans: Sequence[ReceivedSpan]) -> list[str]:
    """Spans whose parent did not arrive; a root has none, or the client's."""
    known = {span.span_id for span in spans}
    return [span.name for span in spans if span.parent_id not in {*known, "", CLIENT_SPAN}]


def _children(spans: Sequence[ReceivedSpan]) -> dict[str, list[str]]:
    """Parent's name > names of its children, each pair once for each span."""
    by_id = {span.span_id: span for span in spans}
    found: dict[str, list[str]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start_s):
        found[by_id[span.parent_id].name if span.parent_id in by_id else ""].append(span.name)
    return dict(found)


async def test_a_plain_submit_is_one_waterfall_across_the_services(traced: DataCentre, receiver: OtlpReceiver) -> None:
    async with at(traced) as user:
        await user.done("vm.plain", "create")
        stop = (await user.done("vm.plain", "stop")).ticket
        assert stop is not None
        spans = await _trace_of(user, receiver, stop)
        assert len({span.trace_id for span in spans}) == 1
        assert _children(spans) == {
            "": ["submit"],
            "submit": ["dispatch"],
            "dispatch": ["mailbox wait", "process"],
            "process": ["device call", "settle"],
        }, waterfall(spans)
        services = {span.name: span.service for span in spans}
        assert services == {
            "submit": "orchestrator", "dispatch": "orchestrator", "settle": "orchestrator",
            "mailbox wait": "pod-agent", "process": "pod-agent", "device call": "pod-agent",
        }  # fmt: skip
        assert not [span.name for span in spans if span.error]
        work = await user.bus.state(streams.work("zone-a"))
        assert work is not None
        trace_id, span_id = traceparent.derive("zone-a", work.created_s, stop)
        assert (spans[0].trace_id, span_id in {span.span_id for span in spans}) == (trace_id, True)


async def test_a_create_shows_how_it_was_placed(traced: DataCentre, receiver: OtlpReceiver) -> None:
    """It is sent twice: to the zone supervisor, which places it, and to the pod."""
    async with at(traced) as user:
        ticket = (await user.done("vm.placed", "create")).ticket
        assert ticket is not None
        spans = await _trace_of(user, receiver, ticket, at_least=9)
        assert len({span.trace_id for span in spans}) == 1
        assert _children(spans) == {
            "": ["submit"],
            "submit": ["dispatch", "dispatch"],
            "dispatch": ["mailbox wait", "process", "mailbox wait", "process"],
            "process": ["device call", "settle"],
        }, waterfall(spans)
        assert {span.service for span in spans} == {"orchestrator", "zone-supervisor", "pod-agent"}
        await user.done("vm.placed", "destroy")


async def test_a_migration_is_one_waterfall_over_both_owners(traced: DataCentre, receiver: OtlpReceiver) -> None:
    """Handed off by the pod, placed by the zone supervisor, answered where it then is."""
    async with at(traced) as user:
        await user.done("vm.moved", "create")
        ticket = (await user.done("vm.moved", "migrate")).ticket
        assert ticket is not None
        spans = await _trace_of(user, receiver, ticket, at_least=11)
        children = _children(spans)
        assert (children[""], children["submit"]) == (["submit"], ["dispatch"] * 3), waterfall(spans)
        outcomes = [span.attributes[names.OUTCOME] for span in spans if span.name == names.PROCESS]
        assert sorted(map(str, outcomes)) == ["completed", "handed_off", "placed"]
        assert not [span.name for span in spans if span.error]
        await user.done("vm.moved", "destroy")


async def test_a_clients_trace_is_continued(traced: DataCentre, receiver: OtlpReceiver) -> None:
    async with at(traced) as user:
        await user.done("vm.traced", "create")
        ticket = await user.raw("vm.traced", '{"operation":"stop"}', traceparent=f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01")
        await user.outcome(ticket)
        spans = await _trace_of(user, receiver, ticket)
        assert {span.trace_id for span in spans} == {CLIENT_TRACE}
        assert [span.name for span in spans if span.parent_id == CLIENT_SPAN] == ["submit"]
        assert {span.name for span in spans} == OF_A_UNIT
        await user.done("vm.traced", "destroy")


async def test_a_rejected_unit_is_a_waterfall_too(traced: DataCentre, receiver: OtlpReceiver) -> None:
    async with at(traced) as user:
        ticket = await user.raw("vm.bad", "nonsense")
        await user.outcome(ticket)
        spans = await _trace_of(user, receiver, ticket)
        assert _children(spans) == {
            "": ["submit"], "submit": ["dispatch"], "dispatch": ["mailbox wait", "process"], "process": ["settle"],
        }, waterfall(spans)  # fmt: skip
        assert {span.name: span.error for span in spans}["process"] == "rejected"


async def test_a_crash_is_seen_below_the_process_that_it_ended_with_links_to_what_it_flushed(
    traced: DataCentre, receiver: OtlpReceiver
) -> None:
    async with at(traced) as user:
        await user.done("vm.crashing", "create")
        await user.fault("latency", kind="vm", id="crashing", seconds=0.3, times=1)
        await user.fault("fail", kind="vm", id="crashing", operation="stop", times=1)
        tickets = [await user.submit("vm.crashing", operation) for operation in ("stop", "start", "destroy")]
        for ticket in tickets:
            await user.outcome(ticket)
        spans = await _trace_of(user, receiver, tickets[0])
        assert len({span.trace_id for span in spans}) == 1
        children = _children(spans)
        assert children[""] == ["submit"], waterfall(spans)
        assert children["submit"] == ["dispatch", "dispatch"]
        assert sorted(children["dispatch"]) == ["mailbox wait", "mailbox wait", "process", "process"]
        assert sorted(children["process"]) == ["crash", "device call", "device call", "settle"]
        crash = next(span for span in spans if span.name == names.CRASH)
        processes = sorted((span for span in spans if span.name == names.PROCESS), key=lambda span: span.start_s)
        assert crash.parent_id == processes[0].span_id
        assert (processes[0].error, processes[1].error) == ("crashed", None)
        assert (crash.attributes[names.VERDICT], crash.attributes[names.UNITS]) == ("maybe_started", 3)
        flushed = {(await _trace_of(user, receiver, ticket))[0].trace_id for ticket in tickets[1:]}
        assert flushed <= {trace_id for trace_id, _ in crash.links}


async def test_a_unit_that_was_taken_over_with_its_pod_is_still_one_waterfall(
    traced: DataCentre, receiver: OtlpReceiver
) -> None:
    """What the killed agent had not exported is lost; nothing that arrived hangs in the air for it."""
    async with at(traced) as user:
        created = await user.done("vm.taken-over", "create")
        claim = await user.bus.last(streams.log("zone-a"), f"tw.log.zone-a.pod.{created.pod}.claimed")
        assert claim is not None
        owner = next(name for name in ("pod-agent-1", "pod-agent-2") if f'"owner":"{name}-'.encode() in claim.data)
        fault = await user.fault("hang", kind="vm", id="taken-over", operation="stop", times=1)
        ticket = await user.submit("vm.taken-over", "stop")
        await user.in_progress("vm.taken-over", ticket)
        program = traced.programs[owner]
        program.kill()
        assert program.exit_code == -signal.SIGKILL
        await user.event(f"pod.{created.pod}", "claimed", timeout_s=20)
        await user.mend(fault)
        event = await user.outcome(ticket)
        program.start()
        assert event.type == "completed"
        spans = await _trace_of(user, receiver, ticket)
        assert len({span.trace_id for span in spans}) == 1
        children = _children(spans)
        assert children[""] == ["submit"], waterfall(spans)
        assert children["submit"].count("dispatch") >= 2
        assert children["process"].count("settle") == 1
        await until(
            lambda: any("suspected" in str(span.attributes.get(names.REASON)) for span in receiver.spans),
            "the span of the takeover, which its supervisor exports in its own time",
        )
        takeover = [span for span in receiver.spans if span.name == names.TAKEOVER]
        assert {span.parent_id for span in takeover} == {""}


async def test_the_names_of_spans_are_few_and_are_those_of_the_table(
    traced: DataCentre, receiver: OtlpReceiver
) -> None:
    table = {
        names.SUBMIT, names.DISPATCH, names.MAILBOX_WAIT, names.PROCESS, names.DEVICE_CALL, names.SETTLE, names.CRASH,
        names.TAKEOVER,
    }  # fmt: skip
    assert {span.name for span in receiver.spans} == table
