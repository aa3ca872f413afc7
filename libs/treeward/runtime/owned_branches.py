"""What a supervisor shows of the branches below it: whether each has an owner that acts."""

from treeward.schemas.address import parse_branch
from treeward.supervision.children import Children
from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics

SHOW_S = 1.0


def is_owned(children: Children, branch: str, now_s: float) -> bool:
    """Whether the instance that was last claimed for is alive and says that it acts in that epoch.

    A pod that its zone supervisor has taken for want of an agent is not owned in this sense: its units wait.
    """
    known = children.branches[branch]
    instance = children.alive(now_s).get(known.owner or "")
    return instance is not None and instance.holds(branch, known.epoch)


class OwnedBranches:
    """One gauge for each branch, 1 or 0, renewed at most once a second; gone with the branch, or with `close`."""

    def __init__(self, metrics: Metrics, children: Children) -> None:
        self._metrics = metrics
        self._children = children
        self._shown: set[str] = set()
        self._shown_s = 0.0

    def show(self, now_s: float) -> None:
        """Bring the gauges up to date; call it as often as is convenient."""
        if now_s - self._shown_s < SHOW_S:
            return
        self._shown_s = now_s
        branches = set(self._children.branches)
        self._forget(self._shown - branches)
        self._shown = branches
        for branch in branches:
            owned = is_owned(self._children, branch, now_s)
            self._metrics.gauge(names.BRANCH_OWNED, *parse_branch(branch)).set(float(owned))

    def close(self) -> None:
        """Show none: another supervises them now."""
        self._forget(self._shown)
        self._shown = set()

    def _forget(self, branches: set[str]) -> None:
        for branch in branches:
            self._metrics.forget(names.BRANCH_OWNED, *parse_branch(branch))
