"""`make k8s-try`: the project on the cluster that kubectl reaches; exit 0 if every promise was kept."""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from tests.k8s.live.report import write
from tests.k8s.live.run import Wanted, run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.k8s.live", description=__doc__)
    parser.add_argument("--overlay", default="k8s/overlays/try")
    parser.add_argument("--topology", default="k8s/overlays/try/topology.yaml")
    parser.add_argument("--images", metavar="IMAGE,IMAGE", default="", help="for the rolling updates, in turn")
    parser.add_argument(
        "--nats", default=shutil.which("nats"), help="the nats command; without it none is used outside"
    )
    parser.add_argument("--nats-image", default="", help="an image with /nats; without it none is used inside")
    parser.add_argument("--units-per-s", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rest", type=float, default=8.0, help="seconds of load between two acts")
    parser.add_argument("--power-off", default="", help="takes a node's power; {node} is its name")
    parser.add_argument("--power-on", default="", help="gives it back")
    parser.add_argument("--only", default="", metavar="WORD,...", help="only acts with such a word in their names")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep keys, books and report there")
    asked = parser.parse_args()
    begun_s = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun_s:6.0f} s  {text}", flush=True)

    with tempfile.TemporaryDirectory(prefix="treeward-k8s-") as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        wanted = Wanted(
            folder=folder,
            overlay=asked.overlay,
            topology=asked.topology,
            images=tuple(image for image in asked.images.split(",") if image),
            nats=asked.nats,
            nats_image=asked.nats_image,
            units_per_s=asked.units_per_s,
            seed=asked.seed,
            rest_s=asked.rest,
            power=(asked.power_off, asked.power_on),
            only=tuple(word for word in asked.only.split(",") if word),
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            report = runner.run(run(wanted, say))
        write(report, folder / "report.json")
        print(report.text())
    sys.exit(0 if report.fine else 1)


if __name__ == "__main__":
    main()
