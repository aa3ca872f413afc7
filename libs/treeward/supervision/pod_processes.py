"""What a pod's owner does with one process: the next step of the unit in its hand, and what its device answers.

Fence first, answer second: nothing is called, and nothing is answered otherwise than by the device's memory, in a life
that the device has not accepted. The owner (`pod_owner`) feeds this with what has happened; what is to be done gathers
in the log's effects.
"""

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Outcome, Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision.alarms import Alarms
from treeward.supervision.device_memory import learn_fence, learn_record, learn_verdict
from treeward.supervision.effects import Abandon, Call, Synchronize
from treeward.supervision.isolation import NEVER_CALLED, calls_unheard, knows_record, outcome_of
from treeward.supervision.limits import Limits
from treeward.supervision.pod_drift import PodDrift
from treeward.supervision.pod_log import PodLog
from treeward.supervision.pod_moves import PodMoves
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.pod_recovery import PodRecovery
from treeward.supervision.pod_refusals import PodRefusals
from treeward.supervision.process_step import Act, BreakDown, Conclude, Empty, FindPlace, HandOff, Leave, decide_step
from treeward.supervision.restart import doubled
from treeward.supervision.row import Phase, Row
from treeward.supervision.self_suspicion import Failure

NEVER_AHEAD = NEVER_CALLED | {"isolate", "restore"}
"""What is not called before all that was said is stored: a fence, and what depends on the ticket answered last."""


class PodProcesses:
    """The processes of one pod in one epoch, one at a time."""

    def __init__(
        self,
        epoch: int,
        limits: Limits,
        log: PodLog,
        alarms: Alarms,
        policies: PodPolicies,
        recovery: PodRecovery,
        moves: PodMoves,
        refusals: PodRefusals,
        drift: PodDrift,
        *,
        isolated: bool,
        ahead: int,
    ) -> None:
        self.isolated = isolated
        """A person has said that nothing of the pod's device acts any more: what is there is let go without it."""
        self.stopping = False
        self._epoch = epoch
        self._limits = limits
        self._ahead_max = min(limits.ahead_max, ahead)
        self._log = log
        self._alarms = alarms
        self._policies = policies
        self._recovery = recovery
        self._moves = moves
        self._refusals = refusals
        self._drift = drift

    def advance(self, row: Row, now_s: float) -> None:
        """Do the next step of a process, if it is its time."""
        if row.phase is Phase.COMMITTING:
            self._go_ahead(row, now_s)
            return
        if row.phase not in (Phase.INITIALIZED, Phase.READY):
            return
        if row.hand is None and (
            self.stopping
            or not (self._take(row, now_s) or (row.phase is Phase.INITIALIZED and row.key in self._drift.suspects))
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
            self._log.effects.append(
                Synchronize(row.key, row.token, row.life, row.host, row.definition if row.make else None, absent=False)
            )
        else:
            self._decide(row, now_s)

    def _take(self, row: Row, now_s: float) -> bool:
        """Take the next unit if it is its turn; the device may have told of it when it accepted this life."""
        if not row.take_next(now_s):
            return False
        if row.hand is not None and row.phase is Phase.READY:
            learn_verdict(row, row.hand, self._epoch, first=False)
        return True

    def _go_ahead(self, row: Row, now_s: float) -> None:
        """Call the next unit although the outcome of the one before it is on its way (PROTOCOL S13).

        The device remembers all that was answered and is not stored, the unit called included, so whoever comes next
        is told of each. What is answered without a call, or gives the address back, waits until all of it is stored.
        """
        if self.stopping or not row.queue or row.hand is None or not self._log.may_go_ahead(row):
            return
        unit, before = row.queue[0], row.hand
        not_stored = row.ahead + 1
        if not_stored + 1 > min(row.remembers, self._ahead_max):
            return
        if not unit.previous <= before.ticket < unit.ticket or unit.operation in NEVER_AHEAD:
            return
        if row.key in self._log.drifts or not isinstance(decide_step(row, unit, now_s=now_s), Act):
            return
        self._log.go_ahead(row)
        taken = row.take_next(now_s)
        assert taken, "it was its turn"
        self._call(row, unit, now_s)

    def _leaves(self, row: Row, now_s: float) -> bool:
        """Whether it goes elsewhere, since its device does not begin with it; then the next step of that is done."""
        if row.phase is Phase.READY:
            return False
        if row.untouched and row.retries:
            return self._moves.flee(row, now_s)
        return row.refusals > 0 and self._refusals.go_elsewhere(row, now_s)

    def on_silence(self, row: Row, now_s: float) -> None:
        """No answer in time. To synchronize again is always safe; after a call only the next life can tell."""
        silence = f"the device did not answer within {self._limits.call_timeout_s:g} s"
        if row.phase is Phase.CALLED:
            self._recovery.crash(row, Verdict.MAYBE_STARTED, silence, now_s, Failure.SILENT)
        elif row.phase in (Phase.ASKING, Phase.EMPTYING):
            self._moves.on_silence(row, now_s)
            self.advance(row, now_s)
        elif row.phase is Phase.SYNCHRONIZING:
            self._log.effects.append(Abandon(row.token))
            row.phase = Phase.INITIALIZED
            self._drift.suspects.discard(row.key)
            row.reason = silence
            row.retries += 1
            self._recovery.failed(row, Failure.SILENT, now_s)
            if row.hand is not None and calls_unheard(row.hand, now_s):
                self._call(row, row.hand, now_s)
            else:
                self.advance(row, now_s)

    def _decide(self, row: Row, now_s: float) -> None:
        unit = row.hand
        assert unit is not None, "something is in hand"
        match decide_step(row, unit, now_s=now_s):
            case Conclude(outcome, reason):
                if outcome is Outcome.COMPLETED:
                    self._policies.obey(row, unit)
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
        self._log.effects.append(Call(row.key, row.token, row.life, row.host, unit))

    def _on_unreachable(self, row: Row, unit: Message, answer: Answer, now_s: float) -> bool:
        """What is in hand need not wait until its host is back: it is let go, or the host is isolated. False: it must.

        A device that keeps the record elsewhere has let the life rise, and told what it remembers.
        """
        known = answer if knows_record(answer, row.life) else None
        if not row.key.startswith("host."):
            if answer.isolated:
                self._drift.on_isolated(row, now_s)
                self._moves.let_go(row, answer.reason or "its host is isolated", known, now_s)
            return answer.isolated
        if unit.operation != "isolate" or (known is None and not calls_unheard(unit, now_s)):
            return False
        self._recovery.line.ended(row.key)
        if known is not None:
            learn_record(row, answer)
            learn_verdict(row, unit, self._epoch, first=True)
            learn_fence(row, unit, answer)
            self._decide(row, now_s)
        else:
            self._call(row, unit, now_s)
        return True

    def on_synchronized(self, row: Row, answer: Answer, now_s: float) -> None:
        """The device has accepted the life, or says why it does not."""
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
        found = self._drift.learn(row, answer, now_s)
        made, row.make = row.make, False
        if row.hand is not None:
            learn_verdict(row, row.hand, self._epoch, first=True)
            learn_fence(row, row.hand, answer)
        if made:
            row.ready_said = True
            self._log.made(row, now_s)
            return
        if not row.ready_said:
            row.ready_said = True
            self._log.ready(row, now_s)
        self._drift.settle(row, found, now_s)
        self.advance(row, now_s)

    def _try_again(self, row: Row, answer: Answer, now_s: float) -> None:
        """The device could not: ask again, more and more rarely; a mere look waits for its next round."""
        self._drift.turned_away(row, answer, now_s)
        row.phase = Phase.INITIALIZED
        row.reason = answer.reason or answer.status.value
        row.not_before_s = now_s + doubled(self._limits.busy_retry_min_s, self._limits.busy_retry_max_s, row.retries)
        row.retries += 1
        self._recovery.line.ended(row.key)
        if answer.status is Status.UNREACHABLE:
            self._recovery.failed(row, Failure.UNREACHABLE, now_s)
        elif answer.status is Status.FAILED and row.make:
            self._refusals.on_refused(row, answer, now_s)
        self.advance(row, now_s)

    def on_called(self, row: Row, answer: Answer, now_s: float) -> None:
        """The device has answered the unit, or has not carried it out to its end."""
        if answer.status in (Status.APPLIED, Status.REFUSED):
            unit = row.hand
            assert unit is not None, "it was called"
            if unit.operation == "isolate":  # its host may not have been reached
                learn_record(row, answer)
            else:
                self._drift.on_called(row, answer)
                self._recovery.suspicion.on_helped(now_s)
            outcome, reason = outcome_of(unit, answer)
            if outcome is Outcome.COMPLETED:
                self._policies.obey(row, unit)
            self._log.answer(row, outcome, reason, now_s, called=True)
            self._go_ahead(row, now_s)
            return
        nothing_done = answer.status in (Status.UNREACHABLE, Status.INVALID)
        verdict = Verdict.NOT_STARTED if nothing_done else Verdict.MAYBE_STARTED
        self._recovery.crash(row, verdict, f"{answer.status}: {answer.reason or 'no reason given'}", now_s)
