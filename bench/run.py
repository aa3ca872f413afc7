"""Runs benchmarks one after the other, each as a process of its own, and makes the report.

    python -m bench.run                  # short form of all (make bench)
    python -m bench.run --full           # all sizes (make bench-full)
    python -m bench.run path hot         # only these
    python -m bench.run --full --resume  # without those that this code has a full result of already

The report is made anew after each, of the newest results, so a run can be ended at any time and gone on with later. A
benchmark that fails or does not end in time leaves what it found and its failure in its JSON, and the next one runs.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from bench.frame import report
from bench.frame.result import RESULTS, Size, code, file_of
from bench.frame.site import environment

NAMES = ("path", "profile", *(name for name in report.ORDER if name not in ("path", "profile")))
"""In the order in which they run: what a run that is ended early should have comes first."""
SHORT_S, FULL_S = 120.0, 3600.0
"""How long one benchmark may take."""
SHORT_ALL_S = 540.0
"""How long the short form may take as a whole: on a machine too busy for it, the last ones are not run."""
END_S = 30.0
"""How long one may take to end beyond its time."""
GUESS_S = {Size.SHORT: 40.0, Size.FULL: 400.0}
"""What one takes that was never run."""


def before(name: str, size: Size) -> dict[str, Any]:
    """Its last result of this size; empty: none."""
    path = file_of(RESULTS, name, size)
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def has_result(name: str, size: Size) -> bool:
    """Whether this very code has been measured, and that ended well."""
    known = before(name, size)
    return bool(known) and known["failure"] is None and known.get("code", "") == code() != ""


def estimate_s(names: list[str], size: Size) -> float:
    """How long these took the last time."""
    return sum(float(before(name, size).get("seconds", GUESS_S[size])) for name in names)


def run(name: str, size: Size, limit_s: float) -> bool:
    """Run one; whether it ended well."""
    command = [sys.executable, "-m", f"bench.{name}", "--seconds", f"{limit_s:.0f}"]
    command += ["--full"] if size is Size.FULL else []
    try:
        return subprocess.run(command, env=environment(), check=False, timeout=limit_s + END_S).returncode == 0
    except subprocess.TimeoutExpired:
        print(f"{name}: did not end; an earlier result of it stays", flush=True)
        return False


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", choices=[[], *NAMES], default=[])
    arguments.add_argument("--full", action="store_true", help="all sizes; takes an hour or two")
    arguments.add_argument("--resume", action="store_true", help="not those that this code has a result of already")
    options = arguments.parse_args()
    size = Size.FULL if options.full else Size.SHORT
    names = [name for name in options.names or NAMES if not (options.resume and has_result(name, size))]
    begun_s = time.monotonic()
    failed: list[str] = []
    late: list[str] = []
    for number, name in enumerate(names):
        spent_s = time.monotonic() - begun_s
        limit_s = FULL_S if options.full else min(SHORT_S, SHORT_ALL_S - spent_s)
        if limit_s < 1.0:
            late.append(name)
            continue
        left_s = estimate_s(names[number:], size)
        print(f"--- {number + 1} of {len(names)}, {spent_s:.0f} s spent, about {left_s:.0f} s to go", flush=True)
        if not run(name, size, limit_s):
            failed.append(name)
        report.main()
    report.main()
    print(f"{time.monotonic() - begun_s:.0f} s in all")
    if late:
        print(f"not run for lack of time: {', '.join(late)}; earlier results of them stay")
    if failed:
        sys.exit(f"did not end well: {', '.join(failed)}")


if __name__ == "__main__":
    main()
