"""The owner of a pod: its processes as rows, from the first message to the outcome (PROTOCOL table 3).

Two rules carry everything else. *Take rule*: a message is taken only if it names this owner's epoch, the row's life,
and no unanswered ticket is missing before it. *Fence first, answer second*: a unit is answered by what the device says
to its call or remembers of it; any other answer needs a life that the device has accepted and in which it was not
called.
"""

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType, Outcome, Verdict
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceSaid
from treeward.schemas.specs import readable_definition
from treeward.supervision.alarms import Alarms
from treeward.supervision.device_memory import learn_record, learn_verdict
from treeward.supervision.effects import Abandon, Call, Effect, Fetch, GiveUp, Synchronize
from treeward.supervision.idle_rows import IdleRows
from treeward.supervision.isolation import calls_unheard, knows_record, outcome_of
from treeward.supervision.knowledge import pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.pod_drift import PodDrift
from treeward.supervision.pod_log import PodLog
from treeward.supervision.pod_moves import PodMoves
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.pod_recovery import PodRecovery
from treeward.supervision.pod_refusals import PodRefusals
from treeward.supervision.policies import Said
from treeward.supervision.process_step import Act, BreakDown, Conclude, Empty, FindPlace, HandOff, Leave, decide_step
from treeward.supervision.restart import doubled
from treeward.supervision.row import Phase, Row, early_of
from treeward.supervision.self_suspicion import Escalation, Failure


class PodOwner:
    """The fold of one pod in one epoch. Inputs are methods; effects gather in `effects` until the caller takes them."""

    def __init__(
        self, zone: str, pod: str, epoch: int, limits: Limits, *, isolated: bool = False, policies: Said = None
    ) -> None:
        self.zone = zone
        self.pod = pod
        self.epoch = epoch
        self.limits = limits
        self.isolated = isolated
        """A person has said that nothing of the pod's device acts any more: what is there is let go without it."""
        self.rows: dict[str, Row] = {}  # those at work; the others rest
        self.stopping = False
        self.dropped = 0
        """Messages that the take rule refused."""
        self._log = PodLog(zone, pod, epoch)
        self.policies = PodPolicies(limits, policies)
        self._recovery = PodRecovery(limits, self.rows, self._log, self.policies)
        self._alarms = Alarms(self._log.token, limits.call_timeout_s)
        self._moves = PodMoves(limits, self._log, self._alarms)
        self._refusals = PodRefusals(self.policies, self._moves, self._log, self._alarms)
        self._idle = IdleRows(limits)
        self.drift = PodDrift(self._log, self.policies, self._alarms, self.rows, self._idle)

    @property
    def effects(self) -> list[Effect]:
        """What was decided and not taken yet, in order."""
        return self._log.effects

    @effects.setter
    def effects(self, effects: list[Effect]) -> None:
        self._log.effects = effects

    # --- inputs --------------------------------------------------------------------------------------------------

    def on_message(self, key: str, message: Message, now_s: float) -> None:
        """A message came out of the mailbox: it may be lost, doubled, late, or meant for another."""
        if message.epoch != self.epoch:
            self.dropped += 1
            return
        row = self.rows.get(key) or self._idle.wake(key, self.rows)
        if row is None:
            row = self.rows[key] = Row(key, message.life)
            row.early.append(message)
            row.used_s = now_s
            self._fetch(row, max(message.life, message.seen, self._log.stored_up_to))
            return
        row.used_s = now_s
        if row.phase is Phase.FETCHING or (row.phase is Phase.COMMITTING and message.life > row.life):
            if len(row.early) < 2 * self.limits.window:
                row.early.append(message)
            return
        if message.life == row.life and message.released > row.released:
            self._recovery.hear_release(row, message.released, now_s)
        if not row.may_keep(message):
            self.dropped += 1
            return
        row.put(message, self.limits.window)
        self._advance(row, now_s)

    def on_fetched(self, key: str, position: int, event: Event | None, now_s: float) -> None:
        """The last event of a resource: whether it is ours, and what its process was."""
        if key.startswith("host.") and event is not None:
            self.policies.learn_host(key.removeprefix("host."), event.policies)
        self.drift.on_fetched(key, event, now_s)
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
        row.remember(event, position, self.epoch)
        if event.type is EventType.PLACED and event.left is not None:
            self._moves.pause(row, now_s)
        self.drift.remember(key, event)
        for message in early_of(early, row.life):
            if message.released > row.released:
                self._recovery.hear_release(row, message.released, now_s)
            if row.may_keep(message):
                row.put(message, self.limits.window)
        self._advance(row, now_s)

    def _fetch(self, row: Row, at_least: int) -> None:
        row.token = at_least
        self.effects.append(Fetch(row.key, at_least))

    def on_answer(self, key: str, token: int, answer: Answer, now_s: float) -> None:
        """The device answered a request."""
        self._alarms.heard(token)
        row = self.rows.get(key)
        if row is None or answer.definition != row.definition:  # else it was read before
            answer.definition = readable_definition(key.partition(".")[0], answer.definition)
        if token in self.drift.asked:
            row = self.drift.on_observed(key, token, answer, now_s)
            if row is not None:
                self._advance(row, now_s)
            return
        if row is None or row.token != token:
            return
        if answer.status is Status.FENCED:
            self.give_up(
                f"the device refused life {row.life} of {self.zone}.{key}: it accepted {answer.high} of {answer.owner}",
                fenced=True,
            )
        elif row.phase is Phase.SYNCHRONIZING:
            self._on_synchronized(row, answer, now_s)
        elif row.phase is Phase.EMPTYING:
            self._moves.on_emptied(row, answer, now_s)
            self._advance(row, now_s)
        elif row.phase is Phase.CALLED:
            self._on_called(row, answer, now_s)

    def on_place(self, key: str, token: int, said: PlaceSaid | None, now_s: float) -> None:
        """The zone's owner said where something could go; None: it could not be asked."""
        row = self.rows.get(key)
        if row is not None and row.phase is Phase.ASKING and row.token == token:
            self._moves.on_place(row, said, now_s)
            self._advance(row, now_s)

    def on_appended(self, token: int, position: int, now_s: float) -> None:
        """An append is in the log; `position` is that of its last event."""
        key, then = self._log.stored(token, position)
        row = self.rows.get(key)
        if row is None or row.phase is not Phase.COMMITTING or row.token != token:
            return
        if then in ("answered", "isolated"):
            self._on_answered(row, Phase.READY if then == "answered" else Phase.INITIALIZED, now_s)
        elif then == "gone":
            self._on_gone(row, now_s)
        elif then in ("leaving", "drifted", "made"):
            row.phase = Phase.READY
            self._advance(row, now_s)
        elif then == "crashed":
            self._recovery.on_crashed(row, position, now_s)
            self._advance(row, now_s)
        else:
            row.phase = Phase.QUARANTINED if then == "quarantined" else Phase.INITIALIZED
            released = max((message.released for message in row.queue), default=0)
            if released > row.released:
                self._recovery.hear_release(row, released, now_s)
            self._advance(row, now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed: back-offs end, calls without an answer crash their process, idle rows are forgotten."""
        held_up = self._recovery.tick(now_s)
        for key in self._alarms.rows_due(now_s):
            row = self.rows.get(key)
            if row is not None:
                self._advance(row, now_s)
        for key in self._recovery.called(now_s):
            row = self.rows.get(key)
            if row is not None:
                self._advance(row, now_s)
            if row is None or row.phase is not Phase.SYNCHRONIZING:
                self._recovery.line.ended(key)  # there is nothing left for it to do
        if not held_up:  # else the answers wait to be read: they come first
            for key, token in self._alarms.silent(now_s):
                self.drift.on_silence(token)
                row = self.rows.get(key)
                if row is not None and row.token == token:
                    self._on_silence(row, now_s)
        self._idle.sweep(self.rows, now_s)

    def stop_taking(self) -> None:
        """Take no further unit: what is in hand ends, then `drained` is true (planned hand-off)."""
        self.stopping = True

    @property
    def drained(self) -> bool:
        """Whether no device call and no append is on its way."""
        return all(row.phase not in (Phase.EMPTYING, Phase.CALLED, Phase.COMMITTING) for row in self.rows.values())

    @property
    def in_use(self) -> int:
        """How many processes are in use, at work or at rest."""
        return len(self.rows) + len(self._idle)

    def give_up(self, reason: str, *, fenced: bool) -> None:
        """Stop with nothing owned: replaced, or in doubt."""
        self.rows.clear()
        self._idle.clear()
        self.effects.append(GiveUp(reason, fenced))

    def describe(self, key: str, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for `explain`; phase `absent`: the resource is not in use here."""
        row = self.rows.get(key) or self._idle.look(key)
        said: dict[str, object] = row.describe(now_s) if row is not None else {"phase": "absent"}
        told: dict[str, object] = {"epoch": self.epoch, "stopping": self.stopping}
        return told | self._recovery.describe(row, now_s) | said

    @property
    def escalation(self) -> Escalation | None:
        """What this owner asks of its parent, if nothing helps; it goes on meanwhile."""
        return self._recovery.suspicion.escalation

    # --- one unit ------------------------------------------------------------------------------------------------

    def _advance(self, row: Row, now_s: float) -> None:
        if row.phase not in (Phase.INITIALIZED, Phase.READY):
            return
        if row.hand is None and (
            self.stopping
            or not (row.take_next(now_s) or (row.phase is Phase.INITIALIZED and row.key in self.drift.suspects))
        ):
            return
        if now_s < row.not_before_s:
            self._alarms.wake(row.key, row.not_before_s)
        elif self.isolated:
            self._moves.abandon(row, now_s)
        elif self._leaves(row, now_s):
            pass
        elif row.phase is Phase.INITIALIZED:
            if not self._recovery.may_begin(row, now_s):
                return
            self._alarms.request(row, Phase.SYNCHRONIZING, now_s)
            self.effects.append(
                Synchronize(row.key, row.token, row.life, row.host, row.definition if row.make else None, absent=False)
            )
        else:
            self._decide(row, now_s)

    def _leaves(self, row: Row, now_s: float) -> bool:
        """Whether it goes elsewhere, since its device does not begin with it; then the next step of that is done."""
        if row.phase is Phase.READY:
            return False
        if row.untouched and row.retries:
            return self._moves.flee(row, now_s)
        return row.refusals > 0 and self._refusals.go_elsewhere(row, now_s)

    def _on_silence(self, row: Row, now_s: float) -> None:
        """No answer in time. To synchronize again is always safe; after a call only the next life can tell."""
        silence = f"the device did not answer within {self.limits.call_timeout_s:g} s"
        if row.phase is Phase.CALLED:
            self._recovery.crash(row, Verdict.MAYBE_STARTED, silence, now_s, Failure.SILENT)
        elif row.phase in (Phase.ASKING, Phase.EMPTYING):
            self._moves.on_silence(row, now_s)
            self._advance(row, now_s)
        elif row.phase is Phase.SYNCHRONIZING:
            self.effects.append(Abandon(row.token))
            row.phase = Phase.INITIALIZED
            self.drift.suspects.discard(row.key)
            row.reason = silence
            row.retries += 1
            self._recovery.failed(row, Failure.SILENT, now_s)
            if row.hand is not None and calls_unheard(row.hand, now_s):
                self._call(row, row.hand, now_s)
            else:
                self._advance(row, now_s)

    def _decide(self, row: Row, now_s: float) -> None:
        unit = row.hand
        assert unit is not None, "something is in hand"
        match decide_step(row, unit, now_s=now_s):
            case Conclude(outcome, reason):
                if outcome is Outcome.COMPLETED:
                    self.policies.obey(row, unit)
                self._log.answer(row, outcome, reason, now_s)
            case HandOff(reason):
                self._log.hand_off(row, now_s, reason)
            case FindPlace(host):
                self._moves.ask(row, host, now_s)
            case Leave(reason):
                self._moves.leave(row, reason, now_s)
            case Empty():
                self._moves.empty(row, now_s)
            case BreakDown(verdict, reason):
                self._recovery.crash(row, verdict, reason, now_s)
            case Act():
                self._call(row, unit, now_s)

    def _call(self, row: Row, unit: Message, now_s: float) -> None:
        self._alarms.request(row, Phase.CALLED, now_s)
        row.untouched = False
        row.called_s = now_s
        self.effects.append(Call(row.key, row.token, row.life, row.host, unit))

    def _on_unreachable(self, row: Row, unit: Message, answer: Answer, now_s: float) -> bool:
        """What is in hand need not wait until its host is back: it is let go, or the host is isolated. False: it must.

        A device that keeps the record elsewhere has let the life rise, and told what it remembers.
        """
        known = answer if knows_record(answer, row.life) else None
        if not row.key.startswith("host."):
            if answer.isolated:
                self.drift.on_isolated(row, now_s)
                self._moves.let_go(row, answer.reason or "its host is isolated", known, now_s)
            return answer.isolated
        if unit.operation != "isolate" or (known is None and not calls_unheard(unit, now_s)):
            return False
        self._recovery.line.ended(row.key)
        if known is not None:
            learn_record(row, answer)
            learn_verdict(row, unit, answer, self.epoch)
            self._decide(row, now_s)
        else:
            self._call(row, unit, now_s)
        return True

    def _on_synchronized(self, row: Row, answer: Answer, now_s: float) -> None:
        unreachable = answer.status is Status.UNREACHABLE
        if unreachable and row.hand is not None and self._on_unreachable(row, row.hand, answer, now_s):
            return
        if answer.status is not Status.OK:
            self._try_again(row, answer, now_s)
            return
        row.phase = Phase.READY
        self._recovery.accepted(row, now_s)
        row.retries = row.refusals = 0
        row.reason = None
        found = self.drift.learn(row, answer, now_s)
        made, row.make = row.make, False
        if row.hand is not None:
            learn_verdict(row, row.hand, answer, self.epoch)
        if made:
            row.ready_said = True
            self._log.made(row, now_s)
            return
        if not row.ready_said:
            row.ready_said = True
            self._log.ready(row, now_s)
        self.drift.settle(row, found, now_s)
        self._advance(row, now_s)

    def _try_again(self, row: Row, answer: Answer, now_s: float) -> None:
        """The device could not: ask again, more and more rarely; a mere look waits for its next round."""
        self.drift.turned_away(row, answer, now_s)
        row.phase = Phase.INITIALIZED
        row.reason = answer.reason or answer.status.value
        row.not_before_s = now_s + doubled(self.limits.busy_retry_min_s, self.limits.busy_retry_max_s, row.retries)
        row.retries += 1
        self._recovery.line.ended(row.key)
        if answer.status is Status.UNREACHABLE:
            self._recovery.failed(row, Failure.UNREACHABLE, now_s)
        elif answer.status is Status.FAILED and row.make:
            self._refusals.on_refused(row, answer, now_s)
        self._advance(row, now_s)

    def _on_called(self, row: Row, answer: Answer, now_s: float) -> None:
        if answer.status in (Status.APPLIED, Status.REFUSED):
            unit = row.hand
            assert unit is not None, "it was called"
            if unit.operation == "isolate":  # its host may not have been reached
                learn_record(row, answer)
            else:
                self.drift.on_called(row, answer)
                self._recovery.suspicion.on_helped(now_s)
            outcome, reason = outcome_of(unit, answer)
            if outcome is Outcome.COMPLETED:
                self.policies.obey(row, unit)
            self._log.answer(row, outcome, reason, now_s)
            return
        nothing_done = answer.status in (Status.UNREACHABLE, Status.INVALID)
        verdict = Verdict.NOT_STARTED if nothing_done else Verdict.MAYBE_STARTED
        self._recovery.crash(row, verdict, f"{answer.status}: {answer.reason or 'no reason given'}", now_s)

    # --- what was appended ---------------------------------------------------------------------------------------

    def _on_answered(self, row: Row, phase: Phase, now_s: float) -> None:
        assert row.hand is not None, "its outcome was just committed"
        row.answered = row.hand.ticket
        row.hand = None
        row.verdict = None
        row.attempts = 0
        row.tried = ()
        row.phase = phase
        if row.early:
            row.early = []
        row.drop_answered()
        self._advance(row, now_s)

    def _on_gone(self, row: Row, now_s: float) -> None:
        """The address has left: what is queued here is dropped, and sent again elsewhere."""
        del self.rows[row.key]
        self._recovery.line.ended(row.key)  # it restarts elsewhere, if at all
        for message in row.early:
            self.on_message(row.key, message, now_s)
