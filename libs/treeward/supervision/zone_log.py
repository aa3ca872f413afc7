"""What the owner of a zone says: the events of its rows and of its pods, and what each append is to bring about."""

from typing import Any, Literal

from treeward.schemas.events import Event, EventType, Outcome, Verdict
from treeward.supervision import events
from treeward.supervision.effects import Append, Effect, Work
from treeward.supervision.pod_book import PodBook
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.unplaced_step import is_in_doubt, left_in_doubt

Then = Literal["placed", "answered"]
"""What becomes of a row when its event is stored."""
HOW_IT_CAME = ("existed", "last", "left", "left_pod", "to", "emptied", "tried")


class ZoneLog:
    """Events on their way to the log, by token. What asks the outside for anything goes through `effects`."""

    def __init__(self, zone: str, epoch: int, pods: PodBook) -> None:
        self.zone = zone
        self.epoch = epoch
        self.effects: list[Effect] = []
        self.stored_up_to = epoch
        """A fetch must be at least as new."""
        self._pods = pods
        self._tokens = 0
        self._waiting: dict[int, tuple[str, Then]] = {}
        """Token of an append -> the row that it moves on, and to what."""

    def stored(self, token: int, position: int) -> tuple[str, Then] | None:
        """An append is in the log: the row that it moves on, and how; None if nothing waits for it."""
        self.stored_up_to = max(self.stored_up_to, position)
        return self._waiting.pop(token, None)

    def say(self, event: Event) -> None:
        """An event that nothing here waits for."""
        self._append(event)

    def placed(
        self, row: Unplaced, pod: str, host: str, definition: dict[str, Any], now_s: float, reason: str | None = None
    ) -> None:
        """The address is that pod's owner's from now on; what existed where it came from is made again there."""
        unit, came = row.hand, row.came
        assert unit is not None, "something is in hand"
        existed = came is not None and came.existed
        told = {"pod": pod, "host": host, "existed": existed, "reason": reason}
        event = self._event(row, EventType.PLACED, now_s, **told)
        event.definition, event.reserves = (definition, None) if existed else (None, definition)
        event.tried = came.tried if came is not None and came.ticket == unit.ticket else ()
        moved = came is not None and (host != came.left or came.moved == unit.ticket)
        event.moved = unit.ticket if moved else 0  # back where it was: not moved
        if came is not None and came.emptied and came.to is None and host == came.left:
            event.left = host  # it was let go of there, and may be again: not without a pause
        self._commit(row, event, "placed", now_s)

    def answer(self, row: Unplaced, outcome: Outcome, reason: str | None, now_s: float) -> None:
        """The outcome of the unit in hand."""
        unit, came = row.hand, row.came
        assert unit is not None, "something is in hand"
        told = {"reason": reason, "definition": row.definition, "answered": unit.ticket}
        event = self._event(row, EventType(outcome.value), now_s, **told)
        if is_in_doubt(row, unit):
            event.verdict = Verdict.MAYBE_STARTED
        if event.kind == "pod":
            self._pods.note(event)
        if came is not None:  # it is still handed off, and the next reader must know how
            event = event.model_copy(update={name: getattr(came, name) for name in HOW_IT_CAME})
            event.recent = tuple(known for known in came.recent if known.ticket > unit.ticket)
            event.in_doubt = row.in_doubt = left_in_doubt(row, unit)
            event.in_doubt_to = row.in_doubt_to if event.in_doubt else 0
        self._commit(row, event, "answered", now_s)

    def _event(self, row: Unplaced, type_: EventType, now_s: float, **changes: object) -> Event:
        return events.of_unplaced(self.zone, self.epoch, row, type_, now_s, **changes)

    def _commit(self, row: Unplaced, event: Event, then: Then, now_s: float) -> None:
        assert row.hand is not None, "only a unit in hand makes this owner append"
        row.reason = None
        row.committing = True
        row.token = self._append(event, Work(row.hand, row.taken_s, 0.0, now_s))
        self._waiting[row.token] = (row.key, then)

    def _append(self, event: Event, work: Work | None = None) -> int:
        self._tokens += 1
        self.effects.append(Append((event,), self._tokens, work))
        return self._tokens
