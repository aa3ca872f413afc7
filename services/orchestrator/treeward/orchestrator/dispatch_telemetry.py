"""What a dispatcher tells: the submit, dispatch and settle spans of each unit, and counters."""

from collections import deque

from treeward.bus.interface import Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas.events import EventType
from treeward.supervision import effects
from treeward.supervision.dispatch import Dispatcher
from treeward.telemetry import names, rows, traceparent
from treeward.telemetry.metrics import Counter, Histogram
from treeward.telemetry.traces import Kind

SUBMITS_REMEMBERED = 100_000


class DispatchTelemetry:
    """Spans and metrics of one dispatcher."""

    def __init__(self, context: Context, zone: str) -> None:
        self._context = context
        self._tracer = context.tracer
        self._zone = zone
        self.work_created_s = 0.0
        metrics = context.metrics
        self.read = metrics.counter(names.UNITS_READ, zone)
        self._sent = metrics.counter(names.DISPATCH_SENT, zone)
        self._sent_again = metrics.counter(names.DISPATCH_RESENT, zone)
        self._units: dict[str, tuple[Counter, Histogram]] = {}
        self._stored_s: dict[int, float] = {}
        self._stored_order: deque[int] = deque()
        ours = rows.encode_attributes({names.ZONE: zone})
        self._submit_span = rows.encode_name(names.SUBMIT, Kind.PRODUCER) + ours
        self._dispatch_span = rows.encode_name(names.DISPATCH, Kind.PRODUCER) + ours
        self._settle_span = rows.encode_name(names.SETTLE, Kind.CLIENT) + ours

    def follow(self, fold: Dispatcher) -> None:
        """Show what this fold holds when somebody asks."""
        metrics = self._context.metrics
        metrics.gauge(names.UNANSWERED_UNITS, self._zone).follow(lambda: len(fold.unanswered))
        metrics.gauge(names.OLDEST_UNANSWERED, self._zone).follow(lambda: self._oldest_s(fold))

    def _oldest_s(self, fold: Dispatcher) -> float:
        oldest = fold.low_water()
        pending = fold.bodies.get(oldest)
        return max(0.0, self._context.now_s() - pending.stored_s) if pending is not None else 0.0

    def sending(self, effect: effects.Send) -> str | None:
        """A unit is about to be sent: the context that it carries on."""
        self._sent.inc()
        ticket = effect.message.ticket
        first = ticket not in self._stored_s
        if first:
            self._stored_s[ticket] = effect.stored_s
            self._stored_order.append(ticket)
            if len(self._stored_order) > SUBMITS_REMEMBERED:
                self._stored_s.pop(self._stored_order.popleft(), None)
        else:
            self._sent_again.inc()
        tracer = self._tracer
        if not tracer.enabled:
            return None
        submit = tracer.unit_context(self._zone, self.work_created_s, ticket, effect.submitted_trace)
        dispatch = tracer.beside(submit)
        if not traceparent.is_kept(submit):
            return dispatch
        unit = effect.message
        attributes = rows.encode_unit(f"{self._zone}.{effect.key}", ticket, unit.operation, unit.life)
        attributes += rows.encode_number(names.ATTEMPT, unit.attempts + 1)
        now_s = unit.sent_s
        if first:
            client = traceparent.read(effect.submitted_trace)
            tracer.report(self._submit_span, submit, client, effect.stored_s, now_s, attributes)
        begun_s = effect.stored_s if first else now_s
        tracer.report(self._dispatch_span, dispatch, submit, begun_s, now_s, attributes)
        return dispatch

    def settled(self, effect: effects.Settled, cause: Stored | None) -> None:
        """A unit's outcome was read, in `cause`, which carries the context of its `process`."""
        outcome = effect.event.type.value
        cells = self._units.get(outcome)
        if cells is None:
            metrics = self._context.metrics
            cells = self._units[outcome] = (
                metrics.counter(names.UNITS_TOTAL, self._zone, outcome),
                metrics.histogram(names.UNIT_DURATION, self._zone, outcome),
            )
        cells[0].inc()
        stored_s = self._stored_s.pop(effect.ticket, None)
        if stored_s is not None and cause is not None:
            cells[1].observe(max(0.0, cause.time_s - stored_s))
        if self._tracer.enabled and cause is not None:
            self._settle(effect, cause)

    def _settle(self, effect: effects.Settled, cause: Stored) -> None:
        trace = codec.trace_of(cause.headers)
        if trace is None:
            return
        process = traceparent.read(trace)
        settle = self._tracer.reserve(process)
        if not traceparent.is_kept(settle):
            return
        event = effect.event
        outcome = event.type.value
        more = (
            rows.encode_text(names.RESOURCE, f"{self._zone}.{event.key}")
            + rows.encode_number(names.TICKET, effect.ticket)
            + rows.few_texts(names.OUTCOME, outcome)
            + rows.encode_number(names.POSITION, effect.position)
        )
        if event.type is not EventType.COMPLETED:
            more += rows.encode_error(outcome)
        self._tracer.report(self._settle_span, settle, process, cause.time_s, self._context.now_s(), more)
