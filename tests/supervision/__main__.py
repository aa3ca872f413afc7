"""`python -m tests.supervision`: 10,000 resources of one pod crash at once, and their device is away for 20 s.

Prints what was seen, as JSON, and ends with 1 if restarts were faster than the pod's budget, something was not answered
`completed`, anything was quarantined, or the books show a violation.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.supervision.mass_crash import mass_crash


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.supervision", description=__doc__)
    parser.add_argument("--resources", type=int, default=10_000)
    parser.add_argument("--away", type=float, default=20.0, metavar="SECONDS", help="how long the device is gone")
    parser.add_argument("--restarts-per-s", type=float, default=200.0, help="the pod's budget")
    parser.add_argument("--calm", type=float, default=10.0, metavar="SECONDS", help="watched before and after")
    asked = parser.parse_args()
    begun_s = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun_s:6.0f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="treeward-supervision-") as folder:
        figures = asyncio.run(
            mass_crash(
                Path(folder), resources=asked.resources, away_s=asked.away, restarts_per_s=asked.restarts_per_s,
                calm_s=asked.calm, say=say,
            )
        )  # fmt: skip
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    print(json.dumps(figures.as_json() | {"commit": commit.stdout.strip()}, indent=2))
    fine = (
        figures.within_budget
        and figures.completed == figures.resources
        and not figures.quarantined
        and not figures.violations
    )
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
