"""What a dispatcher tells: the submit, dispatch and settle spans of each unit, and counters."""

from collections import deque

from treeward.bus.interface import Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas.events import EventType
from treeward.supervision import effects
from treeward.supervision.dispatch import Dispatcher
from treeward.telemetry import names
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
        self._trace: str | None = None

    def follow(self, fold: Dispatcher) -> None:
        """Show what this fold holds when somebody asks."""
        metrics = self._context.metrics
        metrics.gauge(names.UNANSWERED_UNITS, self._zone).follow(lambda: len(fold.unanswered))
        metrics.gauge(names.OLDEST_UNANSWERED, self._zone).follow(lambda: self._oldest_s(fold))

    def _oldest_s(self, fold: Dispatcher) -> float:
        oldest = fold.low_water()
        pending = fold.bodies.get(oldest)
        return max(0.0, self._context.now_s() - pending.stored_s) if pending is not None else 0.0

    def on_event(self, stored: Stored) -> None:
        """The event about to be folded, for the context that it carries."""
        self._trace = codec.trace_of(stored.headers) if self._tracer.enabled else None

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
        now_s = effect.message.sent_s
        submit = tracer.unit_context(self._zone, self.work_created_s, ticket, effect.submitted_trace)
        attributes: dict[str, str | bool | int | float] = {
            names.MESSAGING_SYSTEM: names.SYSTEM,
            names.ZONE: self._zone,
            names.RESOURCE: f"{self._zone}.{effect.key}",
            names.TICKET: ticket,
            names.OPERATION: effect.message.operation,
            names.LIFE: effect.message.life,
            names.ATTEMPT: effect.message.attempts + 1,
        }
        if first:
            tracer.span(
                names.SUBMIT, effect.submitted_trace, effect.stored_s, now_s, Kind.PRODUCER, attributes, reserved=submit
            )
        begun_s = effect.stored_s if first else now_s
        return tracer.span(names.DISPATCH, submit, begun_s, now_s, Kind.PRODUCER, attributes)

    def settled(self, effect: effects.Settled, cause: Stored | None) -> None:
        """A unit's outcome was read."""
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
        if self._trace is not None and cause is not None:
            event = effect.event
            self._tracer.span(
                names.SETTLE,
                self._trace,
                cause.time_s,
                self._context.now_s(),
                Kind.CLIENT,
                {
                    names.ZONE: self._zone,
                    names.RESOURCE: f"{self._zone}.{event.key}",
                    names.TICKET: effect.ticket,
                    names.OUTCOME: outcome,
                    names.POSITION: effect.position,
                },
                error=None if event.type is EventType.COMPLETED else outcome,
            )
