"""Spans as rows: reported after the fact, with their start and end, without a task or an open object for each.

A context is a W3C `traceparent` string, which is also what travels. A loop that must hand a context on before its own
span has ended reserves one and reports the span later. What reports a span of every unit makes the span's shape once,
and encodes what the unit's spans share once (`report`); `span` takes everything as plain values. Tracing is off unless
the environment names an OTLP endpoint; while it is off, `enabled` is false, and every context is simply that of the
parent. The exporter runs in a thread of its own behind a bounded queue: when it is slow or away, spans are lost and
counted, and work goes on.
"""

import logging
import os
from collections.abc import Sequence
from importlib.metadata import version
from random import Random

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    Sampler,
    StaticSampler,
)
from opentelemetry.trace import SpanKind

from treeward.telemetry import names, rows, traceparent
from treeward.telemetry.metrics import Counter
from treeward.telemetry.rows import Attributes
from treeward.telemetry.sender import RowExporter, Sender
from treeward.telemetry.traceparent import Context

Kind = SpanKind

LINKS_MAX = 128
CLOSE_S = 3.0


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
        self._keeps_all_or_none: bool | None = None
        if isinstance(self._sampler, StaticSampler) or self._sampler in (DEFAULT_ON, DEFAULT_OFF):
            self._keeps_all_or_none = self._asked(1)
        self._random = random or Random()
        self._span_ids = traceparent.span_ids(self._random)
        self._dropped = dropped or Counter()
        self._sender = Sender(exporter) if exporter is not None else None

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
    ) -> Context:
        """Report a span that ran from `start_s` to `end_s` (Unix seconds) and return its context, for children.

        `parent` None (or no valid context): the root of a trace, which the sampler decides on. `reserved`: a context
        from `reserve` or `unit_context` that this span is. `error`: what went wrong, in words that name no resource.
        `always`: keep it whatever the sampler says. Contexts in `links` beyond 128 are counted instead.
        """
        if self._sender is None:
            return Context(parent or "")
        above = traceparent.read(parent)
        own = traceparent.read(reserved) or self.reserve(above)
        if always:
            own = traceparent.kept(own)
        if not traceparent.is_kept(own):
            return own
        if len(links) > LINKS_MAX:
            attributes = {**(attributes or {}), names.LINKS_DROPPED: len(links) - LINKS_MAX}
        more = [rows.encode_attributes(attributes or {}, without=names.FIXED.get(name, ()))]
        more += [rows.encode_link(link) for link in map(traceparent.read, links[:LINKS_MAX]) if link is not None]
        if error is not None:
            more.append(rows.encode_error(error))
        self.report(rows.encode_name(name, kind), own, above, start_s, end_s, b"".join(more))
        return own

    def report(
        self, shape: bytes, own: Context, parent: Context | None, start_s: float, end_s: float, more: bytes
    ) -> None:
        """Report a span of a context that is kept. `shape`, `more`: what `rows` encodes."""
        if self._sender is None:
            return
        start_ns = int(start_s * 1e9)
        end_ns = max(start_ns, int(end_s * 1e9))  # a clock may be set back; a span never ends before it starts
        if not self._sender.put(rows.encode_row(shape, own, parent, start_ns, end_ns, more)):
            self._dropped.inc()

    def reserve(self, parent: Context | None) -> Context:
        """A context below `parent` (None: of a new trace) for a span that is reported later, as its `reserved`."""
        if self._sender is None:
            return parent or Context("")
        if parent is not None:
            trace_id = traceparent.trace_id_of(parent)
        else:
            trace_id = f"{self._random.getrandbits(128) or 1:032x}"
        return traceparent.context(trace_id, next(self._span_ids), kept=self._keeps(trace_id, parent))

    def beside(self, context: Context) -> Context:
        """A context in the same trace, kept or not as that is, for a span below it or next to it."""
        return traceparent.beside(context, next(self._span_ids))

    def unit_context(self, zone: str, work_created_s: float, ticket: int, client: str | None = None) -> Context:
        """The context of a unit's `submit` span, the same in every program: derived from what identifies the unit.

        With a valid `client` context the span belongs to that trace (and has it as parent), else it is a root.
        """
        if self._sender is None:
            return Context(client or "")
        trace_id, span_id = traceparent.derive(zone, work_created_s, ticket)
        above = traceparent.read(client)
        if above is not None:
            trace_id = traceparent.trace_id_of(above)
        return traceparent.context(trace_id, span_id, kept=self._keeps(trace_id, above))

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what waits, for at most `timeout_s`; the rest is lost. Blocks: call it when the event loop is done."""
        if self._sender is None:
            return
        sender, self._sender, self.enabled = self._sender, None, False
        sender.close(timeout_s)

    def _keeps(self, trace_id: str, above: Context | None) -> bool:
        if above is not None and self._inherits:
            return traceparent.is_kept(above)
        if self._keeps_all_or_none is not None:
            return self._keeps_all_or_none
        return self._asked(int(trace_id, 16))

    def _asked(self, trace_id: int) -> bool:
        return self._sampler.should_sample(None, trace_id, names.SUBMIT).decision is Decision.RECORD_AND_SAMPLE


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
