"""The same waterfall, read by a receiver that shares no code with us or with the SDK: what we send is OTLP."""

import asyncio

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from treeward.runtime.embedded_nats import free_port
from treeward.telemetry import names
from treeward.telemetry.traces import Kind, tracer_from_environment

try:
    import oteltap
except OSError:  # its library is there for x86-64 Linux, macOS and Windows
    pytest.skip("oteltap has no library for this machine", allow_module_level=True)

NOW_S = 1_790_000_000.0


async def collect(receiver: oteltap.OtelTapHttpProtobufReceiver, spans: dict[str, Span], count: int) -> None:
    async for span in receiver.stream_traces():
        spans[span.name] = span
        if len(spans) == count:
            return


async def test_a_unit_and_a_crash_are_understood_by_another_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    async with oteltap.OtelTapHttpProtobufReceiver(oteltap.OtelTapHttpProtobufReceiverSettings(port)) as receiver:
        spans: dict[str, Span] = {}
        collecting = asyncio.create_task(collect(receiver, spans, 4))
        await asyncio.sleep(0)  # lets it subscribe: what arrives earlier is not kept
        tracer = tracer_from_environment("orchestrator", "orchestrator-aaaaaa")
        root = tracer.unit_context("zone-a", 1_700_000_000.0, 7)
        tracer.span(names.SUBMIT, None, NOW_S, NOW_S + 1, Kind.PRODUCER, {names.TICKET: 7}, reserved=root)
        dispatch = tracer.span(names.DISPATCH, root, NOW_S, NOW_S + 1, Kind.PRODUCER)
        tracer.span(names.PROCESS, dispatch, NOW_S, NOW_S + 2, Kind.CONSUMER, links=[dispatch], error="device gone")
        tracer.span(names.CRASH, None, NOW_S, NOW_S, links=[root], always=True)
        await asyncio.to_thread(tracer.close)
        await asyncio.wait_for(collecting, 10)
    submit, process, crash = spans["submit"], spans["process"], spans["crash"]
    assert root == f"00-{submit.trace_id.hex()}-{submit.span_id.hex()}-01"
    assert submit.parent_span_id == b""
    assert spans["dispatch"].parent_span_id == submit.span_id
    assert process.parent_span_id == process.links[0].span_id == spans["dispatch"].span_id
    assert process.trace_id == submit.trace_id
    assert (process.status.code, process.status.message) == (2, "device gone")
    assert process.end_time_unix_nano - process.start_time_unix_nano == 2_000_000_000
    attributes = {pair.key: pair.value for pair in submit.attributes}
    assert attributes["treeward.ticket"].int_value == 7
    assert attributes["messaging.system"].string_value == "nats"
    assert crash.trace_id != submit.trace_id
    assert crash.links[0].trace_id == submit.trace_id
