"""Spans as rows: reported after the fact, with their start and end, without a task or an open object for each.

A context is a W3C `traceparent` string, which is also what travels. A loop that must hand a context on before its own
span has ended reserves one and reports the span later. Tracing is off unless the environment names an OTLP endpoint;
while it is off, `enabled` is false, and every context is simply that of the parent. The exporter runs in a thread of
its own behind a bounded queue: when it is slow or away, spans are lost and counted, and work goes on.
"""

import logging
import os
from collections.abc import Sequence
from importlib.metadata import version
from random import Random
from threading import Thread
from typing import Any, cast

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler
from opentelemetry.trace import SpanKind

from treeward.telemetry import names, traceparent
from treeward.telemetry.metrics import Counter
from treeward.telemetry.rows import Attributes, Row, encode_request, encode_resource
from treeward.telemetry.traceparent import Context

Kind = SpanKind

LINKS_MAX = 128
QUEUE_SPANS_MAX = 16_384
BATCH_SPANS_MAX = 1024
DELAY_MS = 1000
"""A short delay, so that a waterfall is to be seen when one looks; the SDK's own default is 5 s."""
CLOSE_S = 3.0
SCOPE = "treeward"


class RowExporter(OTLPSpanExporter):
    """The SDK's exporter (addresses, headers, TLS, retries by the standard variables) with our encoding of rows."""

    def __init__(self, resource: Resource) -> None:
        super().__init__()
        self.taken = 0
        """Spans taken from the queue so far; so the tracer knows how full that is."""
        self._closed = False
        attributes = resource.attributes.items()
        self._encoded_resource = encode_resource(
            {key: value if isinstance(value, str | bool | int | float) else str(value) for key, value in attributes}
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send rows; called by the processor's thread."""
        self.taken += len(spans)
        body = encode_request(cast("Sequence[Row]", spans), self._encoded_resource, SCOPE)
        sent: Any = self._client.export(body)  # private, and the only one: a test fails when it goes
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """End a retry that waits; harmless when repeated."""
        if not self._closed:
            self._closed = True
            super().shutdown()  # type: ignore[no-untyped-call]


class Tracer:
    """Reports spans. `exporter` None: off. Not for use by several threads."""

    def __init__(
        self,
        exporter: RowExporter | None,
        *,
        sampler: Sampler | None = None,
        random: Random | None = None,
        dropped: Counter | None = None,
    ) -> None:
        self.enabled = exporter is not None
        self._sampler = sampler or ALWAYS_OFF
        self._inherits = isinstance(self._sampler, ParentBased)
        self._random = random or Random()
        self._dropped = dropped or Counter()
        self._queue_max = _number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS_MAX)
        self._reported = 0
        self._exporter = exporter
        self._processor: BatchSpanProcessor | None = None
        if exporter is not None:
            self._processor = BatchSpanProcessor(
                exporter,
                max_queue_size=self._queue_max,
                max_export_batch_size=min(self._queue_max, _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SPANS_MAX)),
                schedule_delay_millis=_number("OTEL_BSP_SCHEDULE_DELAY", DELAY_MS),
            )

    def span(
        self,
        name: str,
        parent: str | None,
        start_s: float,
        end_s: float,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes | None = None,
        *,
        links: Sequence[str] = (),
        error: str | None = None,
        reserved: str | None = None,
        always: bool = False,
    ) -> str:
        """Report a span that ran from `start_s` to `end_s` (Unix seconds) and return its context, for children.

        `parent` None (or no valid context): the root of a trace, which the sampler decides on. `reserved`: a context
        from `reserve` or `unit_context` that this span is. `error`: what went wrong, in words that name no resource.
        `always`: keep it whatever the sampler says. Contexts in `links` beyond 128 are counted instead.
        """
        if self._processor is None:
            return parent or ""
        above = traceparent.parse(parent)
        own = traceparent.parse(reserved) or self._below(above)
        if always and not own.sampled:
            own = own._replace(sampled=True)
        if own.sampled:
            self._report(name, own, above, start_s, end_s, kind, attributes, links, error)
        return str(own)

    def reserve(self, parent: str | None) -> str:
        """A context below `parent` (None: of a new trace) for a span that is reported later, as its `reserved`."""
        if self._processor is None:
            return parent or ""
        return str(self._below(traceparent.parse(parent)))

    def unit_context(self, zone: str, work_created_s: float, ticket: int, client: str | None = None) -> str:
        """The context of a unit's `submit` span, the same in every program: derived from what identifies the unit.

        With a valid `client` context the span belongs to that trace (and has it as parent), else it is a root.
        """
        if self._processor is None:
            return client or ""
        trace_id, span_id = traceparent.derive(zone, work_created_s, ticket)
        above = traceparent.parse(client)
        if above is not None:
            return str(Context(above.trace_id, span_id, self._keeps(above.trace_id, above)))
        return str(Context(trace_id, span_id, self._keeps(trace_id, None)))

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what waits, for at most `timeout_s`; the rest is lost. Blocks: call it when the event loop is done."""
        if self._processor is None or self._exporter is None:
            return
        processor, self._processor, self.enabled = self._processor, None, False
        flush = Thread(target=processor.shutdown, name="spans-flush", daemon=True)
        flush.start()
        flush.join(timeout_s)
        if flush.is_alive():
            self._exporter.shutdown()  # ends a retry that waits; both threads are daemons and die with the process

    def _below(self, above: Context | None) -> Context:
        trace_id = above.trace_id if above is not None else self._random.getrandbits(128) or 1
        return Context(trace_id, self._random.getrandbits(64) or 1, self._keeps(trace_id, above))

    def _keeps(self, trace_id: int, above: Context | None) -> bool:
        if above is not None and self._inherits:
            return above.sampled
        return self._sampler.should_sample(None, trace_id, names.SUBMIT).decision is Decision.RECORD_AND_SAMPLE

    def _report(
        self,
        name: str,
        own: Context,
        above: Context | None,
        start_s: float,
        end_s: float,
        kind: SpanKind,
        attributes: Attributes | None,
        links: Sequence[str],
        error: str | None,
    ) -> None:
        assert self._processor is not None and self._exporter is not None
        if self._reported - self._exporter.taken >= self._queue_max:
            self._dropped.inc()  # here, since the processor would drop the oldest, log each, and tell nobody how many
            return
        self._reported += 1
        if len(links) > LINKS_MAX:
            attributes = {**(attributes or {}), names.LINKS_DROPPED: len(links) - LINKS_MAX}
        contexts = [context for context in map(traceparent.parse, links[:LINKS_MAX]) if context is not None]
        start_ns = int(start_s * 1e9)
        end_ns = max(start_ns, int(end_s * 1e9))  # a clock may be set back; a span never ends before it starts
        row = Row(name, own, above, kind, start_ns, end_ns, attributes or {}, contexts, error)
        self._processor.on_end(cast("ReadableSpan", row))


def tracer_from_environment(
    service: str,
    instance: str,
    *,
    zone: str | None = None,
    random: Random | None = None,
    dropped: Counter | None = None,
) -> Tracer:
    """The tracer that the standard OTEL_ variables ask for: off without an OTLP endpoint, which must take HTTP."""
    environment = os.environ
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    off = (
        environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none"
    )
    if not endpoint or off:
        return Tracer(None)
    protocol = environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        logging.getLogger(__name__).warning("spans are sent as http/protobuf, not as %s", protocol)
    resource = Resource.create(
        {
            "service.name": environment.get("OTEL_SERVICE_NAME") or service,
            "service.namespace": "treeward",
            "service.instance.id": instance,
            "service.version": version("treeward"),
            **({names.ZONE: zone} if zone else {}),
        }
    )
    sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler  # reads OTEL_TRACES_SAMPLER and _ARG
    return Tracer(RowExporter(resource), sampler=sampler, random=random, dropped=dropped)


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else default
