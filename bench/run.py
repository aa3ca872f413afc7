"""Runs benchmarks one after the other, each as a process of its own, and makes the report.

    python -m bench.run            # short form of all (make bench)
    python -m bench.run --full     # all sizes (make bench-full)
    python -m bench.run path hot   # only these

A benchmark that fails or does not end in time leaves its failure in its JSON, and the next one runs.
"""

import argparse
import subprocess
import sys
import time

from bench.frame import report
from bench.frame.site import environment

SHORT_S, FULL_S = 110.0, 3600.0
"""How long one benchmark may take."""
SHORT_ALL_S = 560.0
"""How long the short form may take as a whole: on a machine too busy for it, the last ones are not run."""
NAMES = tuple(name for name in report.ORDER)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", choices=[[], *NAMES], default=[])
    arguments.add_argument("--full", action="store_true", help="all sizes; takes an hour or two")
    options = arguments.parse_args()
    begun_s = time.monotonic()
    late: list[str] = []
    for name in options.names or NAMES:
        left_s = FULL_S if options.full else min(SHORT_S, SHORT_ALL_S - (time.monotonic() - begun_s))
        if left_s < 1.0:
            late.append(name)
            continue
        command = [sys.executable, "-m", f"bench.{name}", *(["--full"] if options.full else [])]
        try:
            subprocess.run(command, env=environment(), check=False, timeout=left_s)
        except subprocess.TimeoutExpired:
            late.append(name)
            print(f"{name}: did not end in time; an earlier result of it stays", flush=True)
    report.main()
    print(f"{time.monotonic() - begun_s:.0f} s in all" + (f"; too late: {', '.join(late)}" if late else ""))


if __name__ == "__main__":
    main()
