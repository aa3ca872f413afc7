"""Spans on their way out: one unit's waterfall over OTLP, sampling, and an exporter that is in trouble."""

import socket
import threading
from collections.abc import Iterator
from random import Random

import pytest
from tests.support.otlp import OtlpReceiver, ReceivedSpan, waterfall

from treeward.telemetry import names
from treeward.telemetry.metrics import Counter
from treeward.telemetry.traceparent import Context, span_id_of, trace_id_of
from treeward.telemetry.traces import LINKS_MAX, Kind, Tracer, tracer_from_environment

CREATED_S = 1_700_000_000.0
NOW_S = 1_790_000_000.0


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        for variable, value in receiver.environment().items():
            monkeypatch.setenv(variable, value)
        yield receiver


def report_unit(orchestrator: Tracer, agent: Tracer, ticket: int, client: str | None = None) -> Context:
    """What the services report of one unit that succeeds, in the order in which its steps end."""
    at_s = NOW_S
    root = orchestrator.unit_context("zone-a", CREATED_S, ticket, client)
    orchestrator.span(names.SUBMIT, client, at_s, at_s + 0.001, Kind.PRODUCER, {names.TICKET: ticket}, reserved=root)
    dispatch = orchestrator.span(names.DISPATCH, root, at_s + 0.001, at_s + 0.002, Kind.PRODUCER)
    agent.span(names.MAILBOX_WAIT, dispatch, at_s + 0.003, at_s + 0.004)
    process = agent.reserve(dispatch)
    agent.span(names.DEVICE_CALL, process, at_s + 0.005, at_s + 0.008, Kind.CLIENT)
    agent.span(
        names.PROCESS, dispatch, at_s + 0.004, at_s + 0.009, Kind.CONSUMER,
        {names.RESOURCE: "zone-a.vm.web-1", names.OUTCOME: "completed"}, links=[dispatch], reserved=process,
    )  # fmt: skip
    orchestrator.span(names.SETTLE, process, at_s + 0.009, at_s + 0.010, Kind.CLIENT)
    return root


def by_name(spans: list[ReceivedSpan]) -> dict[str, ReceivedSpan]:
    return {span.name: span for span in spans}


def test_a_unit_is_one_waterfall_across_two_programs(receiver: OtlpReceiver) -> None:
    orchestrator = tracer_from_environment("orchestrator", "orchestrator-aaaaaa")
    agent = tracer_from_environment("pod-agent", "pod-agent-bbbbbb", zone="zone-a")
    root = report_unit(orchestrator, agent, 7)
    orchestrator.close()
    agent.close()
    spans = by_name(receiver.spans)

    assert waterfall(receiver.spans) == (
        "submit [orchestrator] 1.0 ms \n"
        "  dispatch [orchestrator] 1.0 ms \n"
        "    mailbox wait [pod-agent] 1.0 ms \n"
        "    process [pod-agent] 5.0 ms \n"
        "      device call [pod-agent] 3.0 ms \n"
        "      settle [orchestrator] 1.0 ms "
    )
    assert {span.trace_id for span in spans.values()} == {trace_id_of(root)}
    assert spans["submit"].span_id == span_id_of(root)
    assert spans["process"].links == ((spans["dispatch"].trace_id, spans["dispatch"].span_id),)
    assert {name: span.kind for name, span in spans.items()} == {
        "submit": "PRODUCER", "dispatch": "PRODUCER", "mailbox wait": "INTERNAL",
        "process": "CONSUMER", "device call": "CLIENT", "settle": "CLIENT",
    }  # fmt: skip
    assert spans["process"].attributes == {
        "treeward.resource": "zone-a.vm.web-1",
        "treeward.outcome": "completed",
        "messaging.system": "nats",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.template": "tw.mailbox.{zone}.{pod}.{kind}.{id}",
    }
    assert spans["process"].start_s == pytest.approx(NOW_S + 0.004, abs=1e-6)
    resource = spans["process"].resource
    assert resource["service.namespace"] == "treeward"
    assert resource["service.instance.id"] == "pod-agent-bbbbbb"
    assert resource["treeward.zone"] == "zone-a"
    assert resource["service.version"]


def test_a_submit_that_two_dispatchers_report_is_one_span(receiver: OtlpReceiver) -> None:
    for instance in ("orchestrator-aaaaaa", "orchestrator-bbbbbb"):
        tracer = tracer_from_environment("orchestrator", instance)
        root = tracer.unit_context("zone-a", CREATED_S, 7)
        tracer.span(names.SUBMIT, None, NOW_S, NOW_S, Kind.PRODUCER, reserved=root)
        tracer.close()
    assert len(receiver.spans) == 2
    assert len({(span.trace_id, span.span_id) for span in receiver.spans}) == 1


def test_a_clients_trace_is_continued_and_a_broken_one_is_not(receiver: OtlpReceiver) -> None:
    tracer = tracer_from_environment("orchestrator", "orchestrator-aaaaaa")
    client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    report_unit(tracer, tracer, 8, client)
    report_unit(tracer, tracer, 9, client + "-")
    tracer.close()
    first, second = (span for span in receiver.spans if span.name == "submit")
    assert (first.trace_id, first.parent_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert second.parent_id == ""
    assert second.trace_id == trace_id_of(root_of(9))


def root_of(ticket: int) -> Context:
    tracer = tracer_from_environment("orchestrator", "orchestrator-cccccc")
    try:
        return tracer.unit_context("zone-a", CREATED_S, ticket)
    finally:
        tracer.close()


def test_a_trace_that_its_client_does_not_keep_is_not_kept_but_its_crash_is(receiver: OtlpReceiver) -> None:
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
    client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
    root = report_unit(tracer, tracer, 8, client)
    assert root.endswith("-00")
    tracer.span(names.CRASH, root, NOW_S, NOW_S, links=[root], error="device unreachable", always=True)
    tracer.close()
    (crash,) = receiver.spans
    assert crash.name == "crash"
    assert crash.trace_id == root.split("-")[1]
    assert crash.error == "device unreachable"
    assert crash.links == ((root.split("-")[1], root.split("-")[2]),)


def test_every_program_keeps_the_same_share_of_the_traces(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    one = tracer_from_environment("orchestrator", "orchestrator-aaaaaa")
    other = tracer_from_environment("orchestrator", "orchestrator-bbbbbb")
    contexts = [one.unit_context("zone-a", CREATED_S, ticket) for ticket in range(1, 1001)]
    assert contexts == [other.unit_context("zone-a", CREATED_S, ticket) for ticket in range(1, 1001)]
    kept = sum(context.endswith("-01") for context in contexts)
    assert 200 < kept < 300
    for context in contexts:
        one.span(names.SUBMIT, None, NOW_S, NOW_S, reserved=context)
        other.span(names.DISPATCH, context, NOW_S, NOW_S)
    one.close()
    other.close()
    assert len([span for span in receiver.spans if span.name == "submit"]) == kept
    assert len([span for span in receiver.spans if span.name == "dispatch"]) == kept


def test_a_crash_links_to_the_units_it_flushed_as_far_as_a_span_may(receiver: OtlpReceiver) -> None:
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
    units = [tracer.unit_context("zone-a", CREATED_S, ticket) for ticket in range(1, 141)]
    tracer.span(names.CRASH, None, NOW_S, NOW_S, attributes={names.UNITS: 140}, links=units, always=True)
    tracer.close()
    (crash,) = receiver.spans
    assert len(crash.links) == LINKS_MAX
    assert crash.attributes == {"treeward.units": 140, "treeward.links.dropped": 12}
    assert crash.parent_id == ""


def test_a_span_never_ends_before_it_starts_though_the_clock_was_set_back(receiver: OtlpReceiver) -> None:
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
    tracer.span(names.PROCESS, None, NOW_S, NOW_S - 60)
    tracer.close()
    (span,) = receiver.spans
    assert span.duration_s == 0


def test_without_an_endpoint_nothing_is_reported_and_contexts_pass_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    threads = threading.active_count()
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
    assert not tracer.enabled
    client = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert tracer.unit_context("zone-a", CREATED_S, 1, client) == client
    assert tracer.span(names.SUBMIT, client, NOW_S, NOW_S) == client
    assert tracer.reserve(None) == tracer.unit_context("zone-a", CREATED_S, 1) == ""
    assert threading.active_count() == threads
    tracer.close()


@pytest.mark.parametrize(("variable", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_the_standard_switches_turn_tracing_off(
    receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert not tracer_from_environment("pod-agent", "pod-agent-aaaaaa").enabled


def test_a_receiver_that_is_away_costs_spans_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    receiver.refuse(503)
    dropped = Counter()
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa", dropped=dropped)
    for _ in range(1000):
        tracer.span(names.PROCESS, None, NOW_S, NOW_S)
    assert dropped.value > 0
    tracer.close(timeout_s=0.1)
    assert not tracer.enabled
    assert receiver.spans == []


def test_a_full_batch_is_sent_at_once_and_the_rest_at_the_end(
    monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
    for _ in range(64):
        tracer.span(names.PROCESS, None, NOW_S, NOW_S)
    receiver.wait_for(lambda spans: len(spans) == 64, timeout_s=30.0)
    for _ in range(63):
        tracer.span(names.PROCESS, None, NOW_S, NOW_S)
    assert len(receiver.spans) == 64
    tracer.close()
    assert len(receiver.spans) == 127


def test_a_lone_span_is_sent_when_the_delay_has_passed(receiver: OtlpReceiver) -> None:
    tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
    tracer.span(names.PROCESS, None, NOW_S, NOW_S)
    receiver.wait_for(lambda spans: len(spans) == 1, timeout_s=30.0)
    tracer.close()


def test_a_receiver_that_never_answers_does_not_keep_a_program_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "600")  # more than this test may take
        tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa")
        tracer.span(names.PROCESS, None, NOW_S, NOW_S)
        tracer.close(timeout_s=0.1)
        assert not tracer.enabled


def test_ids_come_from_the_randomness_that_was_handed_in(receiver: OtlpReceiver) -> None:
    def contexts(seed: int) -> list[Context]:
        tracer = tracer_from_environment("pod-agent", "pod-agent-aaaaaa", random=Random(seed))
        made = [tracer.reserve(None), tracer.span(names.PROCESS, None, NOW_S, NOW_S)]
        tracer.close()
        return made

    assert contexts(1) == contexts(1) != contexts(2)
