"""The command `treeward-device-simulator`."""

import argparse
import os
import sys
from pathlib import Path

from treeward.device_simulator.server import Options
from treeward.device_simulator.server import main as serve
from treeward.runtime.device_lines import ListenError


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; what it does not say is taken from the environment."""
    parser = argparse.ArgumentParser(
        prog="treeward-device-simulator",
        description="A simulated data centre that speaks Treeward's device protocol and keeps books of every call. "
        "On start it prints one line of JSON with its actual addresses.",
    )
    environment = os.environ
    parser.add_argument(
        "--data",
        metavar="FILE",
        default=environment.get("TREEWARD_DEVICE_DATA"),
        help="SQLite file, made if absent [TREEWARD_DEVICE_DATA]",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        default=environment.get("TREEWARD_DEVICE_LISTEN", "tcp://127.0.0.1:7447"),
        help="tcp://HOST:PORT (port 0: any) or unix:///PATH [TREEWARD_DEVICE_LISTEN, else %(default)s]",
    )
    parser.add_argument(
        "--control",
        metavar="ADDRESS",
        default=environment.get("TREEWARD_DEVICE_CONTROL"),
        help="where faults are asked for; absent: nowhere [TREEWARD_DEVICE_CONTROL]",
    )
    parser.add_argument(
        "--journal-synchronize",
        choices=("all", "changes", "none"),
        default=environment.get("TREEWARD_DEVICE_JOURNAL_SYNCHRONIZE", "changes"),
        help="which synchronizes are written to the table `calls`; changes: those that changed or were not accepted",
    )
    parser.add_argument(
        "--full", action="store_true", help="force every commit to the disk: survives the machine, not only the process"
    )
    parser.add_argument("--seed", type=int, default=None, help="seed of random latencies")
    read = parser.parse_args(arguments)
    if not read.data:
        parser.error("--data FILE is needed (or TREEWARD_DEVICE_DATA)")
    return Options(Path(read.data), read.listen, read.control or None, read.journal_synchronize, read.full, read.seed)


def main() -> None:
    try:
        sys.exit(serve(parse()))
    except ListenError as error:
        sys.stderr.write(f"treeward-device-simulator: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
