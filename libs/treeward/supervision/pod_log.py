"""What the owner of a pod says: the events of its rows, and what each append is to bring about once it is stored."""

from typing import Literal

from treeward.schemas.events import DeviceOutcome, Drift, Event, EventType, Outcome, Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision import events
from treeward.supervision.effects import Abandon, Append, Effect, Work
from treeward.supervision.isolation import NO_DOUBT, Doubt
from treeward.supervision.row import Phase, Row

Then = Literal[
    "ahead",
    "called",
    "answered",
    "isolated",
    "gone",
    "leaving",
    "drifted",
    "made",
    "crashed",
    "quarantined",
    "released",
]
"""What becomes of a row when its event is stored."""
TRIED_MAX = 16
"""Hosts that are remembered to have been tried: where there are more, those of long ago are tried again."""
FOUND_ISOLATED = "its device has isolated it, although no unit of work has asked for that"


class PodLog:
    """Events on their way to the log, by token. What asks the outside for anything goes through `effects`."""

    def __init__(self, zone: str, pod: str, epoch: int) -> None:
        self.zone = zone
        self.pod = pod
        self.effects: list[Effect] = []
        self.stored_up_to = epoch
        """A fetch must be at least as new."""
        self.drifts: dict[str, Drift] = {}
        """What others have changed, as every event of it says until that is settled; few, so no field of a row."""
        self._tokens = 0
        self._waiting: dict[int, tuple[str, Then]] = {}
        """Token of an append -> the row that it moves on, and to what."""

    def token(self) -> int:
        """A number for a request or append that no other has."""
        self._tokens += 1
        return self._tokens

    def stored(self, token: int, position: int) -> tuple[str, Then] | None:
        """An append is in the log: the row that it moves on, and how; None if nothing waits for it."""
        self.stored_up_to = max(self.stored_up_to, position)
        return self._waiting.pop(token, None)

    def is_quarantining(self, row: Row) -> bool:
        """Whether what is on its way for this row is its quarantine."""
        return row.phase is Phase.COMMITTING and self._waiting.get(row.token) == (row.key, "quarantined")

    def ready(self, row: Row, now_s: float) -> None:
        """The device has accepted the life: said once, and nothing waits for it."""
        self.effects.append(Append((self._event(row, EventType.READY, now_s),), self.token()))

    def made(self, row: Row, now_s: float) -> None:
        """The device has made what existed where it came from: said before anything is called.

        Else the next owner would make again what a call has destroyed since.
        """
        self._commit(row, self._event(row, EventType.READY, now_s), "made")

    def answer(
        self,
        row: Row,
        outcome: Outcome,
        reason: str | None,
        now_s: float,
        *,
        called: bool = False,
        doubt: Doubt = NO_DOUBT,
    ) -> None:
        """The outcome of the unit in hand. After an isolation the host is brought before its device anew.

        `called`: its device has said so to a call in this life; only such an outcome is ever overtaken (`go_ahead`).
        `doubt`: of units behind it, where nobody can be asked.
        """
        unit = row.hand
        assert unit is not None, "something is in hand"
        removed = self.removes(row, unit)
        event = self._event(row, EventType(outcome.value), now_s, reason=reason, answered=unit.ticket, removed=removed)
        event.tried = ()
        if removed:
            event.pod = event.host = event.reserves = None
            event.in_doubt, event.in_doubt_to = doubt
        then: Then = "called" if called else "answered"
        if removed or unit.operation == "isolate":
            then = "gone" if removed else "isolated"
        self._commit(row, event, then, Work(unit, row.taken_s, row.called_s, now_s))

    def removes(self, row: Row, unit: Message) -> bool:
        """Whether its outcome gives the address back: nothing exists.

        Only when the device can have answered nothing beyond it: else two objects (S2).
        """
        return not row.exists and row.device_last <= unit.ticket and row.key not in self.drifts

    def may_go_ahead(self, row: Row) -> bool:
        """Whether the row waits for nothing but the outcome of a unit that its device has answered when called (S13).

        What was answered without the device is stored before anything is called: the device could not tell it.
        """
        return row.phase is Phase.COMMITTING and self._waiting.get(row.token) == (row.key, "called")

    def go_ahead(self, row: Row) -> None:
        """Wait for that outcome no longer: it is stored before whatever this row says next, or neither is."""
        assert self.may_go_ahead(row), "nothing else is overtaken"
        self._waiting[row.token] = (row.key, "ahead")
        row.ahead += 1
        row.become_answered()

    def leave(self, row: Row, now_s: float, reason: str, to: str | None) -> None:
        """It is about to be taken off its device, to go to host `to`."""
        self._commit(row, self._event(row, EventType.LEAVING, now_s, reason=reason, to=to), "leaving")

    def hand_off(self, row: Row, now_s: float, reason: str, *, doubt: Doubt = NO_DOUBT, emptied: bool = False) -> None:
        """Let it go in a life in which no call is unanswered: all that the device remembers goes with it (PROTOCOL S7).

        `doubt`: its old place was isolated, and nobody can say what became of some units.
        """
        assert row.ahead == 0, "all that was said is stored"
        event = self._event(row, EventType.HANDED_OFF, now_s, reason=reason, left=row.host, left_pod=self.pod)
        move = row.move
        event.to = move.said.host if move is not None else None
        event.emptied = emptied or (move is not None and move.emptied)
        event.pod = event.host = None
        event.reserves = row.reserves if event.to is not None and row.definition is None else None
        event.existed = row.exists
        event.tried = _tried(row) if event.existed else ()
        if event.drift is not None:  # where it then is, it is looked at anew
            event.definition, event.drift = event.definition if row.exists else None, None
        event.in_doubt, event.in_doubt_to = doubt
        event.last_unknown = doubt.units > 0 and row.hand is not None and row.remembered(row.hand.ticket) is None
        if row.device_last:
            event.last = DeviceOutcome(ticket=row.device_last, applied=row.device_applied, reason=row.device_reason)
        event.recent = tuple(
            DeviceOutcome(ticket=known.ticket, applied=known.applied, reason=known.reason)
            for known in row.recent
            if known.ticket > row.answered
        )
        work = Work(row.hand, row.taken_s, 0.0, now_s) if row.hand is not None else None
        self._commit(row, event, "gone", work)

    def end_life(self, row: Row, verdict: Verdict, reason: str, now_s: float) -> None:
        """The process ends with its unit in hand; its mailbox is flushed. The event begins the next life."""
        row.attempts += verdict is not Verdict.NOT_STARTED or row.phase is Phase.CALLED
        row.verdict = verdict
        flushed = row.flush()
        self.effects.append(Abandon(row.token))
        event = self._event(
            row, EventType.CRASHED, now_s, reason=reason, flushed=[message.ticket for message in flushed]
        )
        work = Work(row.hand, row.taken_s, row.called_s, now_s) if row.hand is not None else None
        traces = tuple(message.trace for message in flushed if message.trace)
        self._commit(row, event, "crashed", work, traces)

    def quarantine(self, row: Row, unit: Message | None, now_s: float) -> None:
        """It is tried no more, with the unit that it crashed with; `row.reason` says why."""
        event = self._event(row, EventType.QUARANTINED, now_s, reason=row.reason)
        event.ticket, event.operation = (unit.ticket, unit.operation) if unit is not None else (None, None)
        self._commit(row, event, "quarantined")

    def drifted(self, row: Row, now_s: float, reason: str) -> None:
        """How its device differs, or that it does not any more; with nothing desired it is gone, and that is accepted.

        With a unit in hand nothing waits for it.
        """
        event = self._event(row, EventType.DRIFTED, now_s, reason=reason)
        if row.hand is not None or row.queue:
            self.effects.append(Append((event,), self.token()))
            return
        event.removed = row.definition is None
        if event.removed:
            event.pod = event.host = event.reserves = None
            event.isolated = event.draining = False  # what is made again under that name is another
        self._commit(row, event, "gone" if event.removed else "drifted")

    def found_isolated(self, row: Row, now_s: float) -> None:
        """Its device has isolated it, and no unit of work has; nothing waits for that."""
        event = self._event(row, EventType.DRIFTED, now_s, reason=FOUND_ISOLATED)
        self.effects.append(Append((event,), self.token()))

    def release(self, row: Row, ticket: int, now_s: float) -> None:
        """It is let out of its quarantine."""
        self._commit(row, self._event(row, EventType.RELEASED, now_s, reason=f"by ticket {ticket}"), "released")

    def _commit(
        self, row: Row, event: Event, then: Then, work: Work | None = None, traces: tuple[str, ...] = ()
    ) -> None:
        row.phase = Phase.COMMITTING
        row.token = self.token()
        self._waiting[row.token] = (row.key, then)
        self.effects.append(Append((event,), row.token, work, traces))

    def _event(self, row: Row, type_: EventType, now_s: float, **changes: object) -> Event:
        if self.drifts:
            changes["drift"] = self.drifts.get(row.key)
        return events.of_row(self.zone, self.pod, row, type_, now_s, **changes)


def _tried(row: Row) -> tuple[str, ...]:
    """Where what leaves its host now has been: the first stays in mind, the others until it begins anew."""
    host, anew = row.host, row.move is not None and row.move.said.again
    if host is None:
        return ()
    first, *others = row.tried or (host,)
    others = [other for other in others if other != host and not anew]
    if host != first:
        others.append(host)
    return (first, *others[1 - TRIED_MAX :])
