"""An OTLP/HTTP receiver for tests: what programs export arrives here as a list of spans, in plain values.

    with OtlpReceiver() as receiver:
        start_programs(environment={**os.environ, **receiver.environment()})
        spans = receiver.wait_for(lambda spans: "settle" in {span.name for span in spans})
        print(waterfall(spans))

It decodes with the protocol's own message definitions. One thread serves; `spans` may be read from any other.
"""

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

Value = str | bool | int | float | None


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as it arrived: ids in hexadecimal, times in Unix seconds."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty: a root."""
    name: str
    service: str
    start_s: float
    end_s: float
    kind: str
    """INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER."""
    error: str | None
    """What the status says if it is an error."""
    attributes: dict[str, Value] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    """(trace id, span id) of each."""
    resource: dict[str, Value] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """How long it took."""
        return self.end_s - self.start_s


class OtlpReceiver:
    """Listens on a free port of 127.0.0.1 while the `with` block runs."""

    def __init__(self) -> None:
        self._spans: list[ReceivedSpan] = []
        self._arrived = Condition()
        self._answer = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                status = receiver._take(self.path, body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="otlp-receiver", daemon=True)

    @property
    def endpoint(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """Variables with which a program exports to here, all of it and soon."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_TRACES_SAMPLER": "parentbased_always_on",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    @property
    def spans(self) -> list[ReceivedSpan]:
        """What has arrived so far."""
        with self._arrived:
            return list(self._spans)

    def wait_for(
        self, condition: Callable[[Sequence[ReceivedSpan]], bool], timeout_s: float = 10.0
    ) -> list[ReceivedSpan]:
        """Wait until `condition(spans)` holds and return them; raises AssertionError with what has arrived by then."""
        with self._arrived:
            if not self._arrived.wait_for(lambda: condition(self._spans), timeout_s):
                raise AssertionError("the spans that were waited for did not arrive:\n" + waterfall(self._spans))
            return list(self._spans)

    def refuse(self, status: int) -> None:
        """Answer everything with `status` from now on and keep nothing; 200 takes again."""
        self._answer = status

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, path: str, body: bytes) -> int:
        if path != "/v1/traces":
            return 404
        if self._answer != 200:
            return self._answer
        spans = decode(body)
        with self._arrived:
            self._spans.extend(spans)
            self._arrived.notify_all()
        return 200


def decode(body: bytes) -> list[ReceivedSpan]:
    """The spans of one export request."""
    return [
        _received(span, resource)
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans
        for resource in [_values(resource_spans.resource.attributes)]
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def waterfall(spans: Sequence[ReceivedSpan]) -> str:
    """The traces as an indented text, for the eye and for failure messages."""
    lines: list[str] = []
    known = {(span.trace_id, span.span_id) for span in spans}
    ordered = sorted(spans, key=lambda span: span.start_s)

    def add(span: ReceivedSpan, depth: int) -> None:
        lines.append(f"{'  ' * depth}{span.name} [{span.service}] {span.duration_s * 1000:.1f} ms {span.error or ''}")
        for child in ordered:
            if (child.trace_id, child.parent_id) == (span.trace_id, span.span_id):
                add(child, depth + 1)

    for span in ordered:
        if (span.trace_id, span.parent_id) not in known:
            add(span, 0)
    return "\n".join(lines) or "(none)"


def _received(span: Span, resource: dict[str, Value]) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name,
        service=str(resource.get("service.name", "")),
        start_s=span.start_time_unix_nano / 1e9,
        end_s=span.end_time_unix_nano / 1e9,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        error=span.status.message if span.status.code == Status.STATUS_CODE_ERROR else None,
        attributes=_values(span.attributes),
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        resource=resource,
    )


def _values(pairs: Sequence[KeyValue]) -> dict[str, Value]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
