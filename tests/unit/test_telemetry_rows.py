"""Our encoding of spans says what the SDK's says, for any span."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from treeward.telemetry import names
from treeward.telemetry.rows import Attributes, Row, encode_request, encode_resource
from treeward.telemetry.traceparent import Context

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
VALUE = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
CONTEXT = st.builds(Context, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.just(True))
TIME_NS = st.integers(0, 2**63)
ROW = st.builds(
    Row,
    name=TEXT.filter(lambda name: name and name not in names.FIXED),
    own=CONTEXT,
    parent=st.none() | CONTEXT,
    kind=st.sampled_from(SpanKind),
    start_ns=TIME_NS,
    end_ns=TIME_NS,
    attributes=st.dictionaries(TEXT.filter(bool), VALUE, max_size=5),
    links=st.lists(CONTEXT, max_size=5),
    error=st.none() | TEXT,
)


def by_the_sdk(rows: list[Row], resource: Attributes) -> ExportTraceServiceRequest:
    def context(of: Context) -> SpanContext:
        return SpanContext(of.trace_id, of.span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    shared = Resource(resource)
    return encode_spans(
        [
            ReadableSpan(
                row.name,
                context=context(row.own),
                parent=row.parent and context(row.parent),
                resource=shared,
                attributes=row.attributes,
                links=[Link(context(link)) for link in row.links],
                kind=row.kind,
                status=Status(StatusCode.UNSET) if row.error is None else Status(StatusCode.ERROR, row.error),
                start_time=row.start_ns,
                end_time=row.end_ns,
                instrumentation_scope=InstrumentationScope("treeward"),
            )
            for row in rows
        ]
    )


@given(st.lists(ROW, min_size=1, max_size=4), st.dictionaries(TEXT.filter(bool), VALUE, max_size=3))
def test_a_request_says_what_the_sdks_says(rows: list[Row], resource: Attributes) -> None:
    ours = ExportTraceServiceRequest.FromString(encode_request(rows, encode_resource(resource), "treeward"))
    theirs = by_the_sdk(rows, resource)
    for span in theirs.resource_spans[0].scope_spans[0].spans:
        if span.status.ByteSize() == 0:
            span.ClearField("status")  # an empty status and none mean the same
    assert ours == theirs


def test_what_all_spans_of_a_name_have_in_common_is_there_once() -> None:
    attributes: Attributes = {names.MESSAGING_SYSTEM: "nats", names.TICKET: 7}
    row = Row(names.PROCESS, Context(1, 2, True), None, SpanKind.CONSUMER, 0, 0, attributes, (), None)
    request = ExportTraceServiceRequest.FromString(encode_request([row], b"", "treeward"))
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert sorted(pair.key for pair in span.attributes) == [
        "messaging.destination.template",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "treeward.ticket",
    ]


def test_a_value_that_cannot_be_sent_does_not_stop_the_rest() -> None:
    attributes: dict[str, Any] = {"a": "\ud800", "b": None}
    row = Row(names.CRASH, Context(1, 2, True), None, SpanKind.INTERNAL, 0, 0, attributes, (), None)
    request = ExportTraceServiceRequest.FromString(encode_request([row], b"", "treeward"))
    (span,) = request.resource_spans[0].scope_spans[0].spans
    assert {pair.key: pair.value.string_value for pair in span.attributes} == {"a": "?", "b": "None"}
