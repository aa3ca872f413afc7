"""Reads the books of a run for the judge: WORK_HISTORY and the log of each zone, and the simulator's SQLite file."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from treeward.bus.interface import Bus, Stored
from treeward.runtime import codec
from treeward.runtime.judge import Books, DeviceCall, DeviceResource, Logged, Submitted
from treeward.schemas import streams, subjects

HISTORY_S = 30.0
"""How long the mirror may take to catch up with WORK."""
READ_S = 300.0
_POLL_S = 0.05


class BooksError(Exception):
    """The books are not complete or cannot be read; the message says which. Nothing can be judged."""


async def read_books(bus: Bus, zones: Iterable[str], device_files: Iterable[Path]) -> Books:
    """Everything that is written down of these zones and devices; raises BooksError, and what the bus raises.

    Read it when nothing is in progress any more: what happens while it reads may be in one book and not in another.
    """
    submitted: list[Submitted] = []
    log: list[Logged] = []

    def on_work(stored: Stored) -> None:
        zone, key = subjects.parse_work(stored.subject)
        submitted.append(Submitted(zone, key, stored.position, stored.time_s))

    def on_event(stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None:
            log.append(Logged(stored.position, stored.time_s, event))

    for zone in zones:
        await _history_is_complete(bus, zone)
        await _read_all(bus, streams.work_history(zone), subjects.all_work_of_zone(zone), on_work)
        await _read_all(bus, streams.log(zone), subjects.log_of_zone(zone), on_event)
    calls: list[DeviceCall] = []
    resources: list[DeviceResource] = []
    for path in device_files:
        calls += read_calls(path)
        resources += read_resources(path)
    return Books(submitted, log, calls, resources)


def read_calls(path: Path) -> list[DeviceCall]:
    """The journal of a simulator, also while it runs; raises BooksError."""
    columns = ", ".join(DeviceCall._fields)
    return [DeviceCall(*row) for row in query(path, f"SELECT {columns} FROM calls ORDER BY id")]


def read_resources(path: Path) -> list[DeviceResource]:
    """What exists on a simulator; raises BooksError."""
    return [DeviceResource(*row) for row in query(path, "SELECT zone, kind || '.' || resource, state FROM resources")]


def query(path: Path, statement: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """Rows of a simulator's file, which is only read; raises BooksError."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=5.0)) as file:
            return file.execute(statement, parameters).fetchall()
    except sqlite3.Error as error:
        raise BooksError(f"{path} cannot be read: {error}") from None


async def _history_is_complete(bus: Bus, zone: str) -> None:
    """The mirror may be behind; then units would seem never to have been submitted."""
    try:
        async with asyncio.timeout(HISTORY_S):
            while True:
                work, history = await bus.state(streams.work(zone)), await bus.state(streams.work_history(zone))
                if work is None or (history is not None and history.last >= work.last):
                    return
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise BooksError(f"WORK_HISTORY of zone {zone} is still behind WORK after {HISTORY_S:g} s") from None


async def _read_all(bus: Bus, stream: str, subject_filter: str, deliver: Callable[[Stored], None]) -> None:
    state = await bus.state(stream)
    if state is None or state.messages == 0:
        return
    done = asyncio.Event()
    lost = False

    def on_lost() -> None:
        nonlocal lost
        lost = True
        done.set()

    reader = await bus.read(stream, subject_filter, 1, deliver, on_lost=on_lost, on_caught_up=done.set)
    try:
        async with asyncio.timeout(READ_S):
            await done.wait()
    except TimeoutError:
        raise BooksError(f"{stream} could not be read within {READ_S:g} s") from None
    finally:
        await reader.close()
    if lost:
        raise BooksError(f"{stream} lost messages while it was read")
