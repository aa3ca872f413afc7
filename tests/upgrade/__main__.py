"""`make upgrade`: from the previous version to this one, back, and forth otherwise; exit 0: no promise was broken."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop
from tests.faults.site import Size
from tests.upgrade.run import DOWNWARDS, UPWARDS, as_json, run
from tests.upgrade.wheels import PREVIOUS, install


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--previous", default=PREVIOUS, metavar="REVISION", help="the version to begin with")
    parser.add_argument("--this", metavar="REVISION", help="the version to go to; none: the tree as it stands")
    parser.add_argument("--units-per-s", type=float, default=40.0)
    parser.add_argument("--servers", type=int, default=3, choices=(1, 3), help="NATS servers")
    parser.add_argument("--rest", type=float, default=3.0, help="seconds of load after each tier")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, books and report there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="treeward-upgrade-") as scratch:
        folder = asked.keep or Path(scratch)
        old, new = install(asked.previous, folder / "old"), install(asked.this, folder / "new")
        print(f"from {old.version} to {new.version}, back, and forth again")
        size = Size(servers=asked.servers, orchestrators=2, zone_supervisors=2, agents=3, zones=1, pods=2)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(
                run(
                    folder / "site", old, rounds=[(new, UPWARDS), (old, UPWARDS), (new, DOWNWARDS)],
                    commands=(old, new), size=size, units_per_s=asked.units_per_s, rest_s=asked.rest, seed=asked.seed,
                )
            )  # fmt: skip
        (folder / "report.json").write_text(as_json(report) + "\n")
    print(report.text())
    sys.exit(0 if report.fine else 1)


if __name__ == "__main__":
    main()
