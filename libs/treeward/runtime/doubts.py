"""How many units of a pod are in doubt, and for how long: counted when somebody scrapes, never while units pass.

One of a resource is counted: calls go one after the other, and only until its device has spoken to a new owner may more
of them be in doubt (those that were called ahead). What was answered before the first names it well enough.
"""

from collections.abc import Callable, Mapping

from treeward.schemas.events import Verdict
from treeward.schemas.units import STEERING
from treeward.supervision.row import Phase, Row
from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics

_KNOWN = frozenset({Phase.FETCHING, Phase.READY, Phase.COMMITTING})
"""Where a process has asked its device nothing yet, or has its word for everything that it asked."""


def is_in_doubt(row: Row, epoch: int) -> bool:
    """Whether a unit of this process may have begun at its device, without a word from that so far.

    It is called now; or a life ended with it in hand and the next has not been accepted; or it is the first that a new
    owner took before its device has answered: whether the owner before it called it, nobody here can know.
    """
    if row.phase is Phase.CALLED:
        return True
    if row.phase in _KNOWN:
        return False
    unit = row.hand
    if unit is None:
        return row.verdict is Verdict.MAYBE_STARTED
    return unit.operation not in STEERING and (unit.attempts > 0 or row.life == epoch)


class Doubts:
    """The units in doubt of one pod's owner, with the time since when each is seen to be."""

    def __init__(self, rows: Mapping[str, Row], epoch: int, now_s: Callable[[], float]) -> None:
        self._rows = rows
        self._epoch = epoch
        self._now_s = now_s
        self._since: dict[str, tuple[int, float]] = {}
        """Resource > what was answered of it before the unit in doubt, and since when that is in doubt."""

    def show(self, metrics: Metrics, zone: str, pod: str) -> None:
        """Follow these doubts in the metrics of this program, until `hide`."""
        metrics.gauge(names.UNITS_IN_DOUBT, zone, pod).follow(self.count)
        metrics.gauge(names.OLDEST_IN_DOUBT, zone, pod).follow(self.oldest_s)

    @staticmethod
    def hide(metrics: Metrics, zone: str, pod: str) -> None:
        """The pod is owned elsewhere now."""
        metrics.forget(names.UNITS_IN_DOUBT, zone, pod)
        metrics.forget(names.OLDEST_IN_DOUBT, zone, pod)

    def count(self) -> int:
        """Units in doubt now."""
        now_s = self._now_s()
        since: dict[str, tuple[int, float]] = {}
        for key, row in self._rows.items():
            if is_in_doubt(row, self._epoch):
                before = self._since.get(key)
                same = before is not None and before[0] == row.answered
                since[key] = before if before is not None and same else (row.answered, _began_s(row, now_s))
        self._since = since
        return len(since)

    def oldest_s(self) -> float:
        """Seconds that the oldest of them has been in doubt; 0 if there is none."""
        self.count()
        now_s = self._now_s()
        return max((max(0.0, now_s - began_s) for _, began_s in self._since.values()), default=0.0)


def _began_s(row: Row, now_s: float) -> float:
    if row.phase is Phase.CALLED:
        return row.called_s
    return row.taken_s if row.hand is not None else now_s
