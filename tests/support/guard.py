"""The guard in front of a script, started again when it dies, and a connection to it."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.device import Wire, request
from tests.support.kept import Kept, kept
from tests.support.until import until

from treeward.schemas.device import Answer

EXAMPLES = Path(__file__).parents[2] / "services" / "device-guard" / "examples"
PROGRAMS = {"shell": [str(EXAMPLES / "files.sh")], "perl": ["perl", str(EXAMPLES / "files.pl")]}
WRAPPER = r"""#!/bin/sh
# Runs an adapter; slowly if there is a file `slow`; kills the guard after the effect if there is a file `kill-guard`.
read -r request || exit 1
if [ "$TREEWARD_VERB" = call ]; then
    echo "$TREEWARD_TICKET $TREEWARD_AGAIN" >>runs
    if [ -e slow ]; then sleep 0.7; fi
fi
answer=$(printf '%s\n' "$request" | "$@")
code=$?
if [ "$TREEWARD_VERB" = call ] && [ -e kill-guard ]; then
    rm kill-guard
    kill -9 "$(cat pid)"
fi
printf '%s\n' "$answer"
exit $code
"""


def guard_of(folder: Path, *program: str, timeout_s: float = 30.0) -> tuple[str, ...]:
    """The command line of a guard; its address is that of `address_of`."""
    options = ("--data", "guard.sqlite", "--listen", address_of(folder), "--timeout", f"{timeout_s}")
    return (sys.executable, "-m", "treeward.device_guard", *options, "--", *program)


def address_of(folder: Path) -> str:
    return f"unix://{folder}/s"


def wrapped(folder: Path, program: str) -> tuple[str, ...]:
    (folder / "wrapper.sh").write_text(WRAPPER)
    (folder / "wrapper.sh").chmod(0o755)
    (folder / "held").mkdir()
    return (str(folder / "wrapper.sh"), *PROGRAMS[program], "held")


def script(folder: Path, text: str) -> str:
    """An adapter; it may `wait_for FILE`, and does not outlive the tests when it does."""
    wait_for = f'wait_for() {{ until [ -e "$1" ] || [ ! -e /proc/{os.getpid()} ]; do sleep 0.05; done; }}'
    (folder / "adapter.sh").write_text(f"#!/bin/sh\n{wait_for}\nread -r request || exit 1\n{text}\n")
    (folder / "adapter.sh").chmod(0o755)
    return str(folder / "adapter.sh")


async def connect(folder: Path) -> Wire:
    """A connection to a guard that may still be starting."""

    async def open_wire() -> Wire | None:
        with contextlib.suppress(OSError):
            wire = await Wire.open(address_of(folder))
            await wire.ask(verb="ping")
            return wire
        return None

    return await until(open_wire, f"the guard of {folder} answers")


@contextlib.asynccontextmanager
async def guarded(folder: Path, *program: str, timeout_s: float = 30.0) -> AsyncIterator[tuple[Kept, Wire]]:
    """A guard that is started again when it dies, and a connection to it."""
    async with kept(guard_of(folder, *program, timeout_s=timeout_s), folder) as keeper:
        wire = await connect(folder)
        yield keeper, wire
        await wire.close()


def has_started(keeper: Kept, times: int) -> bool:
    return keeper.starts == times


async def synchronize(wire: Wire, life: int, **fields: Any) -> Answer:
    """Synchronize as often as it is busy."""

    async def synchronized() -> Answer | None:
        answer = await wire.ask(**request("synchronize", "vm.web-1", life=life, **fields))
        return answer if answer.status != "busy" else None

    return await until(synchronized)


def call_of(ticket: int, operation: str = "create", *, life: int = 1, **fields: Any) -> dict[str, Any]:
    return request("call", "vm.web-1", life=life, ticket=ticket, operation=operation, **fields)
