"""Finding and ending whatever a run has started, wherever it went (Linux: /proc).

A run's processes inherit its name in their environment, whatever sessions and groups they make; so also a guard that
was started after its predecessor was killed finds them.
"""

import asyncio
import os
import signal
from pathlib import Path

VARIABLE = "TREEWARD_GUARD_RUN"
PROC = Path("/proc")


def processes_of(run: str) -> list[int]:
    """The ids of all living processes that carry the name of this run."""
    wanted = f"{VARIABLE}={run}".encode()
    names = [entry.name for entry in os.scandir(PROC) if entry.name.isdigit()]
    return [int(name) for name in names if wanted in _environment(name)]


def _environment(process: str) -> list[bytes]:
    try:
        return (PROC / process / "environ").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile, or another user's: a run has no other user's processes
        return []


async def end_all(run: str, *, patience_s: float) -> bool:
    """Wait until no process of this run is left; kill those that are after `patience_s`. Whether there were any."""
    kill_at_s = asyncio.get_running_loop().time() + patience_s
    any_found, empty = False, 0
    while empty < 2:  # a process may have been made while the others were looked at
        found = processes_of(run)
        empty = 0 if found else empty + 1
        if not found:
            continue
        any_found = True
        if asyncio.get_running_loop().time() >= kill_at_s:
            kill(found)
        await asyncio.sleep(0.02)
    return any_found


def kill(processes: list[int]) -> None:
    """Kill what is still there."""
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
