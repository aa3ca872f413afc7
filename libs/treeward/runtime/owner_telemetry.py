"""What an owner tells of its work: spans after the fact, counters, and a log line for what a person must know."""

from typing import NamedTuple

from treeward.bus.interface import Refused
from treeward.runtime.context import Context
from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision import effects
from treeward.telemetry import names, rows, traceparent
from treeward.telemetry.traces import Kind


class _Traced(NamedTuple):
    """What the spans of a unit have in common."""

    dispatch: traceparent.Context | None
    process: traceparent.Context
    """Reserved when the device is called."""
    life: int
    attributes: bytes


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
        self._traced: dict[int, _Traced] = {}
        """By ticket, from its first call to its event."""
        ours = rows.encode_attributes({names.ZONE: zone, names.POD: partition})
        self._mailbox_wait = rows.encode_name(names.MAILBOX_WAIT, Kind.INTERNAL) + ours
        self._process_span = rows.encode_name(names.PROCESS, Kind.CONSUMER) + ours
        system = rows.encode_attributes({names.MESSAGING_SYSTEM: names.SYSTEM})
        self._device_call = rows.encode_name(names.DEVICE_CALL, Kind.CLIENT) + ours + system

    def dropped(self, total: int) -> None:
        """So many messages the fold has dropped so far."""
        self._dropped.inc(total - self._dropped_seen)
        self._dropped_seen = total

    def context_of(self, effect: effects.Append) -> traceparent.Context | None:
        """The context that an event carries: that of the span of the unit it answers."""
        if not self._tracer.enabled or effect.work is None:
            return None
        event = effect.events[-1]
        return self._of(event.key, event.life, effect.work.message).process

    def appended(self, effect: effects.Append, trace: traceparent.Context | None, begun_s: float, now_s: float) -> None:
        """An event is in the log."""
        self._append.observe(now_s - begun_s)
        event = effect.events[-1]
        work = effect.work
        if work is not None:
            self._process.observe(now_s - work.taken_s)
            self._wait.observe(max(0.0, work.taken_s - work.message.sent_s))
            if trace is not None:
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

    def begin_request(self, effect: effects.DeviceRequest) -> traceparent.Context | None:
        """The context that a device call carries."""
        if not self._tracer.enabled or not isinstance(effect, effects.Call):
            return None
        return self._tracer.beside(self._of(effect.key, effect.life, effect.message).process)

    def end_request(
        self,
        effect: effects.DeviceRequest,
        trace: traceparent.Context | None,
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
        if trace is None or not traceparent.is_kept(trace) or not isinstance(effect, effects.Call):
            return
        traced = self._of(effect.key, effect.life, effect.message)
        status = answer.status.value
        more = traced.attributes + rows.few_texts(names.OUTCOME, status)
        if answer.status not in _ANSWERED:
            more += rows.encode_error(status)
        self._tracer.report(self._device_call, trace, traced.process, begun_s, now_s, more)

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

    def _unit_spans(self, event: Event, work: effects.Work, process: traceparent.Context, now_s: float) -> None:
        traced = self._of(event.key, event.life, work.message)
        self._traced.pop(work.message.ticket, None)
        if not traceparent.is_kept(process):
            return
        dispatch, attributes = traced.dispatch, traced.attributes
        self._tracer.report(
            self._mailbox_wait,
            self._tracer.beside(process),
            dispatch,
            work.message.sent_s,
            work.taken_s,
            attributes,
        )
        outcome = event.type.value
        more = attributes + rows.few_texts(names.OUTCOME, outcome)
        if dispatch is not None:
            more += rows.encode_link(dispatch)
        if event.type not in _WELL:
            more += rows.encode_error(outcome)
        self._tracer.report(self._process_span, process, dispatch, work.taken_s, now_s, more)

    def _crashed(self, event: Event, effect: effects.Append, trace: traceparent.Context | None, now_s: float) -> None:
        self._context.metrics.counter(names.CRASHES, self._zone, event.kind).inc()
        self._context.log.warning(
            "a process crashed",
            **_fields(event),
            verdict=event.verdict,
            flushed=event.flushed,
            reason=event.reason,
            attempts=event.attempts,
            epoch=self._epoch,
            trace_id=traceparent.trace_id_of(trace) if trace else None,
        )
        if not self._tracer.enabled:
            return
        attributes: rows.Attributes = {
            names.MESSAGING_SYSTEM: names.SYSTEM,
            names.ZONE: self._zone,
            names.POD: self._partition,
            names.RESOURCE: f"{self._zone}.{event.key}",
            names.TICKET: event.ticket or 0,
            names.OPERATION: event.operation or "",
            names.LIFE: event.life,
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

    def _of(self, key: str, life: int, unit: Message) -> _Traced:
        """What its spans have in common; encoded once for each life in which it is called."""
        traced = self._traced.get(unit.ticket)
        if traced is not None and traced.life == life:
            return traced
        if traced is None:
            dispatch = traceparent.read(unit.trace)
            process = self._tracer.reserve(dispatch)
        else:
            dispatch, process = traced.dispatch, traced.process
        kept = traceparent.is_kept(process)
        attributes = rows.encode_unit(f"{self._zone}.{key}", unit.ticket, unit.operation, life) if kept else b""
        traced = self._traced[unit.ticket] = _Traced(dispatch, process, life, attributes)
        return traced


_ANSWERED = frozenset({Status.APPLIED, Status.REFUSED})
_WELL = frozenset({EventType.COMPLETED, EventType.PLACED, EventType.HANDED_OFF})
"""How the work of one owner on a unit can end well; the last two go on elsewhere, in the same trace."""


def _fields(event: Event) -> dict[str, object]:
    return {"zone": event.zone, "resource": event.key, "ticket": event.ticket, "life": event.life}
