"""What an owner tells of its work: spans after the fact, counters, and a log line for what a person must know."""

from treeward.bus.interface import Refused
from treeward.runtime.context import Context
from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.supervision import effects
from treeward.telemetry import names
from treeward.telemetry.traces import Kind


class OwnerTelemetry:
    """Spans and metrics of one owner. Costs nothing per unit beyond additions while tracing is off."""

    def __init__(self, context: Context, zone: str, partition: str, epoch: int) -> None:
        metrics = context.metrics
        self._context = context
        self._tracer = context.tracer
        self._zone = zone
        self._partition = partition
        self._epoch = epoch
        self._process = metrics.histogram(names.PROCESS_DURATION, zone)
        self._wait = metrics.histogram(names.MAILBOX_DURATION, zone)
        self._handoff = metrics.histogram(names.HANDOFF_DURATION, zone)
        self._dropped = metrics.counter(names.MAILBOX_DROPPED, zone)
        self._dropped_seen = 0
        self._append = metrics.histogram(names.APPEND_DURATION, zone)
        self._call = metrics.histogram(names.DEVICE_CALL_DURATION, zone, "call")
        self._synchronize = metrics.histogram(names.DEVICE_CALL_DURATION, zone, "synchronize")
        self._observe = metrics.histogram(names.DEVICE_CALL_DURATION, zone, "observe")
        self._contexts: dict[int, str] = {}
        """Ticket -> context of the process span, reserved when the device is called."""

    def dropped(self, total: int) -> None:
        """So many messages the fold has dropped so far."""
        self._dropped.inc(total - self._dropped_seen)
        self._dropped_seen = total

    def context_of(self, effect: effects.Append) -> str | None:
        """The context that an event carries: that of the span of the unit it answers."""
        if not self._tracer.enabled or effect.work is None:
            return None
        return self._reserved(effect.work.message.ticket, effect.work.message.trace)

    def appended(self, effect: effects.Append, trace: str | None, begun_s: float, now_s: float) -> None:
        """An event is in the log."""
        self._append.observe(now_s - begun_s)
        event = effect.events[-1]
        work = effect.work
        if work is not None:
            self._process.observe(now_s - work.taken_s)
            self._wait.observe(max(0.0, work.taken_s - work.message.sent_s))
            if self._tracer.enabled:
                self._unit_spans(event, work, trace, now_s)
        if event.type is EventType.CRASHED:
            self._crashed(event, effect, trace, now_s)
        elif event.type is EventType.QUARANTINED:
            self._context.metrics.counter(names.QUARANTINES, self._zone, event.kind).inc()
            self._context.log.warning(
                "a process is quarantined", **_fields(event), epoch=self._epoch, reason=event.reason
            )
        elif event.type is EventType.DRIFTED and event.drift is not None:
            done = event.drift.policy.value
            self._context.metrics.counter(names.DRIFTS, self._zone, event.kind, done).inc()
            self._context.log.warning(
                "a device was changed by others", **_fields(event), done=done, reason=event.reason
            )
        elif event.type is EventType.HANDED_OFF:
            self._context.metrics.counter(names.MOVES, self._zone).inc()
            if work is not None:
                self._handoff.observe(now_s - work.taken_s)

    def begin_request(self, effect: effects.DeviceRequest) -> str | None:
        """The context that a device call carries."""
        if not self._tracer.enabled or not isinstance(effect, effects.Call):
            return None
        return self._tracer.reserve(self._reserved(effect.message.ticket, effect.message.trace))

    def end_request(
        self,
        effect: effects.DeviceRequest,
        trace: str | None,
        answer: Answer,
        begun_s: float,
        now_s: float,
    ) -> None:
        """The device has answered."""
        if isinstance(effect, effects.Observe):
            self._observe.observe(now_s - begun_s)
            return
        called = isinstance(effect, effects.Call)
        (self._call if called else self._synchronize).observe(now_s - begun_s)
        if answer.status is Status.FENCED:
            self._context.metrics.counter(names.DEVICE_FENCED, self._zone).inc()
            self._context.log.error(
                "the device refused a stale life: two owners acted",
                zone=self._zone,
                resource=effect.key,
                life=effect.life,
                epoch=self._epoch,
                accepted_life=answer.high,
                accepted_owner=answer.owner,
            )
        if trace is None or not isinstance(effect, effects.Call):
            return
        unit = effect.message
        failed = None if answer.status in (Status.APPLIED, Status.REFUSED) else answer.status.value
        self._tracer.span(
            names.DEVICE_CALL,
            self._reserved(unit.ticket, unit.trace),
            begun_s,
            now_s,
            Kind.CLIENT,
            {
                **self._attributes(effect.key, unit.ticket, unit.operation, effect.life),
                names.OUTCOME: answer.status.value,
            },
            error=failed,
            reserved=trace,
        )

    def refused(self, effect: effects.Append, refused: Refused) -> None:
        """The log refused an append: somebody else has been claimed, and both of us acted."""
        if refused.fenced:
            self._context.metrics.counter(names.APPENDS_REFUSED, self._zone).inc()
            self._context.log.error(
                "the log refused a stale append: two owners acted",
                **_fields(effect.events[-1]),
                epoch=self._epoch,
                reason=refused.description,
            )

    def suspects_itself(self, effect: effects.Suspect) -> None:
        """Most of the processes failed at once, and none of them is blamed; or nothing helps."""
        step = "escalates" if effect.escalates else "suspects"
        self._context.metrics.counter(names.SELF_SUSPICIONS, self._zone, self._partition, step).inc()
        says = {
            "suspects": "most of its processes failed at once, and suspects itself first",
            "escalates": "cannot help its processes, and asks its supervisor",
        }
        self._context.log.warning(
            says[step],
            zone=self._zone,
            pod=self._partition,
            epoch=self._epoch,
            failed=effect.failed,
            reason=effect.reason,
        )

    def in_doubt(self) -> None:
        """An append was never answered."""
        self._context.metrics.counter(names.APPENDS_IN_DOUBT, self._zone).inc()

    def _unit_spans(self, event: Event, work: effects.Work, trace: str | None, now_s: float) -> None:
        unit = work.message
        attributes = self._attributes(event.key, unit.ticket, unit.operation, event.life)
        self._tracer.span(names.MAILBOX_WAIT, unit.trace, unit.sent_s, work.taken_s, Kind.INTERNAL, attributes)
        links = (unit.trace,) if unit.trace else ()
        self._tracer.span(
            names.PROCESS,
            unit.trace,
            work.taken_s,
            now_s,
            Kind.CONSUMER,
            {**attributes, names.OUTCOME: event.type.value},
            links=links,
            error=None if event.type in _WELL else event.type.value,
            reserved=trace,
        )
        self._contexts.pop(unit.ticket, None)

    def _crashed(self, event: Event, effect: effects.Append, trace: str | None, now_s: float) -> None:
        self._context.metrics.counter(names.CRASHES, self._zone, event.kind).inc()
        self._context.log.warning(
            "a process crashed",
            **_fields(event),
            verdict=event.verdict,
            flushed=event.flushed,
            reason=event.reason,
            attempts=event.attempts,
            epoch=self._epoch,
            trace_id=trace.split("-")[1] if trace else None,
        )
        if not self._tracer.enabled:
            return
        attributes = self._attributes(event.key, event.ticket or 0, event.operation or "", event.life) | {
            names.VERDICT: str(event.verdict),
            names.UNITS: len(event.flushed) + 1,
            names.REASON: event.reason or "",
        }
        links = ([trace] if trace else []) + list(effect.flushed_traces)
        self._tracer.span(
            names.CRASH,
            trace,
            event.at.timestamp(),
            now_s,
            Kind.INTERNAL,
            attributes,
            links=links,
            error="crashed",
            always=True,
        )

    def _reserved(self, ticket: int, parent: str | None) -> str:
        context = self._contexts.get(ticket)
        if context is None:
            context = self._contexts[ticket] = self._tracer.reserve(parent)
        return context

    def _attributes(self, key: str, ticket: int, operation: str, life: int) -> dict[str, str | bool | int | float]:
        return {
            names.MESSAGING_SYSTEM: names.SYSTEM,
            names.ZONE: self._zone,
            names.POD: self._partition,
            names.RESOURCE: f"{self._zone}.{key}",
            names.TICKET: ticket,
            names.OPERATION: operation,
            names.LIFE: life,
        }


_WELL = frozenset({EventType.COMPLETED, EventType.PLACED, EventType.HANDED_OFF})
"""How the work of one owner on a unit can end well; the last two go on elsewhere, in the same trace."""


def _fields(event: Event) -> dict[str, object]:
    return {"zone": event.zone, "resource": event.key, "ticket": event.ticket, "life": event.life}
