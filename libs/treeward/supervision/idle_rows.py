"""Rows that nobody uses: put to rest after a moment, forgotten after a while, a slice at a time.

A row at work is a large object with dictionaries of its own, and the bound on how many there are is the credit of the
pod. A row at rest is one piece of bytes: what it knows is packed, and unpacked by its next message. So a pod in which a
million resources were used just now costs a quarter of what it would, and the garbage collector has nothing to walk
through. Forgetting it costs nothing but a fetch and a synchronize: what the process was is in the log.
"""

import marshal
from collections.abc import Iterator
from operator import attrgetter
from struct import Struct

from treeward.supervision.limits import Limits
from treeward.supervision.row import Phase, Row
from treeward.supervision.waiting_units import WaitingUnits

ROWS_PER_TICK = 2_000
REST_S = 1.0
"""Unused for so long, a row is packed: one that is busy is never, and pays nothing."""

AT_WORK = frozenset(
    {
        "ahead",
        "begun",
        "called_s",
        "crashed_at_s",
        "early",
        "hand",
        "key",
        "move",
        "phase",
        "queue",
        "recent",
        "refusal",
        "refusals",
        "remembers",
        "taken_s",
        "token",
        "used_s",
        "verdict",
    }
)
"""What says nothing about a row at rest: it is idle, has not moved or crashed of late, and waits for nothing.

A row whose device has told of units to come does not rest; how many tickets its device remembers `_pack` keeps."""
KEPT = tuple(name for name in (*WaitingUnits.__slots__, *Row.__slots__) if name not in AT_WORK)
_kept_of = attrgetter(*KEPT)
_UNTIL = Struct("<d")


class IdleRows:
    """Who is at rest; and a broom that goes round, so that no tick has to look at all of a million rows."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._packed: dict[str, bytes] = {}
        self._sweep: Iterator[str] = iter(())
        self._sweep_packed: Iterator[str] = iter(())

    def __len__(self) -> int:
        return len(self._packed)

    def wake(self, key: str, rows: dict[str, Row]) -> Row | None:
        """Take a row out of its rest, as it was, and put it to those at work; None: it does not rest here."""
        packed = self._packed.pop(key, None)
        if packed is None:
            return None
        row = rows[key] = _unpack(key, packed)
        return row

    def look(self, key: str) -> Row | None:
        """What is known of a row at rest, without waking it."""
        packed = self._packed.get(key)
        return _unpack(key, packed) if packed is not None else None

    def clear(self) -> None:
        """Forget all."""
        self._packed.clear()

    def sweep(self, rows: dict[str, Row], now_s: float) -> None:
        """Look at the next slice: what is idle is put to rest, and what has rested long enough is dropped."""
        for _ in range(min(ROWS_PER_TICK, len(rows))):
            key = next(self._sweep, None)
            if key is None:
                self._sweep = iter(list(rows))
                break
            row = rows.get(key)
            if row is not None and now_s - row.used_s > REST_S and row.idle:
                self._put_to_rest(rows, row, now_s)
        for _ in range(min(ROWS_PER_TICK, len(self._packed))):
            key = next(self._sweep_packed, None)
            if key is None:
                self._sweep_packed = iter(list(self._packed))
                break
            packed = self._packed.get(key)
            if packed is not None and now_s > _UNTIL.unpack_from(packed, len(packed) - _UNTIL.size)[0]:
                del self._packed[key]

    def _put_to_rest(self, rows: dict[str, Row], row: Row, now_s: float) -> None:
        told = row.recent or row.begun  # of units that are still to come
        if not row.crashed_at_s and row.move is None and row.verdict is None and not row.early and not told:
            del rows[row.key]
            self._packed[row.key] = _pack(row, row.used_s + self._limits.idle_row_s)
        elif (
            now_s - row.used_s > self._limits.idle_row_s
            and now_s - max(row.crashed_at_s, default=0.0) > self._limits.restart_period_s
        ):
            del rows[row.key]  # its crashes count no more


def _pack(row: Row, until_s: float) -> bytes:
    """Everything a row at rest knows. `marshal` is for values that never leave this process, and knows no others."""
    accepted = row.phase is Phase.READY  # only then is it known what its device remembers
    return marshal.dumps((row.remembers if accepted else 0, *_kept_of(row))) + _UNTIL.pack(until_s)


def _unpack(key: str, packed: bytes) -> Row:
    remembers, *values = marshal.loads(packed)  # our own bytes; what comes behind them is not looked at
    row = Row(key, 0)
    for name, value in zip(KEPT, values, strict=True):
        setattr(row, name, value)
    row.remembers = remembers or row.remembers
    row.phase = Phase.READY if remembers else Phase.INITIALIZED
    return row
