"""Forgetting rows that nobody used for a while, a slice at a time: what they were is in the log."""

from collections.abc import Iterator

from treeward.supervision.limits import Limits
from treeward.supervision.row import Row

ROWS_PER_TICK = 2_000


class IdleRows:
    """A broom that goes round, so that no tick has to look at all of a million rows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sweep: Iterator[str] = iter(())

    def forget(self, rows: dict[str, Row], now_s: float) -> None:
        """Drop what is idle of the next slice; crashes that still count keep a row."""
        for _ in range(min(ROWS_PER_TICK, len(rows))):
            key = next(self._sweep, None)
            if key is None:
                self._sweep = iter(list(rows))
                return
            row = rows.get(key)
            if (
                row is not None
                and row.idle
                and now_s - row.used_s > self._limits.idle_row_s
                and now_s - max(row.crashed_at_s, default=0.0) > self._limits.restart_period_s
            ):
                del rows[key]
