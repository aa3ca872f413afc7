"""What waits for the next commit: rows, records and the answers that may only be told after it."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import pydantic_core

from treeward.device_simulator.journal import Entry, Journal
from treeward.device_simulator.world import Change, World
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address


class Caller(Protocol):
    """Where an answer goes; the connection may be gone by then."""

    def deliver(self, line: bytes) -> None:
        """Send one line."""

    def abort(self) -> None:
        """Close the connection."""


class Ledger:
    """Numbers and times of calls, and the batch that is being collected.

    `wake` is called whenever something waits for `commit`; the caller decides when that is.
    """

    def __init__(self, journal: Journal, *, clock_s: Callable[[], float], wake: Callable[[], None]) -> None:
        self._journal = journal
        self._clock_s = clock_s
        self._wake = wake
        self._last_s = 0.0
        self._call_number, self._effect_number = journal.numbers()
        self._entries: dict[int, Entry] = {}
        self._records: dict[Address, DeviceRecord] = {}
        self._answers: list[tuple[Caller, bytes | None]] = []
        self.counts: Counter[tuple[str, str]] = Counter()

    def now_s(self) -> float:
        """Unix seconds, each later than the one before, whatever the clock does."""
        self._last_s = max(self._clock_s(), self._last_s + 1e-6)
        return self._last_s

    def open(self, address: Address, operation: str) -> Entry:
        """Begin a row; it is written once it is kept."""
        self._call_number += 1
        return Entry(self._call_number, *address, operation, None, None, None, self.now_s())

    def keep(self, entry: Entry) -> None:
        """Write the row with the next commit, as it is by then."""
        self._entries[entry.id] = entry
        self._wake()

    def end(self, entry: Entry, outcome: str, reason: str | None, *, kept: bool = True) -> None:
        """Finish a row."""
        entry.ended_at = self.now_s()
        entry.outcome = outcome
        entry.reason = reason
        self.counts["call" if entry.ticket is not None else entry.operation, outcome] += 1
        if kept:
            self.keep(entry)

    def note(self, entry: Entry, change: Change) -> None:
        """Tell a row what changed by it, and give the change its place in the order of all changes."""
        self._effect_number += 1
        entry.effect_number = self._effect_number
        entry.host = change.host
        entry.from_host = change.from_host
        entry.cpus_milli, entry.memory_mib, entry.gpus_milli, entry.disk_gib = change.delta

    def remember(self, address: Address, record: DeviceRecord) -> None:
        """Write the record with the next commit, as it is by then."""
        self._records[address] = record

    def say(self, caller: Caller, fields: dict[str, Any]) -> None:
        """Tell an answer after the next commit."""
        self._answers.append((caller, pydantic_core.to_json(fields, exclude_none=True) + b"\n"))
        self._wake()

    def hang_up(self, caller: Caller) -> None:
        """Close a connection after the next commit."""
        self._answers.append((caller, None))
        self._wake()

    def commit(self, world: World) -> None:
        """Write what was collected, then tell the answers. Raises sqlite3.Error: then nothing of it was told."""
        entries, self._entries = self._entries, {}
        records, self._records = self._records, {}
        answers, self._answers = self._answers, []
        if entries or records or world.touched:
            self._journal.commit(entries.values(), records, world, now_s=self.now_s())
        for caller, line in answers:
            if line is None:
                caller.abort()
            else:
                caller.deliver(line)
