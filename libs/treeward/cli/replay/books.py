"""The device's own books, read only: what took effect, when, and what it took of which host.

They are the simulator's SQLite file (docs/device-simulator.md): the table `calls` has every call that reached the
device, `resources` what exists. Everything here is counted anew from these two.
"""

import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from treeward.cli.output import CommandError

Resource = tuple[str, str]
"""(zone, kind.id)"""

CARRIED_OUT = frozenset({"applied", "refused", "failed", "broken_off", "in_progress"})
"""Outcomes of calls that the device began to carry out; the others it turned away."""

SIZES = ("cpus_milli", "memory_mib", "gpus_milli", "disk_gib")


class Call(NamedTuple):
    """One row of the table `calls`, a unit's call."""

    id: int
    zone: str
    key: str
    operation: str
    ticket: int
    started_s: float
    ended_s: float | None
    effect: bool
    effect_number: int | None
    outcome: str


class Change(NamedTuple):
    """What one change gave to or took from a host, or added to its capacity."""

    at_s: float
    zone: str
    host: str
    is_capacity: bool
    sizes: tuple[int, ...]


@dataclass(slots=True)
class Books:
    """The calls and changes of some zones, and what exists there at the end."""

    calls: list[Call] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    """Those of one host in the order in which they took effect."""
    present: set[Resource] = field(default_factory=set)
    partial: set[Resource] = field(default_factory=set)
    hosts_of: dict[Resource, str | None] = field(default_factory=dict)


def read_books(paths: Sequence[Path], zones: Iterable[str]) -> Books:
    """Read the books of every device; raises CommandError if a file is none."""
    books = Books()
    wanted = sorted(zones)
    for path in paths:
        try:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)
            try:
                connection.execute("BEGIN")  # one moment for everything that is read
                for zone in wanted:
                    _read(connection, zone, books)
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise CommandError(f"{path}: is not the file of a device simulator ({error})") from None
    return books


def _read(connection: sqlite3.Connection, zone: str, books: Books) -> None:
    rows = connection.execute(
        "SELECT id, zone, kind || '.' || resource, operation, ticket, started_at, ended_at, effect, effect_number,"
        " outcome"
        " FROM calls WHERE zone = ? AND ticket IS NOT NULL ORDER BY id",
        (zone,),
    )
    for id_, of_zone, key, operation, ticket, started_s, ended_s, effect, number, outcome in rows:
        call = Call(id_, of_zone, key, operation, ticket, started_s, ended_s, bool(effect), number, outcome)
        books.calls.append(call)
    sizes = ", ".join(SIZES)
    rows = connection.execute(
        f"SELECT coalesce(ended_at, started_at), zone, kind, host, from_host, {sizes} FROM calls"
        " WHERE zone = ? AND effect_number IS NOT NULL AND host IS NOT NULL ORDER BY effect_number",
        (zone,),
    )
    for at_s, of_zone, kind, host, from_host, *amounts in rows:
        books.changes.append(Change(at_s, of_zone, host, kind == "host", tuple(amounts)))
        if from_host is not None:
            given_back = tuple(-amount for amount in amounts)
            books.changes.append(Change(at_s, of_zone, from_host, False, given_back))
    rows = connection.execute(
        "SELECT zone, kind || '.' || resource, state, host FROM resources WHERE zone = ?", (zone,)
    )
    for of_zone, key, state, host in rows:
        (books.present if state == "present" else books.partial).add((of_zone, key))
        books.hosts_of[of_zone, key] = host


def order_violations(books: Books) -> int:
    """Effects on a resource that came after one of a higher ticket."""
    violations = 0
    highest: dict[Resource, int] = defaultdict(int)
    effects = [call for call in books.calls if call.effect]
    # A device numbers its effects; of two devices only the times can be compared.
    for call in sorted(effects, key=lambda call: (call.ended_s or call.started_s, call.effect_number or 0)):
        if call.ticket < highest[call.zone, call.key]:
            violations += 1
        highest[call.zone, call.key] = max(call.ticket, highest[call.zone, call.key])
    return violations


def doubled_effects(books: Books) -> int:
    """Effects of a ticket beyond its first."""
    effects: dict[tuple[str, int], int] = defaultdict(int)
    for call in books.calls:
        effects[call.zone, call.ticket] += call.effect
    return sum(count - 1 for count in effects.values() if count > 1)


def overlapping_calls(books: Books) -> int:
    """Calls carried out on a resource that began while an earlier one was in progress."""
    violations = 0
    free_s: dict[Resource, float] = defaultdict(float)
    for call in sorted(books.calls, key=lambda call: (call.started_s, call.id)):
        resource = (call.zone, call.key)
        if call.outcome not in CARRIED_OUT:
            continue
        if call.started_s < free_s[resource]:
            violations += 1
        free_s[resource] = max(free_s[resource], math.inf if call.ended_s is None else call.ended_s)
    return violations


def overcommitted(books: Books) -> dict[Resource, int]:
    """Hosts, as (zone, host), with how many changes left more taken of them than they have, at any time."""
    capacity: dict[Resource, list[int]] = defaultdict(lambda: [0] * len(SIZES))
    used: dict[Resource, list[int]] = defaultdict(lambda: [0] * len(SIZES))
    hosts: dict[Resource, int] = defaultdict(int)
    for change in books.changes:
        host = (change.zone, change.host)
        total = capacity[host] if change.is_capacity else used[host]
        for index, amount in enumerate(change.sizes):
            total[index] += amount
        # A host that has been destroyed has no capacity, and must carry nothing.
        if any(have < taken for have, taken in zip(capacity[host], used[host], strict=True)):
            hosts[host] += 1
    return dict(hosts)
