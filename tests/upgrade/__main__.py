"""`make upgrade`: from the previous version to this one, back, and forth otherwise; exit 0: no promise was broken."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop
from tests.faults.site import ROLES, Size
from tests.upgrade.run import DOWNWARDS, UPWARDS, as_json, run
from tests.upgrade.wheels import PREVIOUS, Installed, install, is_there

Rounds = list[tuple[Installed, Sequence[str]]]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--previous", default=PREVIOUS, metavar="REVISION", help="the version to begin with")
    parser.add_argument("--this", metavar="REVISION", help="the version to go to; none: the tree as it stands")
    parser.add_argument("--short", action="store_true", help="one round on one NATS server, without commands")
    parser.add_argument("--units-per-s", type=float, default=40.0)
    parser.add_argument("--servers", type=int, default=3, choices=(1, 3), help="NATS servers")
    parser.add_argument("--rest", type=float, default=3.0, help="seconds of load after each tier")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, books and report there")
    asked = parser.parse_args()
    for revision in (asked.previous, asked.this):
        if revision is not None and not is_there(revision):
            parser.error(f"this repository has no {revision}; a copy without its history has no previous version")
    with tempfile.TemporaryDirectory(prefix="treeward-upgrade-") as scratch:
        folder = asked.keep or Path(scratch)
        old, new = install(asked.previous, folder / "old"), install(asked.this, folder / "new")
        print(f"from {old.version} to {new.version}" + ("" if asked.short else ", back, and forth again"))
        if asked.short:
            size = Size(servers=1, orchestrators=1, zone_supervisors=1, agents=2, zones=1, pods=2, hosts=1)
            rounds: Rounds = [(new, ROLES)]
            commands: tuple[Installed, ...] = ()
        else:
            size = Size(servers=asked.servers, orchestrators=2, zone_supervisors=2, agents=3, zones=1, pods=2)
            rounds = [(new, UPWARDS), (old, UPWARDS), (new, DOWNWARDS)]
            commands = (old, new)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(
                run(
                    folder / "site", old, rounds=rounds, commands=commands, size=size,
                    units_per_s=asked.units_per_s, rest_s=asked.rest, seed=asked.seed,
                )
            )  # fmt: skip
        (folder / "report.json").write_text(as_json(report) + "\n")
    print(report.text())
    sys.exit(0 if report.fine else 1)


if __name__ == "__main__":
    main()
