"""Processes that tests have started, found by what they have inherited: a variable in their environment."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
RUN = "TESTS_OF_RUN"
"""Whose value names one run of pytest. No program of ours reads or drops it."""
POLL_S = 0.02


def processes_with(variable: str, value: str) -> dict[int, str]:
    """Process id > command line of every other process that was started with this variable; none without `/proc`."""
    found = {
        int(entry.name): _text(entry / "cmdline", " ")
        for entry in PROC.glob("[0-9]*")
        if int(entry.name) != os.getpid() and f"{variable}={value}" in _text(entry / "environ", "\n").split("\n")
    }
    return {process_id: line for process_id, line in found.items() if line}  # a zombie has no command line


def left_over(run: str, *, patience_s: float) -> list[str]:
    """What a run of pytest has left behind, in words, and ended now. What ends within `patience_s` is not told."""
    give_up_s = time.monotonic() + patience_s
    while (found := processes_with(RUN, run)) and time.monotonic() < give_up_s:
        time.sleep(POLL_S)
    told = [f"{process_id} ({_test_of(process_id)}): {line}" for process_id, line in found.items()]
    for process_id in found:
        end(process_id)
    return told


def end(process_id: int) -> None:
    """SIGKILL to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(process_id, signal.SIGKILL)


def _test_of(process_id: int) -> str:
    """Which test it was started in, as pytest tells it."""
    started_in = "PYTEST_CURRENT_TEST="
    lines = _text(PROC / str(process_id) / "environ", "\n").split("\n")
    return next((line.removeprefix(started_in) for line in lines if line.startswith(started_in)), "outside of a test")


def _text(file: Path, between: str) -> str:
    """A file of `/proc`, its parts divided by `between`; empty: the process ended meanwhile, or is another user's."""
    with suppress(OSError):
        return file.read_bytes().decode(errors="replace").strip("\0").replace("\0", between)
    return ""
