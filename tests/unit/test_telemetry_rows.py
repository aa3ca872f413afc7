"""Our encoding of spans says what the SDK's says, for any span."""

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from treeward.telemetry import names, rows, traceparent
from treeward.telemetry.rows import Attributes
from treeward.telemetry.traceparent import Context


class Given(NamedTuple):
    """A span in plain values."""

    name: str
    own: Context
    parent: Context | None
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Attributes
    links: list[Context]
    error: str | None


def encoded(given: Given) -> bytes:
    more = rows.encode_attributes(given.attributes) + b"".join(map(rows.encode_link, given.links))
    if given.error is not None:
        more += rows.encode_error(given.error)
    shape = rows.encode_name(given.name, given.kind)
    return rows.encode_row(shape, given.own, given.parent, given.start_ns, given.end_ns, more)


def contexts(trace_id: int, span_id: int) -> Context:
    return traceparent.context(f"{trace_id:032x}", f"{span_id:016x}", kept=True)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
VALUE = TEXT | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
CONTEXT = st.builds(contexts, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))
TIME_NS = st.integers(0, 2**63)
SPAN = st.builds(
    Given,
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


def by_the_sdk(spans: list[Given], resource: Attributes) -> ExportTraceServiceRequest:
    def context(of: Context) -> SpanContext:
        ids = int(traceparent.trace_id_of(of), 16), int(traceparent.span_id_of(of), 16)
        return SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    shared = Resource(resource)
    return encode_spans(
        [
            ReadableSpan(
                span.name,
                context=context(span.own),
                parent=context(span.parent) if span.parent is not None else None,
                resource=shared,
                attributes=span.attributes,
                links=[Link(context(link)) for link in span.links],
                kind=span.kind,
                status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.start_ns,
                end_time=span.end_ns,
                instrumentation_scope=InstrumentationScope("treeward"),
            )
            for span in spans
        ]
    )


def span_of(row: bytes) -> Span:
    """The only span of a request with this row."""
    request = ExportTraceServiceRequest.FromString(rows.encode_request([row], b"", "treeward"))
    span: Span
    (span,) = request.resource_spans[0].scope_spans[0].spans
    return span


@given(st.lists(SPAN, min_size=1, max_size=4), st.dictionaries(TEXT.filter(bool), VALUE, max_size=3))
def test_a_request_says_what_the_sdks_says(spans: list[Given], resource: Attributes) -> None:
    request = rows.encode_request([encoded(span) for span in spans], rows.encode_resource(resource), "treeward")
    ours = ExportTraceServiceRequest.FromString(request)
    theirs = by_the_sdk(spans, resource)
    for span in theirs.resource_spans[0].scope_spans[0].spans:
        if span.status.ByteSize() == 0:
            span.ClearField("status")  # an empty status and none mean the same
    assert ours == theirs


@given(TEXT, st.integers(-(2**63), 2**63 - 1), TEXT, st.integers(0, 2**63 - 1))
def test_what_a_units_spans_share_says_the_same_as_each_by_itself(
    resource: str, ticket: int, operation: str, life: int
) -> None:
    one_by_one: Attributes = {
        names.RESOURCE: resource,
        names.TICKET: ticket,
        names.OPERATION: operation,
        names.LIFE: life,
    }
    assert rows.encode_unit(resource, ticket, operation, life) == rows.encode_attributes(one_by_one)


def test_a_span_of_any_size_can_be_read() -> None:
    """The length before it is one byte, two or three; the shortest and the longest of each."""
    for size in (*range(130), *range(3900, 4100), *range(16_200, 16_400), 300_000):
        row = rows.encode_row(b"", contexts(1, 2), None, 0, 0, rows.encode_error("x" * size))
        assert span_of(row).status.message == "x" * size


def test_times_and_numbers_that_no_clock_says_do_not_stop_the_rest() -> None:
    row = rows.encode_row(b"", contexts(1, 2), None, -1, 2**70, rows.encode_number(names.TICKET, 2**64 + 7))
    assert span_of(row).attributes[0].value.int_value == 7


def test_what_all_spans_of_a_name_have_in_common_is_there_once() -> None:
    attributes: Attributes = {names.MESSAGING_SYSTEM: "nats", names.TICKET: 7}
    more = rows.encode_attributes(attributes, without=names.FIXED[names.PROCESS])
    row = rows.encode_row(rows.encode_name(names.PROCESS, SpanKind.CONSUMER), contexts(1, 2), None, 0, 0, more)
    assert sorted(pair.key for pair in span_of(row).attributes) == [
        "messaging.destination.template",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.system",
        "treeward.ticket",
    ]


def test_a_value_that_cannot_be_sent_does_not_stop_the_rest() -> None:
    attributes: dict[str, Any] = {"a": "\ud800", "b": None}
    row = rows.encode_row(b"", contexts(1, 2), None, 0, 0, rows.encode_attributes(attributes))
    assert {pair.key: pair.value.string_value for pair in span_of(row).attributes} == {"a": "?", "b": "None"}
