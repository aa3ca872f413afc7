"""`python -m tests.faults --faults 1000 --seed 1`: exit 0 if every promise was kept."""

import argparse
import asyncio
import sys
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
    parser.add_argument(
        "--set", metavar="NAME=VALUE", action="append", default=[], type=setting, dest="settings",
        help="a setting of every service, such as TREEWARD_AHEAD_MAX=8; otherwise the product's defaults",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="DIR", help="logs, books and report; otherwise faults-SEED")
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

    folder = new_folder(asked.keep or Path(f"faults-{asked.seed}"))
    size = Size(servers=asked.servers, disk_mib=asked.disk_mib, settings=dict(asked.settings))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        report = runner.run(run(folder, plan, seed=asked.seed, size=size, units_per_s=asked.units_per_s, say=say))
    write(report, folder / "report.json")
    show(report, console)
    console.print(f"report.json, log.jsonl, logs and all files of the servers are in {folder}", soft_wrap=True)
    sys.exit(0 if report.fine else 1)


def setting(text: str) -> tuple[str, str]:
    """A setting and its value; raises ArgumentTypeError."""
    name, is_set, value = text.partition("=")
    if not (is_set and name.startswith("TREEWARD_")):
        raise argparse.ArgumentTypeError(f"{text!r} is not TREEWARD_NAME=VALUE (docs/settings.md)")
    return name, value


def new_folder(wanted: Path) -> Path:
    """Make it; if something is in it already, `-2`, `-3` and so on: two runs never mix. Returns its absolute path."""
    folder, number = wanted.resolve(), 1
    while folder.exists() and any(folder.iterdir()):
        number += 1
        folder = folder.with_name(f"{wanted.resolve().name}-{number}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
