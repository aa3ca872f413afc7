"""What a pod's owner does about processes that end: who ends with them, who begins again and when, who is let out.

A single process that cannot be helped is quarantined, and its siblings go on. When most fail at once the owner suspects
itself: nobody is blamed, and all are tried again at the rate of the pod (ADR 10).
"""

from collections.abc import Iterator, Mapping

from treeward.schemas.events import Verdict
from treeward.supervision.effects import Fetch, Suspect
from treeward.supervision.limits import Limits
from treeward.supervision.pod_log import PodLog
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.restart import Escalate, decide_restart, jitter_of
from treeward.supervision.restart_line import RestartLine
from treeward.supervision.row import Phase, Row, early_of
from treeward.supervision.self_suspicion import Failure, SelfSuspicion

LIVING = (Phase.INITIALIZED, Phase.SYNCHRONIZING, Phase.READY, Phase.CALLED)


class PodRecovery:
    """The supervisor's half of a pod's owner."""

    def __init__(self, limits: Limits, rows: Mapping[str, Row], log: PodLog, policies: PodPolicies) -> None:
        self.policies = policies
        self.suspicion = SelfSuspicion(limits.failed_at_once_min)
        self.line = RestartLine(policies.budget())
        self._limits = limits
        self._rows = rows
        self._log = log

    def crash(self, row: Row, verdict: Verdict, reason: str, now_s: float, how: Failure = Failure.FAILED) -> None:
        """The process ends with its unit in hand; its mailbox is flushed, each unit with a verdict.

        With a host's process end those of everything in use on it: they are rebuilt below it.
        """
        self.failed(row, how, now_s)
        if row.host is not None and not self.policies.knows(row.host):  # read while the crash is on its way to the log
            self.policies.learn_host(row.host, None)
            self._log.effects.append(Fetch(f"host.{row.host}", self._log.stored_up_to))
        self._log.end_life(row, verdict, reason, now_s)
        kind, _, name = row.key.partition(".")
        if kind == "host":
            for child in list(self._rows.values()):
                if child.host == name and child is not row and child.hand is not None and child.phase in LIVING:
                    started = child.phase is Phase.CALLED
                    self.line.ended(child.key)
                    self._log.end_life(
                        child,
                        Verdict.MAYBE_STARTED if started else Verdict.NOT_STARTED,
                        f"the process of its host {name} crashed",
                        now_s,
                    )

    def on_crashed(self, row: Row, position: int, now_s: float) -> None:
        """The crash is in the log, and began a life: try again after a while, or not any more."""
        policy = self.policies.restart_of(row)
        row.crashed_at_s = tuple(at_s for at_s in row.crashed_at_s if now_s - at_s < policy.period_s)
        decision = decide_restart(
            policy, restarted_at_s=row.crashed_at_s, now_s=now_s, jitter=jitter_of(row.key, position)
        )
        if self.suspicion.since_s is None:
            row.crashed_at_s = (*row.crashed_at_s, now_s)
        early, row.early = row.early, []
        unit = row.hand
        row.become_living(position)
        row.restarting = True
        for message in early_of(early, position):
            if row.may_keep(message):
                row.put(message, self._limits.window)
        if isinstance(decision, Escalate) and self.suspicion.since_s is None:
            row.reason = f"crashed {decision.restarts + 1} times within {policy.period_s:g} s"
            self._log.quarantine(row, unit, now_s)
        else:
            row.not_before_s = now_s + (policy.backoff_s_max if isinstance(decision, Escalate) else decision.delay_s)

    def hear_release(self, row: Row, ticket: int, now_s: float) -> None:
        """A release was read somewhere: a process in quarantine obeys, any other only remembers that it did."""
        if self._log.is_quarantining(row):
            return  # it may answer the very quarantine whose receipt is still on its way: heard again when that is here
        row.released = ticket
        if row.phase is Phase.QUARANTINED:
            row.crashed_at_s = ()
            row.reason = None
            self._log.release(row, ticket, now_s)

    # --- the domain ----------------------------------------------------------------------------------------------

    def may_begin(self, row: Row, now_s: float) -> bool:
        """Whether a life may be brought before the device now: a first one at once, another in its turn."""
        if not (row.restarting or row.retries or row.refused_before):
            return True
        self.line.budget = self.policies.budget()
        again = row.retries > 0 or row.attempts > 1 or row.refused_before
        return self.line.may_begin(row.key, now_s, again=again, ahead=row.key.startswith("host."))

    def called(self, now_s: float) -> Iterator[str]:
        """The rows whose turn in line has come."""
        self.line.budget = self.policies.budget()
        return self.line.called(now_s)

    def failed(self, row: Row, how: Failure, now_s: float) -> None:
        """A process failed, or could not be brought before its device: is it one of many?"""
        self.line.ended(row.key)
        acquitted = self.suspicion.on_failed(row.key, how, now_s)
        if acquitted:
            for key in acquitted:
                other = self._rows.get(key)
                if other is not None:
                    other.crashed_at_s = ()
            self._log.effects.append(Suspect(len(acquitted), self.suspicion.cause, escalates=False))

    def accepted(self, row: Row, now_s: float) -> None:
        """The device has accepted a life."""
        row.restarting = False
        self.line.ended(row.key)
        self.suspicion.on_accepted(now_s)

    def tick(self, now_s: float) -> bool:
        """Time passes. True: we were held up ourselves, and nobody is to be called silent yet."""
        held_up = self.suspicion.on_tick(now_s)
        escalation = self.suspicion.decide(now_s, self.policies.budget().patience_s)
        if escalation is not None:
            self._log.effects.append(Suspect(self.suspicion.failed, escalation.reason, escalates=True))
        return held_up

    def describe(self, row: Row | None, now_s: float) -> dict[str, object]:
        """The budget, the line and what the owner thinks of itself, for `explain`."""
        suspicion = self.suspicion
        said: dict[str, object] = {
            "restarts_per_s": self.line.budget.restarts_per_s,
            "line_of": len(self.line),
            "suspects": suspicion.cause if suspicion.since_s is not None else None,
            "suspects_for_s": now_s - suspicion.since_s if suspicion.since_s is not None else None,
            "escalated": suspicion.escalation.reason if suspicion.escalation is not None else None,
        }
        if row is None:
            return said
        policy = self.policies.restart_of(row)
        return said | {
            "line_place": self.line.place_of(row.key),
            "restarts_max": policy.restarts_max,
            "restart_period_s": policy.period_s,
        }
