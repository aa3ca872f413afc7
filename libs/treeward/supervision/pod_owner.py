"""The owner of a pod: its processes as rows, from the first message to the outcome (PROTOCOL table 3).

Two rules carry everything else. *Take rule*: a message is taken only if it names this owner's epoch, the row's life,
and no unanswered ticket is missing before it. *Fence first, answer second*: a unit is answered by what the device says
to its call or remembers of it; any other answer needs a life that the device has accepted and in which it was not
called.
"""

from collections.abc import Iterator
from heapq import heappop, heappush

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import DeviceOutcome, Event, EventType, Outcome, Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision import events
from treeward.supervision.effects import Abandon, Append, Call, Effect, Fetch, GiveUp, Synchronize, Work
from treeward.supervision.knowledge import began_at, pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.process_step import Act, BreakDown, Conclude, HandOff, decide_step
from treeward.supervision.restart import Escalate, decide_restart, jitter_of
from treeward.supervision.row import Phase, Row, early_of

GC_ROWS_PER_TICK = 2_000
DOUBLED_MAX = 16
"""A wait is doubled so often at most: 2.0**1024 is an OverflowError, half an hour after a device has gone away."""
LIVING = (Phase.INITIALIZED, Phase.SYNCHRONIZING, Phase.READY, Phase.CALLED)


class PodOwner:
    """The fold of one pod in one epoch. Inputs are methods; effects gather in `effects` until the caller takes them."""

    def __init__(self, zone: str, pod: str, epoch: int, limits: Limits, *, may_move: bool = True) -> None:
        self.zone = zone
        self.pod = pod
        self.epoch = epoch
        self.limits = limits
        self.may_move = may_move
        """False: the pod has a device of its own, which nobody would empty behind a move (PROTOCOL H15)."""
        self.effects: list[Effect] = []
        self.rows: dict[str, Row] = {}
        self.stopping = False
        self.dropped = 0
        """Messages that the take rule refused."""
        self._tokens = 0
        self._appended_up_to = epoch
        self._timers: list[tuple[float, str]] = []
        self._waiting: dict[int, tuple[str, str]] = {}
        """Token of an append -> the row that it moves on, and to what."""
        self._calls: list[tuple[float, int, str]] = []
        self._sweep: Iterator[str] = iter(())

    # --- inputs --------------------------------------------------------------------------------------------------

    def on_message(self, key: str, message: Message, now_s: float) -> None:
        """A message came out of the mailbox: it may be lost, doubled, late, or meant for another."""
        if message.epoch != self.epoch:
            self.dropped += 1
            return
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(key, message.life)
            row.early.append(message)
            row.used_s = now_s
            self._fetch(row, max(message.life, message.seen, self._appended_up_to))
            return
        row.used_s = now_s
        if row.phase is Phase.FETCHING or (row.phase is Phase.COMMITTING and message.life > row.life):
            if len(row.early) < 2 * self.limits.window:
                row.early.append(message)
            return
        if message.life == row.life and message.released > row.released:
            self._release(row, message.released, now_s)
        if not row.may_keep(message):
            self.dropped += 1
            return
        row.put(message, self.limits.window)
        self._advance(row, now_s)

    def on_fetched(self, key: str, position: int, event: Event | None, now_s: float) -> None:
        """The last event of a resource: whether it is ours, and what its process was."""
        row = self.rows.get(key)
        if row is None or row.phase is not Phase.FETCHING:
            return
        newest = max((message.seen for message in row.early), default=0)
        if position < newest and row.token < newest:  # a dispatcher has read more than this replica had
            self._fetch(row, newest)
            return
        early, row.early = row.early, []
        if event is None or pod_of(event) != self.pod:
            self.dropped += len(early)
            del self.rows[key]
            return
        row.life = max(began_at(event, position), self.epoch)
        row.answered = event.answered
        row.host = event.host
        row.definition = event.definition
        row.reserves = event.reserves or event.definition
        row.observed = event.observed
        row.make = event.existed
        row.moved = event.moved
        row.moved_reason = event.reason if event.type is EventType.PLACED else None
        row.paused = event.paused
        row.draining = event.draining
        row.released = event.released
        row.phase = Phase.QUARANTINED if event.quarantined else Phase.INITIALIZED
        row.reason = event.reason if event.quarantined else None
        for message in early_of(early, row.life):
            if message.released > row.released:
                self._release(row, message.released, now_s)
            if row.may_keep(message):
                row.put(message, self.limits.window)
        self._advance(row, now_s)

    def _fetch(self, row: Row, at_least: int) -> None:
        row.token = at_least
        self.effects.append(Fetch(row.key, at_least))

    def on_answer(self, key: str, token: int, answer: Answer, now_s: float) -> None:
        """The device answered a request."""
        row = self.rows.get(key)
        if row is None or row.token != token:
            return
        if answer.status is Status.FENCED:
            self.give_up(
                f"the device refused life {row.life} of {self.zone}.{key}: it accepted {answer.high} of {answer.owner}",
                fenced=True,
            )
        elif row.phase is Phase.SYNCHRONIZING:
            self._on_synchronized(row, answer, now_s)
        elif row.phase is Phase.CALLED:
            self._on_called(row, answer, now_s)

    def on_appended(self, token: int, position: int, now_s: float) -> None:
        """An append is in the log; `position` is that of its last event."""
        self._appended_up_to = max(self._appended_up_to, position)
        key, then = self._waiting.pop(token, ("", ""))
        row = self.rows.get(key)
        if row is None or row.phase is not Phase.COMMITTING or row.token != token:
            return
        if then == "answered":
            self._on_answered(row, now_s)
        elif then == "gone":
            self._on_gone(row, now_s)
        elif then == "crashed":
            self._on_crashed(row, position, now_s)
        else:
            row.phase = Phase.QUARANTINED if then == "quarantined" else Phase.INITIALIZED
            released = max((message.released for message in row.queue), default=0)
            if released > row.released:
                self._release(row, released, now_s)
            self._advance(row, now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed: back-offs end, calls without an answer crash their process, idle rows are forgotten."""
        while self._timers and self._timers[0][0] <= now_s:
            row = self.rows.get(heappop(self._timers)[1])
            if row is not None:
                self._advance(row, now_s)
        while self._calls and self._calls[0][0] <= now_s:
            _, token, key = heappop(self._calls)
            row = self.rows.get(key)
            if row is not None and row.token == token:
                self._on_silence(row, now_s)
        self._forget_idle(now_s)

    def stop_taking(self) -> None:
        """Take no further unit: what is in hand ends, then `drained` is true (planned hand-off)."""
        self.stopping = True

    @property
    def drained(self) -> bool:
        """Whether no device call and no append is on its way."""
        return all(row.phase not in (Phase.CALLED, Phase.COMMITTING) for row in self.rows.values())

    def give_up(self, reason: str, *, fenced: bool) -> None:
        """Stop with nothing owned: replaced, or in doubt."""
        self.rows.clear()
        self.effects.append(GiveUp(reason, fenced))

    def describe(self, key: str, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for `explain`; phase `absent`: the resource is not in use here."""
        row = self.rows.get(key)
        said: dict[str, object] = row.describe(now_s) if row is not None else {"phase": "absent"}
        return {"epoch": self.epoch, "stopping": self.stopping} | said

    # --- one unit ------------------------------------------------------------------------------------------------

    def _advance(self, row: Row, now_s: float) -> None:
        if row.phase not in (Phase.INITIALIZED, Phase.READY):
            return
        if row.hand is None and (self.stopping or not row.take_next(now_s)):
            return
        if now_s < row.not_before_s:
            heappush(self._timers, (row.not_before_s, row.key))
        elif row.phase is Phase.INITIALIZED:
            row.phase = Phase.SYNCHRONIZING
            row.token = self._token()
            heappush(self._calls, (now_s + self.limits.call_timeout_s, row.token, row.key))
            self.effects.append(
                Synchronize(row.key, row.token, row.life, row.host, row.definition if row.make else None, absent=False)
            )
        else:
            self._decide(row, now_s)

    def _on_silence(self, row: Row, now_s: float) -> None:
        """No answer in time. To synchronize again is always safe; after a call only the next life can tell."""
        silence = f"the device did not answer within {self.limits.call_timeout_s:g} s"
        if row.phase is Phase.CALLED:
            self._crash(row, Verdict.MAYBE_STARTED, silence, now_s)
        elif row.phase is Phase.SYNCHRONIZING:
            self.effects.append(Abandon(row.token))
            row.phase = Phase.INITIALIZED
            row.reason = silence
            row.retries += 1
            self._advance(row, now_s)

    def _decide(self, row: Row, now_s: float) -> None:
        unit = row.hand
        assert unit is not None, "something is in hand"
        match decide_step(row, unit, pod=self.pod, may_move=self.may_move, now_s=now_s):
            case Conclude(outcome, reason):
                if unit.mark is None and outcome is Outcome.COMPLETED:
                    row.paused = {"pause": True, "resume": False}.get(unit.operation, row.paused)
                    row.draining = {"drain": True, "resume": False}.get(unit.operation, row.draining)
                self._answer(row, outcome, reason, now_s)
            case HandOff(reason):
                self._hand_off(row, now_s, reason)
            case BreakDown(verdict, reason):
                self._crash(row, verdict, reason, now_s)
            case Act():
                row.phase = Phase.CALLED
                row.called_s = now_s
                row.token = self._token()
                heappush(self._calls, (now_s + self.limits.call_timeout_s, row.token, row.key))
                self.effects.append(Call(row.key, row.token, row.life, row.host, unit))

    def _on_synchronized(self, row: Row, answer: Answer, now_s: float) -> None:
        if answer.status is not Status.OK:
            row.phase = Phase.INITIALIZED
            row.reason = answer.reason or answer.status.value
            row.not_before_s = now_s + min(
                self.limits.busy_retry_max_s, self.limits.busy_retry_min_s * 2.0 ** min(row.retries, DOUBLED_MAX)
            )
            row.retries += 1
            self._advance(row, now_s)
            return
        row.phase = Phase.READY
        row.retries = 0
        row.reason = None
        row.make = False
        self._learn(row, answer)
        hand = row.hand
        if hand is not None:
            if answer.last == hand.ticket:
                row.verdict = Verdict.DONE
            elif answer.begun >= hand.ticket:
                row.verdict = Verdict.MAYBE_STARTED
                if row.life == self.epoch:  # a crash counts for itself; that the last owner vanished nobody else counts
                    row.attempts = hand.attempts = hand.attempts + 1
            elif hand.attempts or row.life == self.epoch:
                row.verdict = Verdict.NOT_STARTED
        if not row.ready_said:
            row.ready_said = True
            self.effects.append(Append((self._event(row, EventType.READY, now_s),), self._token()))
        self._advance(row, now_s)

    def _on_called(self, row: Row, answer: Answer, now_s: float) -> None:
        if answer.status in (Status.APPLIED, Status.REFUSED):
            self._learn(row, answer)
            applied = answer.status is Status.APPLIED
            self._answer(row, Outcome.COMPLETED if applied else Outcome.FAILED, answer.reason, now_s)
            return
        nothing_done = answer.status in (Status.UNREACHABLE, Status.INVALID)
        verdict = Verdict.NOT_STARTED if nothing_done else Verdict.MAYBE_STARTED
        self._crash(row, verdict, f"{answer.status}: {answer.reason or 'no reason given'}", now_s)

    def _learn(self, row: Row, answer: Answer) -> None:
        row.device_last = answer.last
        row.device_applied = answer.last_applied
        row.device_reason = answer.last_reason
        row.exists = answer.exists
        row.definition = answer.definition
        row.observed = answer.observed

    # --- what is appended ----------------------------------------------------------------------------------------

    def _answer(self, row: Row, outcome: Outcome, reason: str | None, now_s: float) -> None:
        unit = row.hand
        assert unit is not None, "something is in hand"
        ticket = unit.ticket
        # Only when the device can have answered nothing beyond it may the address go back: else two objects (S2).
        removed = not row.exists and row.device_last <= ticket
        event = self._event(row, EventType(outcome.value), now_s, reason=reason, answered=ticket, removed=removed)
        if removed:
            event.pod = event.host = event.reserves = None
        self._commit(row, (event,), "gone" if removed else "answered", Work(unit, row.taken_s, row.called_s, now_s))

    def _hand_off(self, row: Row, now_s: float, reason: str) -> None:
        """Let it go in a life in which no call is unanswered: the device's last ticket goes with it (PROTOCOL S7)."""
        event = self._event(row, EventType.HANDED_OFF, now_s, reason=reason, left=row.host)
        event.pod = event.host = event.reserves = None
        event.existed = row.exists
        if row.device_last:
            event.last = DeviceOutcome(ticket=row.device_last, applied=row.device_applied, reason=row.device_reason)
        work = Work(row.hand, row.taken_s, 0.0, now_s) if row.hand is not None else None
        self._commit(row, (event,), "gone", work)

    def _crash(self, row: Row, verdict: Verdict, reason: str, now_s: float) -> None:
        """The process ends with its unit in hand; its mailbox is flushed, each unit with a verdict. Its life ends here.

        With a host's process end those of everything in use on it: they are rebuilt below it.
        """
        self._end_life(row, verdict, reason, now_s)
        kind, _, name = row.key.partition(".")
        if kind == "host":
            for child in list(self.rows.values()):
                if child.host == name and child is not row and child.hand is not None and child.phase in LIVING:
                    started = child.phase is Phase.CALLED
                    self._end_life(
                        child,
                        Verdict.MAYBE_STARTED if started else Verdict.NOT_STARTED,
                        f"the process of its host {name} crashed",
                        now_s,
                    )

    def _end_life(self, row: Row, verdict: Verdict, reason: str, now_s: float) -> None:
        row.attempts += verdict is not Verdict.NOT_STARTED or row.phase is Phase.CALLED
        row.verdict = verdict
        flushed = row.flush()
        self.effects.append(Abandon(row.token))
        event = self._event(
            row, EventType.CRASHED, now_s, reason=reason, flushed=[message.ticket for message in flushed]
        )
        work = Work(row.hand, row.taken_s, row.called_s, now_s) if row.hand is not None else None
        traces = tuple(message.trace for message in flushed if message.trace)
        self._commit(row, (event,), "crashed", work, traces)

    def _commit(
        self, row: Row, batch: tuple[Event, ...], then: str, work: Work | None = None, traces: tuple[str, ...] = ()
    ) -> None:
        row.phase = Phase.COMMITTING
        row.token = self._token()
        self._waiting[row.token] = (row.key, then)
        self.effects.append(Append(batch, row.token, work, traces))

    def _release(self, row: Row, ticket: int, now_s: float) -> None:
        if row.phase is Phase.COMMITTING and self._waiting.get(row.token) == (row.key, "quarantined"):
            return  # it may answer the very quarantine whose receipt is still on its way: heard again when that is here
        row.released = ticket
        if row.phase is Phase.QUARANTINED:
            row.crashed_at_s = ()
            row.reason = None
            self._commit(row, (self._event(row, EventType.RELEASED, now_s, reason=f"by ticket {ticket}"),), "released")

    # --- what was appended ---------------------------------------------------------------------------------------

    def _on_answered(self, row: Row, now_s: float) -> None:
        assert row.hand is not None, "its outcome was just committed"
        row.answered = row.hand.ticket
        row.hand = None
        row.verdict = None
        row.attempts = 0
        row.phase = Phase.READY
        row.early = []
        row.drop_answered()
        self._advance(row, now_s)

    def _on_gone(self, row: Row, now_s: float) -> None:
        """The address has left: what is queued here is dropped, and sent again elsewhere."""
        del self.rows[row.key]
        for message in row.early:
            self.on_message(row.key, message, now_s)

    def _on_crashed(self, row: Row, position: int, now_s: float) -> None:
        row.crashed_at_s = tuple(at_s for at_s in row.crashed_at_s if now_s - at_s < self.limits.restart_period_s)
        decision = decide_restart(
            self.limits, restarted_at_s=row.crashed_at_s, now_s=now_s, jitter=jitter_of(row.key, position)
        )
        row.crashed_at_s = (*row.crashed_at_s, now_s)
        early, row.early = row.early, []
        unit = row.hand
        row.become_living(position)
        for message in early_of(early, position):
            if row.may_keep(message):
                row.put(message, self.limits.window)
        if isinstance(decision, Escalate):
            row.reason = f"crashed {decision.restarts + 1} times within {self.limits.restart_period_s:g} s"
            event = self._event(row, EventType.QUARANTINED, now_s, reason=row.reason)
            event.ticket, event.operation = (unit.ticket, unit.operation) if unit is not None else (None, None)
            self._commit(row, (event,), "quarantined")
        else:
            row.not_before_s = now_s + decision.delay_s
            self._advance(row, now_s)

    # --- small things --------------------------------------------------------------------------------------------

    def _event(self, row: Row, type_: EventType, now_s: float, **changes: object) -> Event:
        return events.of_row(self.zone, self.pod, row, type_, now_s, **changes)

    def _token(self) -> int:
        self._tokens += 1
        return self._tokens

    def _forget_idle(self, now_s: float) -> None:
        """Forget rows that nobody used for a while, a slice at a time: what they were is in the log."""
        for _ in range(min(GC_ROWS_PER_TICK, len(self.rows))):
            key = next(self._sweep, None)
            if key is None:
                self._sweep = iter(list(self.rows))
                return
            row = self.rows.get(key)
            if (
                row is not None
                and row.idle
                and now_s - row.used_s > self.limits.idle_row_s
                and now_s - max(row.crashed_at_s, default=0.0) > self.limits.restart_period_s
            ):
                del self.rows[key]
