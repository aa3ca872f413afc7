"""What a pod's owner does about processes that end: who ends with them, who begins again and when, who is let out."""

from collections.abc import Mapping

from treeward.schemas.events import Verdict
from treeward.supervision.limits import Limits
from treeward.supervision.pod_log import PodLog
from treeward.supervision.restart import Escalate, decide_restart, jitter_of
from treeward.supervision.row import Phase, Row, early_of

LIVING = (Phase.INITIALIZED, Phase.SYNCHRONIZING, Phase.READY, Phase.CALLED)


class PodRecovery:
    """The supervisor's half of a pod's owner."""

    def __init__(self, limits: Limits, rows: Mapping[str, Row], log: PodLog) -> None:
        self._limits = limits
        self._rows = rows
        self._log = log

    def crash(self, row: Row, verdict: Verdict, reason: str, now_s: float) -> None:
        """The process ends with its unit in hand; its mailbox is flushed, each unit with a verdict.

        With a host's process end those of everything in use on it: they are rebuilt below it.
        """
        self._log.end_life(row, verdict, reason, now_s)
        kind, _, name = row.key.partition(".")
        if kind == "host":
            for child in list(self._rows.values()):
                if child.host == name and child is not row and child.hand is not None and child.phase in LIVING:
                    started = child.phase is Phase.CALLED
                    self._log.end_life(
                        child,
                        Verdict.MAYBE_STARTED if started else Verdict.NOT_STARTED,
                        f"the process of its host {name} crashed",
                        now_s,
                    )

    def on_crashed(self, row: Row, position: int, now_s: float) -> None:
        """The crash is in the log, and began a life: try again after a while, or not any more."""
        row.crashed_at_s = tuple(at_s for at_s in row.crashed_at_s if now_s - at_s < self._limits.restart_period_s)
        decision = decide_restart(
            self._limits, restarted_at_s=row.crashed_at_s, now_s=now_s, jitter=jitter_of(row.key, position)
        )
        row.crashed_at_s = (*row.crashed_at_s, now_s)
        early, row.early = row.early, []
        unit = row.hand
        row.become_living(position)
        for message in early_of(early, position):
            if row.may_keep(message):
                row.put(message, self._limits.window)
        if isinstance(decision, Escalate):
            row.reason = f"crashed {decision.restarts + 1} times within {self._limits.restart_period_s:g} s"
            self._log.quarantine(row, unit, now_s)
        else:
            row.not_before_s = now_s + decision.delay_s

    def hear_release(self, row: Row, ticket: int, now_s: float) -> None:
        """A release was read somewhere: a process in quarantine obeys, any other only remembers that it did."""
        if self._log.is_quarantining(row):
            return  # it may answer the very quarantine whose receipt is still on its way: heard again when that is here
        row.released = ticket
        if row.phase is Phase.QUARANTINED:
            row.crashed_at_s = ()
            row.reason = None
            self._log.release(row, ticket, now_s)
