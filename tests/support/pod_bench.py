"""A pod owner on a bench: an honest device, and an eye on every call and answer."""

from dataclasses import dataclass
from typing import Any

from tests.support.owner_bench import OwnerBench

from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.supervision.effects import Abandon, Append, Call, Effect, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

EPOCH = 10
KEYS = ("vm.a", "vm.b")
OPERATIONS = ("create", "kick", "kick", "destroy", "create", "kick", "pause", "destroy")
LIMITS = Limits(
    window=3, call_timeout_s=5.0, idle_row_s=2.0, restarts_max=3, restart_period_s=10.0, backoff_s_max=1.0, ahead_max=8
)


@dataclass
class Request:
    """A device request that is on its way or in progress."""

    effect: Call | Synchronize
    owner: PodOwner
    """Who asks."""
    begun: bool = False
    """The device has begun it; only its end is outstanding."""


class Bench(OwnerBench[PodOwner]):
    """Both resources were placed in pod-1 after the claim; each has eight units in WORK."""

    def __init__(self, remembers: int = 1) -> None:
        units = {
            key: {number * 2 + index: op for number, op in enumerate(OPERATIONS, 1)} for index, key in enumerate(KEYS)
        }
        super().__init__(PodOwner("zone-a", "pod-1", EPOCH, LIMITS, ahead=8), EPOCH, LIMITS, units)
        self.records = {key: DeviceRecord(remembers=remembers) for key in KEYS}
        self.exists = dict.fromkeys(KEYS, False)
        self.requests: list[Request] = []
        self.abandoned: set[int] = set()
        self.called: set[tuple[str, int, int]] = set()
        """(key, life, ticket) of every call that was ever asked for."""
        self.called_ahead = 0
        """Calls while the outcome of an earlier unit was on its way."""
        self.applied: set[tuple[str, int]] = set()
        for key in KEYS:
            self.store(self.event(key, EventType.PLACED, life=1, pod="pod-1", host="host-1", reserves={}))

    # the truth

    def state(self, key: str, up_to: int) -> tuple[int, int, bool]:
        """(life, answered, here) of a resource as the log has it up to a position."""
        life, answered, here = 0, 0, False
        for position, event in self.log:
            if event.type is EventType.CLAIMED and position <= up_to:
                life = position
            if event.key == key and position <= up_to:
                answered = event.answered
                here = event.pod is not None and not event.removed
                if event.type in (EventType.PLACED, EventType.CRASHED):
                    life = position
        return life, answered, here

    def as_seen(self, key: str, up_to: int) -> tuple[int, int] | None:
        life, answered, here = self.state(key, up_to)
        return (life, answered) if here else None

    def check_stored(self, event: Event) -> None:
        if event.type is EventType.CLAIMED:
            return
        answered = self.state(event.key, self.last)[1] if self.log else 0
        if event.is_outcome:
            assert event.ticket is not None
            assert event.ticket > answered, f"ticket {event.ticket} after {answered} was answered"
            assert event.answered == event.ticket
            applied = (event.key, event.ticket) in self.applied
            assert applied <= (event.type is EventType.COMPLETED), f"{event.type} of {event.ticket}, which took effect"
        else:
            assert event.answered == answered, f"{event.type} says {event.answered} is answered, not {answered}"

    # what may happen

    def take_over(self, stored: int) -> None:
        """Another claims the pod: of what was on its way to the log the first few are stored, and nobody is told."""
        for append in self.appends[: stored % (len(self.appends) + 1)]:
            for event in append.events:
                self.store(event.model_copy(deep=True))
        self.appends.clear()
        self.fetches.clear()
        self.epoch = self.store(self.event("pod.pod-1", EventType.CLAIMED, life=0))
        self.owner = PodOwner("zone-a", "pod-1", self.epoch, LIMITS, ahead=8)

    def device(self, index: int, fate: str) -> None:
        """The device takes a step with one of the requests; `fate` decides what becomes of it."""
        if not self.requests:
            return
        request = self.requests[index % len(self.requests)]
        effect = request.effect
        record = self.records[effect.key]
        owner = "agent-1"
        if isinstance(effect, Synchronize):
            decision = record.decide_synchronize(life=effect.life, owner=owner)
            if decision is Decision.ACCEPT:
                record.become_accepted(life=effect.life, owner=owner)
            self._answer(request, Status.OK if decision is Decision.ACCEPT else Status(decision.name.lower()), fate)
        elif request.begun:
            self._end(request, fate)
        else:
            decision = record.decide_call(life=effect.life, owner=owner, ticket=effect.message.ticket)
            if decision is Decision.RUN:
                record.become_begun(life=effect.life, owner=owner, ticket=effect.message.ticket)
                request.begun = True
            elif decision is Decision.REMEMBERED:
                applied = record.recall(effect.message.ticket).applied
                self._answer(request, Status.APPLIED if applied else Status.REFUSED, fate)
            else:
                self._answer(
                    request, Status(decision.name.lower()) if decision is not Decision.JOIN else Status.BUSY, fate
                )

    def _end(self, request: Request, fate: str) -> None:
        effect, record = request.effect, self.records[request.effect.key]
        assert isinstance(effect, Call)
        if fate == "fail":
            record.become_broken_off()
            self._answer(request, Status.FAILED, fate)
            return
        exists, operation = self.exists[effect.key], effect.message.operation
        applied = (operation == "create") != exists
        if applied:
            self.exists[effect.key] = operation != "destroy"
            self.applied.add((effect.key, effect.message.ticket))
        record.become_answered(applied=applied)
        self._answer(request, Status.APPLIED if applied else Status.REFUSED, fate)

    def _answer(self, request: Request, status: Status, fate: str) -> None:
        self.requests.remove(request)
        effect = request.effect
        if fate == "lose" or request.owner is not self.owner or effect.token in self.abandoned:
            return
        record, exists = self.records[effect.key], self.exists[effect.key]
        memory: dict[str, Any] = {"remembers": record.remembers, "recent": list(record.recent)}
        answer = Answer(
            seq=effect.token, status=status, high=record.high, owner=record.owner, last=record.last,
            last_applied=record.applied, begun=record.begun, exists=exists, definition={} if exists else None,
            **(memory if isinstance(effect, Synchronize) else {}),
        )  # fmt: skip
        self.owner.on_answer(effect.key, effect.token, answer, self.now_s)
        self.collect()

    def tick(self, seconds: float) -> None:
        """Time passes, and the owner is awake."""
        ends_s = self.now_s + seconds
        while self.now_s < ends_s:
            super().tick(min(0.5, ends_s - self.now_s))

    def sleep(self, seconds: float) -> None:
        """Time passes, and the owner was held up meanwhile."""
        super().tick(seconds)

    # the eye

    def on_effect(self, effect: Effect) -> None:
        match effect:
            case Call():
                self._check_call(effect)
                self.requests.append(Request(effect, self.owner))
            case Synchronize():
                self.requests.append(Request(effect, self.owner))
            case Append():
                for event in effect.events:
                    self._check_event(event)
            case Abandon(token):
                self.abandoned.add(token)

    def _check_call(self, call: Call) -> None:
        key, ticket = call.key, call.message.ticket
        life, answered, here = self.state(key, self.last)
        assert here, "a call for what is not here"
        assert call.life == life, "a call in a life that is not the present one"
        assert self.records[key].high >= life, "a call in a life that the device has not accepted"
        said = [event for each in self.appends for event in each.events if event.key == key and event.is_outcome]
        tickets = {event.ticket for event in said}
        before = {unit for unit in self.units[key] if answered < unit < ticket}
        assert before <= tickets, "a unit before it is unanswered"
        assert ticket > answered, "a call for what is answered"
        assert (key, life, ticket) not in self.called, "two calls in one life"
        if said:
            record = self.records[key]
            known = {record.last, *(each.ticket for each in record.recent)}
            assert tickets <= known, "a call while an outcome that the device has not told is on its way"
            assert len(said) < min(record.remembers, self.limits.ahead_max), "its answer makes the device forget"
            assert not any(event.removed for event in said), "a call while the address is being given back"
            self.called_ahead += 1
        self.called.add((key, life, ticket))

    def _check_event(self, event: Event) -> None:
        if not event.is_outcome:
            return
        assert event.ticket is not None
        record = self.records[event.key]
        if event.ticket == record.last or any(each.ticket == event.ticket for each in record.recent):
            expected = EventType.COMPLETED if record.recall(event.ticket).applied else EventType.FAILED
            assert event.type is expected, f"{event.type}, but the device remembers {expected}"
            return
        assert record.high >= event.life, "answered in a life that the device has not accepted"
        assert (event.key, event.life, event.ticket) not in self.called, "answered in the life that called it"
