"""Branches whose owners could not help their children: who is claimed anew, when, and when that helps no more. Pure.

A supervisor's own restart intensity, in OTP's sense: claims that follow one another without the branch having been well
between them are counted as restarts of the branch, by its policy, with its back-off; one more than allowed, and the
branch is quarantined. What is only out of reach is never quarantined: it is offered to another instance, if there is
one, and waits otherwise (ADR 10).
"""

from dataclasses import dataclass

from treeward.schemas.presence import Holding
from treeward.supervision.limits import Limits
from treeward.supervision.policies import RestartPolicy, restart_policy
from treeward.supervision.restart import Escalate, decide_restart, jitter_of

WELL_PERIODS = 2.0
"""A branch that went so many periods after its claim without asking for help was well in between."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What the owner of a branch says in one epoch, and what is done about it."""

    epoch: int
    reason: str
    out_of_reach: bool
    not_before_s: float
    hopeless: bool


class Escalations:
    """The troubles of one supervisor's branches."""

    def __init__(self, limits: Limits) -> None:
        self.policies: dict[str, RestartPolicy] = {}
        """Of the branches that say something; the settings hold for the others."""
        self.quarantined: set[str] = set()
        self._default = restart_policy(limits, "pod", ())
        self._troubles: dict[str, Trouble] = {}
        self._in_a_row: dict[str, int] = {}
        self._asked_s: dict[str, float] = {}
        """When a branch last began to ask."""

    def hear(self, held: Holding, claimed_s: float, now_s: float) -> None:
        """The owner of a branch, claimed at `claimed_s`, says how it fares; in each epoch the first trouble counts."""
        known = self._troubles.get(held.branch)
        if held.escalated is None:
            self._troubles.pop(held.branch, None)
        elif known is None or known.epoch != held.epoch:
            policy = self._policy(held.branch)
            well = now_s - claimed_s > WELL_PERIODS * policy.period_s
            count = 0 if well else self._in_a_row.get(held.branch, 0)
            self._in_a_row[held.branch] = count + 1
            self._asked_s[held.branch] = now_s
            jitter = jitter_of(held.branch, held.epoch)
            decision = decide_restart(policy, restarted_at_s=[now_s] * count, now_s=now_s, jitter=jitter)
            delay_s = policy.backoff_s_max if isinstance(decision, Escalate) else decision.delay_s
            hopeless = isinstance(decision, Escalate) and not held.out_of_reach
            self._troubles[held.branch] = Trouble(
                held.epoch, held.escalated, held.out_of_reach, now_s + delay_s, hopeless
            )

    def of(self, branch: str, now_s: float) -> Trouble | None:
        """The trouble of a branch for which it should be claimed anew by now."""
        trouble = self._troubles.get(branch)
        return trouble if trouble is not None and not trouble.hopeless and now_s >= trouble.not_before_s else None

    def said_by(self, branch: str) -> Trouble | None:
        """What its owner says, whether or not its time has come."""
        return self._troubles.get(branch)

    def troubled(self, now_s: float) -> int:
        """How many branches need help: they say so, or were claimed anew for it and have not been well since.

        Two that failed in the same moment do not ask in the same moment again: whoever was just claimed for has to fail
        for a while before it does. Those in quarantine are left out.
        """
        return sum(
            branch in self._troubles or now_s - asked_s <= WELL_PERIODS * self._policy(branch).period_s
            for branch, asked_s in self._asked_s.items()
            if branch not in self.quarantined
        )

    def _policy(self, branch: str) -> RestartPolicy:
        return self.policies.get(branch, self._default)

    def hopeless(self) -> list[tuple[str, str]]:
        """`(branch, why)` of those for which no further claim would help."""
        return [
            (branch, f"claimed {self._in_a_row[branch]} times, and nothing helped: {trouble.reason}")
            for branch, trouble in self._troubles.items()
            if trouble.hopeless and branch not in self.quarantined
        ]

    def on_quarantined(self, branch: str, quarantined: bool) -> None:
        """The branch was put into quarantine, or let out: then it begins with a clean record."""
        if quarantined:
            self.quarantined.add(branch)
        elif branch in self.quarantined:
            self.quarantined.discard(branch)
            for known in (self._in_a_row, self._asked_s, self._troubles):
                known.pop(branch, None)

    def forget(self, branch: str) -> None:
        """The branch does not exist any more."""
        self.on_quarantined(branch, False)
        for known in (self._troubles, self._in_a_row, self._asked_s, self.policies):
            known.pop(branch, None)
