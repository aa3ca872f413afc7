"""What the device has written down of a replay beyond the common books: when calls began, and who took what of a host.

Read only, from the simulator's SQLite file (docs/device-simulator.md). Whether promises were kept is judged by
`runtime.judge`, for replays as for everything else; room on hosts over time is a replay's own question.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from treeward.cli.output import CommandError

SIZES = ("cpus_milli", "memory_mib", "gpus_milli", "disk_gib")


class Call(NamedTuple):
    """A unit's call, as far as a replay asks for it."""

    zone: str
    key: str
    operation: str
    ticket: int
    started_s: float
    ended_s: float | None
    effect: bool


class Change(NamedTuple):
    """What one change took from a host (or gave back, below 0), or added to its capacity."""

    at_s: float
    zone: str
    host: str
    is_capacity: bool
    sizes: tuple[int, ...]


@dataclass(slots=True)
class DeviceBooks:
    """The calls and changes of some zones; those of one resource or host in the order in which they happened."""

    calls: list[Call] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)


def read_device_books(paths: Sequence[Path], zones: Iterable[str]) -> DeviceBooks:
    """Read the files of every device; raises CommandError if one is none."""
    books = DeviceBooks()
    wanted = sorted(zones)
    for path in paths:
        try:
            with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as file:
                for zone in wanted:
                    _read_calls(file, zone, books)
                    _read_changes(file, zone, books)
        except sqlite3.Error as error:
            raise CommandError(f"{path}: is not the file of a device simulator ({error})") from None
    return books


def _read_calls(file: sqlite3.Connection, zone: str, books: DeviceBooks) -> None:
    rows = file.execute(
        "SELECT kind || '.' || resource, operation, ticket, started_at, ended_at, effect FROM calls"
        " WHERE zone = ? AND ticket IS NOT NULL ORDER BY id",
        (zone,),
    )
    for key, operation, ticket, started_s, ended_s, effect in rows:
        books.calls.append(Call(zone, key, operation, ticket, started_s, ended_s, bool(effect)))


def _read_changes(file: sqlite3.Connection, zone: str, books: DeviceBooks) -> None:
    rows = file.execute(
        f"SELECT coalesce(ended_at, started_at), kind, host, from_host, {', '.join(SIZES)} FROM calls"
        " WHERE zone = ? AND effect_number IS NOT NULL AND host IS NOT NULL ORDER BY effect_number",
        (zone,),
    )
    for at_s, kind, host, from_host, *amounts in rows:
        books.changes.append(Change(at_s, zone, host, kind == "host", tuple(amounts)))
        if from_host is not None:  # a move: the old host gets the same back
            books.changes.append(Change(at_s, zone, from_host, False, tuple(-amount for amount in amounts)))


def overcommitted(books: DeviceBooks) -> dict[tuple[str, str], int]:
    """Hosts, as (zone, host), with how many changes left more taken of them than they have, at any time."""
    capacity: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(SIZES))
    taken: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(SIZES))
    hosts: dict[tuple[str, str], int] = defaultdict(int)
    for change in books.changes:
        host = (change.zone, change.host)
        total = capacity[host] if change.is_capacity else taken[host]
        for index, amount in enumerate(change.sizes):
            total[index] += amount
        if any(have < want for have, want in zip(capacity[host], taken[host], strict=True)):
            hosts[host] += 1
    return dict(hosts)
