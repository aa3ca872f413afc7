"""The file of a guard: a record for each address, for longer than the object (DESIGN 3.2).

Every commit is forced to the disk: what was told, and what was begun, is there after a power failure. Everything that
was saved until the event loop comes round shares one commit.
"""

import asyncio
import json
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from treeward.device_guard.adapter import State
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address

_TABLES = """
CREATE TABLE IF NOT EXISTS records (
    zone TEXT NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL,
    high INTEGER NOT NULL,      -- highest life accepted
    owner TEXT,                 -- its owner
    last INTEGER NOT NULL,      -- last ticket answered; 0: none
    applied INTEGER NOT NULL,   -- 1: it was applied; 0: refused
    reason TEXT,                -- why it was refused
    begun INTEGER NOT NULL,     -- highest ticket whose call began; above last: ended halfway, or in progress
    called_in INTEGER NOT NULL, -- life of the last call
    host TEXT,                  -- where it was last called
    existed INTEGER NOT NULL,   -- 1: something existed when the call of `begun` first began
    exists_now INTEGER NOT NULL, definition TEXT, observed TEXT,  -- as last told by the adapter
    run TEXT,                   -- name of the run in progress, which may have an effect
    PRIMARY KEY (zone, kind, resource)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS isolations (zone TEXT NOT NULL, host TEXT NOT NULL, PRIMARY KEY (zone, host)) WITHOUT ROWID;
"""
_FENCE = "INSERT OR REPLACE INTO isolations VALUES (?, ?)"
_OPEN = "DELETE FROM isolations WHERE zone = ? AND host = ?"
_PUT = f"INSERT OR REPLACE INTO records VALUES ({', '.join('?' * 16)})"


@dataclass(slots=True)
class Kept:
    """What the guard keeps of one address."""

    address: Address
    record: DeviceRecord = field(default_factory=DeviceRecord)
    host: str | None = None
    existed: bool = False
    state: State = field(default_factory=State)
    run: str | None = None


class RecordFile:
    """The file, open in one process at a time; raises sqlite3.Error if it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_TABLES)
        self._dirty: dict[Address, Kept] = {}
        self._fences: dict[tuple[str, str], bool] = {}
        self._committed: asyncio.Future[None] | None = None

    def load(self) -> tuple[dict[Address, Kept], set[tuple[str, str]]]:
        """All records, and zone and host of what is isolated."""
        records = {}
        for row in self._connection.execute("SELECT * FROM records"):
            address = Address(*row[:3])
            high, owner, last, applied, reason, begun, called_in, host, existed, exists, definition, observed, run = (
                row[3:]
            )
            record = DeviceRecord(high, owner, last, bool(applied), reason, begun, called_in)
            state = State(bool(exists), _read(definition), _read(observed))
            records[address] = Kept(address, record, host, bool(existed), state, run)
        return records, set(self._connection.execute("SELECT zone, host FROM isolations"))

    async def save(self, kept: Kept) -> None:
        """Return when it is on the disk, as it is by then."""
        self._dirty[kept.address] = kept
        if self._committed is None:
            loop = asyncio.get_running_loop()
            self._committed = loop.create_future()
            loop.call_soon(self._commit, self._committed)
        await asyncio.shield(self._committed)

    def set_isolated(self, zone: str, host: str, isolated: bool) -> None:
        """A host is isolated, or is no more: on the disk together with what is saved next, its record."""
        self._fences[zone, host] = isolated

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.close()

    def _commit(self, committed: "asyncio.Future[None]") -> None:
        """An error goes to all who wait: it ends the program, and nothing uncommitted was told."""
        self._committed = None
        dirty, self._dirty = self._dirty, {}
        fences, self._fences = self._fences, {}
        try:
            self._connection.execute("BEGIN")
            self._connection.executemany(_PUT, [_row(kept) for kept in dirty.values()])
            self._connection.executemany(_FENCE, [name for name, isolated in fences.items() if isolated])
            self._connection.executemany(_OPEN, [name for name, isolated in fences.items() if not isolated])
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            committed.set_exception(error)
        else:
            committed.set_result(None)


def _row(kept: Kept) -> tuple[Any, ...]:
    r, state = kept.record, kept.state
    return (
        *kept.address, r.high, r.owner, r.last, r.applied, r.reason, r.begun, r.called_in, kept.host, kept.existed,
        state.exists, _write(state.definition), _write(state.observed), kept.run,
    )  # fmt: skip


def _write(value: dict[str, Any] | None) -> str | None:
    return None if value is None else json.dumps(value, separators=(",", ":"))


def _read(text: str | None) -> dict[str, Any] | None:
    return None if text is None else json.loads(text)
