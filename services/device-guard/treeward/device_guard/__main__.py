"""The command `treeward-device-guard`."""

from pathlib import Path

from treeward.device_guard.adapter import UnknownAdapterError
from treeward.device_guard.server import Options
from treeward.device_guard.server import main as serve
from treeward.runtime.device_command import DeviceCommand, end

NAME = "treeward-device-guard"


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; what it does not say is taken from the environment."""
    command = DeviceCommand(
        NAME,
        "Serves Treeward's device protocol in front of any program: keeps the record that fences, and lets an adapter "
        "act.",
        "TREEWARD_GUARD",
        "SQLite file, made if absent. It must live as long as what it guards",
    )
    command.add_argument("--adapter", default="exec", help="entry point of treeward.adapters; default: %(default)s")
    command.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="after that long a program is killed, and its call is in doubt; 0: never. Default: %(default)s",
    )
    command.add_argument(
        "--at-once", type=int, default=16, metavar="N", help="programs that run at once. Default: %(default)s"
    )
    command.add_argument("program", nargs="*", metavar="-- PROGRAM ARGUMENT", help="what the adapter is given")
    read = command.read(arguments)
    if read.timeout < 0 or read.at_once < 1:
        command.error("--timeout must not be negative, --at-once must be 1 or more")
    return Options(Path(read.data), read.listen, read.adapter, tuple(read.program), read.timeout or None, read.at_once)


def main() -> None:
    end(NAME, lambda: serve(parse()), UnknownAdapterError)


if __name__ == "__main__":
    main()
