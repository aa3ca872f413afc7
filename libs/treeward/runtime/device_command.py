"""What the commands of programs that serve the device protocol have in common."""

import argparse
import os
import sys
from collections.abc import Callable

from treeward.runtime.device_lines import ListenError


class DeviceCommand(argparse.ArgumentParser):
    """A command with `--data` and `--listen`; what is not said is taken from `<prefix>_DATA` and `<prefix>_LISTEN`."""

    def __init__(self, prog: str, description: str, prefix: str, data: str) -> None:
        super().__init__(
            prog=prog,
            description=f"{description} On start it prints one line of JSON with its actual addresses.",
        )
        self._data = f"{prefix}_DATA"
        self.add_argument("--data", metavar="FILE", default=os.environ.get(self._data), help=f"{data} [{self._data}]")
        self.add_argument(
            "--listen",
            metavar="ADDRESS",
            default=os.environ.get(f"{prefix}_LISTEN", "tcp://127.0.0.1:7447"),
            help=f"tcp://HOST:PORT (port 0: any) or unix:///PATH [{prefix}_LISTEN, else %(default)s]",
        )

    def read(self, arguments: list[str] | None) -> argparse.Namespace:
        """What was said; ends the program with code 2 and a sentence if no file is named."""
        read = self.parse_args(arguments)
        if not read.data:
            self.error(f"--data FILE is needed (or {self._data})")
        return read


def end(prog: str, serve: Callable[[], int], refusal: type[Exception] = ListenError) -> None:
    """Serve, and end the program with the code of that; what it refuses is one sentence on standard error, and 2."""
    try:
        sys.exit(serve())
    except (ListenError, refusal) as error:
        sys.stderr.write(f"{prog}: {error}\n")
        sys.exit(2)
