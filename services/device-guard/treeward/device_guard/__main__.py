"""The command `treeward-device-guard`."""

import argparse
import os
import sys
from pathlib import Path

from treeward.device_guard.adapter import UnknownAdapterError
from treeward.device_guard.server import Options
from treeward.device_guard.server import main as serve
from treeward.runtime.device_lines import ListenError


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line; what it does not say is taken from the environment."""
    environment = os.environ
    parser = argparse.ArgumentParser(
        prog="treeward-device-guard",
        description="Serves Treeward's device protocol in front of any program: keeps the record that fences, and lets "
        "an adapter act. On start it prints one line of JSON with its actual address.",
    )
    parser.add_argument(
        "--data",
        metavar="FILE",
        default=environment.get("TREEWARD_GUARD_DATA"),
        help="SQLite file, made if absent. It must live as long as what it guards [TREEWARD_GUARD_DATA]",
    )
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        default=environment.get("TREEWARD_GUARD_LISTEN", "tcp://127.0.0.1:7447"),
        help="tcp://HOST:PORT (port 0: any) or unix:///PATH [TREEWARD_GUARD_LISTEN, else %(default)s]",
    )
    parser.add_argument("--adapter", default="exec", help="entry point of treeward.adapters; default: %(default)s")
    parser.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="after that long a program is killed, and its call is in doubt; 0: never. Default: %(default)s",
    )
    parser.add_argument(
        "--at-once", type=int, default=16, metavar="N", help="programs that run at once. Default: %(default)s"
    )
    parser.add_argument("program", nargs="*", metavar="-- PROGRAM ARGUMENT", help="what the adapter is given")
    read = parser.parse_args(arguments)
    if not read.data:
        parser.error("--data FILE is needed (or TREEWARD_GUARD_DATA)")
    if read.timeout < 0 or read.at_once < 1:
        parser.error("--timeout must not be negative, --at-once must be 1 or more")
    return Options(Path(read.data), read.listen, read.adapter, tuple(read.program), read.timeout or None, read.at_once)


def main() -> None:
    try:
        sys.exit(serve(parse()))
    except (ListenError, UnknownAdapterError) as error:
        sys.stderr.write(f"treeward-device-guard: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
