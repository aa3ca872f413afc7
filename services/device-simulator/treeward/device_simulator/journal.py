"""The books in SQLite: written one transaction for each batch of requests, read once at the start.

The write-ahead log is not forced to the disk at every commit: what was answered survives the death of the process,
as it must, and not that of the machine. `full` forces it.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import TypeAdapter

from treeward.device_simulator.sizes import size_of
from treeward.device_simulator.world import Residue, Resource, World
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import Remembered

_RESTORED = "zone, kind, resource, host, definition, attached_to, residue_ticket, residue_operation"


def _restore_order(row: tuple[Any, ...]) -> int:
    """Hosts before what they carry, VMs before what they have."""
    return ("host", "vm", "volume", "network").index(row[1])


@dataclass(slots=True)
class Entry:
    """One row of the table `calls`; the columns are told in books.sql."""

    id: int
    zone: str
    kind: str
    resource: str
    operation: str
    ticket: int | None
    life: int | None
    owner: str | None
    started_at: float
    ended_at: float | None = None
    effect: int = 0
    outcome: str = "in_progress"
    reason: str | None = None
    residue: int = 0
    effect_number: int | None = None
    host: str | None = None
    from_host: str | None = None
    cpus_milli: int = 0
    memory_mib: int = 0
    gpus_milli: int = 0
    disk_gib: int = 0
    fault: str | None = None
    trace: str | None = None

    def row(self) -> tuple[Any, ...]:
        """The values in the order of the columns."""
        return (
            self.id, self.zone, self.kind, self.resource, self.operation, self.ticket, self.life, self.owner,
            self.started_at, self.ended_at, self.effect, self.outcome, self.reason, self.residue, self.effect_number,
            self.host, self.from_host, self.cpus_milli, self.memory_mib, self.gpus_milli, self.disk_gib, self.fault,
            self.trace,
        )  # fmt: skip


_COLUMNS = ", ".join(field.name for field in fields(Entry))
_PUT_CALL = f"INSERT OR REPLACE INTO calls ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(Entry)))})"
_PUT_RECORD = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_MEMORY = "INSERT OR REPLACE INTO memories VALUES (?, ?, ?, ?, ?)"
_PUT_RESOURCE = "INSERT OR REPLACE INTO resources VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_RECENT: TypeAdapter[tuple[Remembered, ...]] = TypeAdapter(tuple[Remembered, ...])


class Journal:
    """The file; opened by one process at a time, and read by anybody."""

    def __init__(self, path: Path, *, full: bool = False) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.0, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        self._connection.execute("PRAGMA wal_autocheckpoint = 4000")
        self._connection.executescript(files("treeward.device_simulator").joinpath("books.sql").read_text())
        self._isolated: set[tuple[str, str]] = set()

    def load(self, *, now_s: float, remembers: int) -> tuple[World, dict[Address, DeviceRecord]]:
        """Read back what an earlier process has left; calls that were in progress then are ended as `broken_off`.

        A record remembers `remembers` tickets from now on, but never fewer than before: its owner was told so.
        """
        execute = self._connection.execute
        execute("UPDATE calls SET outcome = 'broken_off', ended_at = ? WHERE ended_at IS NULL", (now_s,))
        world = World()
        rows = execute(f"SELECT {_RESTORED} FROM resources").fetchall()
        for zone, kind, id_, host, definition, attached_to, ticket, operation in sorted(rows, key=_restore_order):
            residue = None if operation is None else Residue(ticket, operation)
            attached = set(json.loads(attached_to))
            world.restore(Resource(Address(zone, kind, id_), host, json.loads(definition), residue, attached))
        world.touched.clear()
        world.isolated = set(execute("SELECT zone, host FROM isolations").fetchall())
        self._isolated = set(world.isolated)
        records = {
            Address(zone, kind, id_): DeviceRecord(
                high, owner, last, bool(applied), reason, begun, called_in, remembers=remembers
            )
            for zone, kind, id_, high, owner, last, applied, reason, begun, called_in in execute(
                "SELECT * FROM records"
            )
        }
        for zone, kind, id_, before, recent in execute("SELECT * FROM memories"):
            record = records[Address(zone, kind, id_)]
            record.remembers = max(before, remembers)
            record.recent = _RECENT.validate_json(recent)
        return world, records

    def numbers(self) -> tuple[int, int]:
        """The highest `id` and `effect_number` so far."""
        call, effect = self._connection.execute(
            "SELECT coalesce(max(id), 0), coalesce(max(effect_number), 0) FROM calls"
        ).fetchone()
        return call, effect

    def commit(
        self, entries: Iterable[Entry], records: dict[Address, DeviceRecord], world: World, *, now_s: float
    ) -> None:
        """Write one batch; what it holds may be told when this returns."""
        execute, executemany = self._connection.execute, self._connection.executemany
        execute("BEGIN")
        executemany(_PUT_CALL, [entry.row() for entry in entries])
        executemany(
            _PUT_RECORD,
            [
                (*address, r.high, r.owner, r.last, r.applied, r.reason, r.begun, r.called_in)
                for address, r in records.items()
            ],
        )
        executemany(
            _PUT_MEMORY,
            [(*address, r.remembers, _json(r.recent)) for address, r in records.items() if r.remembers > 1],
        )
        if world.touched:
            gone = [address for address in world.touched if address not in world.resources]
            executemany("DELETE FROM resources WHERE zone = ? AND kind = ? AND resource = ?", gone)
            executemany(
                _PUT_RESOURCE,
                [
                    self._resource_row(world, world.resources[address], now_s)
                    for address in world.touched
                    if address in world.resources
                ],
            )
            world.touched.clear()
        if world.isolated != self._isolated:
            executemany("DELETE FROM isolations WHERE zone = ? AND host = ?", list(self._isolated - world.isolated))
            executemany("INSERT INTO isolations VALUES (?, ?)", list(world.isolated - self._isolated))
            self._isolated = set(world.isolated)
        execute("COMMIT")

    def read(self, wanted: dict[str, str | None], *, after: int | None, limit: int) -> list[dict[str, Any]]:
        """Rows of `calls` with these columns, in order: the first after row `after`, or the newest."""
        conditions = [f"{column} = :{column}" for column, value in wanted.items() if value is not None]
        if after is not None:
            conditions.append("id > :after")
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        cursor = self._connection.execute(
            f"SELECT {_COLUMNS} FROM calls {where} ORDER BY id {'ASC' if after is not None else 'DESC'} LIMIT :limit",
            {**wanted, "after": after, "limit": limit},
        )
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        return rows if after is not None else rows[::-1]

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._connection.close()

    def _resource_row(self, world: World, resource: Resource, now_s: float) -> tuple[Any, ...]:
        address = resource.address
        residue = resource.residue
        return (
            *address, resource.host, resource.state, _json(resource.definition),
            _json(world.observe(resource)), _json(sorted(resource.attached_to)),
            None if residue is None else residue.ticket, None if residue is None else residue.operation,
            *size_of(address.kind, resource.definition), now_s,
        )  # fmt: skip


def _json(value: Any) -> str:
    return pydantic_core.to_json(value).decode()
