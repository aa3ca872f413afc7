"""The command `treeward-device-simulator`."""

import argparse
import os
from pathlib import Path

from treeward.device_simulator.engine import REMEMBERS
from treeward.device_simulator.server import Options
from treeward.device_simulator.server import main as serve
from treeward.runtime.device_command import DeviceCommand, end

NAME = "treeward-device-simulator"


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; what it does not say is taken from the environment."""
    command = DeviceCommand(
        NAME,
        "A simulated data centre that speaks Treeward's device protocol and keeps books of every call.",
        "TREEWARD_DEVICE",
        "SQLite file, made if absent",
    )
    environment = os.environ
    command.add_argument(
        "--control",
        metavar="ADDRESS",
        default=environment.get("TREEWARD_DEVICE_CONTROL"),
        help="where faults are asked for; absent: nowhere [TREEWARD_DEVICE_CONTROL]",
    )
    command.add_argument(
        "--journal-synchronize",
        choices=("all", "changes", "none"),
        default=environment.get("TREEWARD_DEVICE_JOURNAL_SYNCHRONIZE", "changes"),
        help="which synchronizes are written to the table `calls`; changes: those that changed or were not accepted",
    )
    command.add_argument(
        "--full", action="store_true", help="force every commit to the disk: survives the machine, not only the process"
    )
    command.add_argument(
        "--remembers",
        type=_positive,
        metavar="TICKETS",
        default=environment.get("TREEWARD_DEVICE_REMEMBERS", str(REMEMBERS)),
        help="so many answered tickets of an address are remembered, and may be called before their outcomes are "
        "stored; never fewer than the file says of that address [TREEWARD_DEVICE_REMEMBERS, else %(default)s]",
    )
    command.add_argument("--seed", type=int, default=None, help="seed of random latencies")
    read = command.read(arguments)
    return Options(
        Path(read.data),
        read.listen,
        read.control or None,
        read.journal_synchronize,
        read.full,
        read.seed,
        read.remembers,
    )


def _positive(text: str) -> int:
    """A whole number above 0; argparse says of a ValueError what was expected."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: at least the last ticket is remembered")
    return number


def main() -> None:
    end(NAME, lambda: serve(parse()))


if __name__ == "__main__":
    main()
