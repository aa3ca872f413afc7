"""`python -m tests.faults --faults 1000 --seed 1`: exit 0 if every promise was kept."""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from rich.console import Console
from tests.faults.plan import Kind, draw_plan, sequence
from tests.faults.run import run, write
from tests.faults.show import show
from tests.faults.site import Size


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--units-per-s", type=float, default=100.0)
    parser.add_argument("--servers", type=int, default=3, choices=(1, 3), help="NATS servers")
    parser.add_argument("--kinds", metavar="KIND,...", help="only these, in this order, again and again")
    parser.add_argument("--gap", type=float, default=3.0, help="with --kinds: seconds between two faults")
    parser.add_argument("--disk-mib", type=int, default=0, metavar="N", help="room for each NATS server: disk_full")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, books and report there")
    asked = parser.parse_args()
    if asked.kinds:
        kinds = [Kind(name) for name in asked.kinds.split(",")]
        plan = sequence((kinds * asked.faults)[: asked.faults], seed=asked.seed, gap_s=asked.gap)
    else:
        plan = draw_plan(asked.seed, asked.faults, cluster=asked.servers > 1)
    console = Console()
    begun_s = time.monotonic()

    def say(text: str) -> None:
        console.print(f"{time.monotonic() - begun_s:6.0f} s  {text}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="treeward-faults-") as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        size = Size(servers=asked.servers, disk_mib=asked.disk_mib, settings={"TREEWARD_CALL_TIMEOUT_S": "5"})
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(run(folder, plan, seed=asked.seed, size=size, units_per_s=asked.units_per_s, say=say))
        write(report, folder / "report.json")
    show(report, console)
    sys.exit(0 if report.fine else 1)


if __name__ == "__main__":
    main()
