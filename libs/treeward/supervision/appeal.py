"""When a zone's owner asks root for help: most of its pods are in trouble, and its claims do not end that. Pure.

What pods have in common is whoever claims for them. So before a pod is quarantined among many, its supervisor suspects
itself and asks its parent, which claims the zone for another instance, if there is one. It asks once: whoever was
claimed for since the one before had asked goes through all of it again, and then quarantines (ADR 12).
"""

from collections.abc import Sequence

from treeward.supervision.self_suspicion import Escalation

PODS_MIN = 2
"""One pod alone is its own trouble: nothing is known of what it has in common with others."""


class Appeal:
    """What a zone's owner thinks of itself, from how its pods fare."""

    def __init__(self, *, asked_before: bool, patience_s: float) -> None:
        self.escalation: Escalation | None = None
        """What is asked of root, as long as it is."""
        self._asked_before = asked_before
        self._patience_s = patience_s
        self._since_s: float | None = None

    def decide(
        self, hopeless: Sequence[tuple[str, str]], *, troubled: int, pods: int, now_s: float
    ) -> Sequence[tuple[str, str]]:
        """Whom to quarantine now: all who are beyond help, but for the time in which root is asked first.

        `hopeless`: `(branch, why)` of those for whom no further claim would help; `troubled`: how many of the `pods`
        that are not in quarantine ask for help at present, these included.
        """
        if not hopeless or troubled < PODS_MIN or 2 * troubled <= pods or self._asked_before:
            self._since_s = self.escalation = None
            return hopeless
        if self._since_s is None:
            self._since_s = now_s
            branch, why = hopeless[0]
            reason = f"{troubled} of its {pods} pods need help that it cannot give; {branch}: {why}"
            self.escalation = Escalation(reason, out_of_reach=False)
        if now_s - self._since_s < self._patience_s:
            return ()
        self.escalation = None
        return hopeless

    def quarantine_in_s(self, now_s: float) -> float | None:
        """How long it waits for root's answer before it quarantines; None: it asks nothing."""
        if self.escalation is None or self._since_s is None:
            return None
        return max(0.0, self._since_s + self._patience_s - now_s)
