"""Many processes of one pod on a bench: a log and a dispatcher that work, and a device that does as it is told."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision.effects import Append, Call, Effect, Fetch, Suspect, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 10
TICK_S = 0.05


def well(_key: str, verb: str) -> Status | None:
    """A device that does everything."""
    return Status.OK if verb == "synchronize" else Status.APPLIED


def failing(_key: str, verb: str) -> Status | None:
    """A device that accepts lives and breaks every call off."""
    return Status.OK if verb == "synchronize" else Status.FAILED


def gone(_key: str, _verb: str) -> Status | None:
    """A device that is known to be out of reach."""
    return Status.UNREACHABLE


def silent(_key: str, _verb: str) -> Status | None:
    """A device that says nothing."""
    return None


class Crowd:
    """`submit` gives each key a unit; `pass_time` lets the owner work. `device(key, verb)` says what is answered."""

    def __init__(self, limits: Limits, *, policies: dict[str, Any] | None = None, host: str | None = "h1") -> None:
        self.now_s = 1000.0
        self.owner = PodOwner("zone-a", "p1", EPOCH, limits, policies=policies)
        self.device: Callable[[str, str], Status | None] = well
        self.position = EPOCH
        self.said: list[tuple[float, Event]] = []
        """Every event with its time."""
        self.synchronized: list[tuple[float, str, int]] = []
        """When which life was brought before the device."""
        self.suspicions: list[Suspect] = []
        self.last: dict[str, tuple[int, Event]] = {}
        self._host = host
        self._units: dict[str, Message] = {}

    def place(self, key: str, **fields: Any) -> None:
        """Something that is in the pod."""
        kind, _, id_ = key.partition(".")
        host = None if kind == "host" else self._host
        self._log(
            Event(type=EventType.PLACED, zone="zone-a", kind=kind, id=id_, life=1, at=AT, pod="p1", host=host, **fields)
        )

    def submit(self, key: str, ticket: int, operation: str = "kick", **fields: Any) -> None:
        """A unit arrives; it is sent again in every new life until it has an outcome."""
        if key not in self.last:
            self.place(key)
        self._units[key] = Message(epoch=EPOCH, life=0, ticket=ticket, previous=0, operation=operation, **fields)
        self._send(key)
        self._carry_out()

    def pass_time(self, seconds: float) -> None:
        """The owner is awake all the time."""
        ends_s = self.now_s + seconds
        while self.now_s < ends_s - 1e-9:
            self.now_s = min(ends_s, self.now_s + TICK_S)
            self.owner.tick(self.now_s)
            self._carry_out()

    def sleep(self, seconds: float) -> None:
        """The owner is held up for so long."""
        self.now_s += seconds
        self.owner.tick(self.now_s)
        self._carry_out()

    def events(self, key: str, type_: EventType | None = None) -> list[Event]:
        """What was said of a resource."""
        return [event for _, event in self.said if event.key == key and type_ in (None, event.type)]

    def count(self, type_: EventType) -> int:
        """How many events of a type there are."""
        return sum(event.type is type_ for _, event in self.said)

    def restarts_within(self, begins_s: float, seconds: float) -> int:
        """Lives brought before the device in a time."""
        return sum(begins_s <= at_s < begins_s + seconds for at_s, _, _ in self.synchronized)

    def _send(self, key: str) -> None:
        unit = self._units.get(key)
        position, event = self.last[key]
        if unit is None or unit.ticket <= event.answered:
            return
        began = position if event.type in (EventType.PLACED, EventType.CRASHED) else event.life
        message = unit.model_copy(update={"life": began, "seen": position, "attempts": event.attempts})
        self.owner.on_message(key, message, self.now_s)

    def _log(self, event: Event) -> int:
        self.position += 1
        self.last[event.key] = (self.position, event)
        return self.position

    def _carry_out(self) -> None:
        while self.owner.effects:
            effects, self.owner.effects = self.owner.effects, []
            for effect in effects:
                self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        match effect:
            case Append():
                for event in effect.events:
                    copy = event.model_copy(deep=True)
                    self.said.append((self.now_s, copy))
                    self._log(copy)
                self.owner.on_appended(effect.token, self.position, self.now_s)
                if effect.events[0].type in (EventType.CRASHED, EventType.RELEASED):
                    self._send(effect.events[0].key)
            case Fetch(key):
                position, last = self.last.get(key, (0, None))
                copied = last.model_copy(deep=True) if last is not None else None
                self.owner.on_fetched(key, position, copied, self.now_s)
            case Synchronize():
                self.synchronized.append((self.now_s, effect.key, effect.life))
                self._answer(effect.key, effect.token, "synchronize", 0)
            case Call():
                self._answer(effect.key, effect.token, "call", effect.message.ticket)
            case Suspect():
                self.suspicions.append(effect)

    def _answer(self, key: str, token: int, verb: str, ticket: int) -> None:
        status = self.device(key, verb)
        if status is None:
            return
        applied = status is Status.APPLIED
        answered = self.last[key][1].answered
        answer = Answer(
            seq=token, status=status, last=ticket if applied else answered, last_applied=True, exists=True,
            definition={}, reason=None if applied or status is Status.OK else "on the bench",
        )  # fmt: skip
        self.owner.on_answer(key, token, answer, self.now_s)
