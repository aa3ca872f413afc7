"""The program: one socket, one guard, one file."""

import asyncio
import json
import signal
import sqlite3
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from treeward.device_guard.adapter import load_adapter
from treeward.device_guard.answers import say
from treeward.device_guard.guard import Guard
from treeward.device_guard.record_file import RecordFile
from treeward.runtime.device_lines import LineConnection, listen, number_of
from treeward.schemas.device import REQUEST, Status
from treeward.schemas.units import explain_validation
from treeward.telemetry.logs import get_log, set_up_logs

END_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Options:
    """How to run. `timeout_s` None: a program may take for ever."""

    data: Path
    listen: str
    adapter: str
    arguments: tuple[str, ...]
    timeout_s: float | None
    at_once_max: int


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT; then take nothing new, and end when no call is in progress.

    A second signal ends it at once: what was in progress is then in doubt until the next guard on the file has looked.
    Raises UnknownAdapterError, ListenError, or sqlite3.Error if the file cannot be used.
    """
    loop = asyncio.get_running_loop()
    asked, at_once = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(_ask_to_end, asked, at_once))
    adapter = load_adapter(
        options.adapter, options.arguments, timeout_s=options.timeout_s, at_once_max=options.at_once_max
    )
    file = RecordFile(options.data)
    connections: set[LineConnection] = set()
    guard: Guard

    def handle(line: bytes, caller: LineConnection) -> None:
        try:
            request = REQUEST.validate_json(line)
        except ValidationError as error:
            reason = explain_validation(error)
            say(caller, {"seq": number_of(line), "status": Status.INVALID.value, "reason": reason})
        else:
            guard.handle(request, caller)

    try:
        server, address = await listen(options.listen, handle, connections)
        async with asyncio.TaskGroup() as tasks:
            # Its first tasks take the turns of what an earlier guard has left, before any request is read.
            guard = Guard(file, adapter, tasks, get_log(), patience_s=options.timeout_s or 1.0)
            sys.stdout.write(json.dumps({"listen": address, "data": str(options.data)}) + "\n")
            sys.stdout.flush()
            await asked.wait()
            server.close()
            guard.ending = True
            while guard.calls and not at_once.is_set():
                await asyncio.sleep(END_POLL_S)
            raise _Ended
    except* _Ended:
        pass
    finally:
        for connection in list(connections):
            connection.abort()
        file.close()


class _Ended(Exception):  # noqa: N818 (no error: it cancels what is left of the group)
    pass


def _ask_to_end(asked: asyncio.Event, at_once: asyncio.Event) -> None:
    if asked.is_set():
        at_once.set()
    asked.set()


def main(options: Options) -> int:
    """Run the program; returns its exit code."""
    set_up_logs()
    code = 0
    try:
        asyncio.run(run(options))
    except* (OSError, sqlite3.Error) as group:
        for error in group.exceptions:
            sys.stderr.write(f"treeward-device-guard: {options.data}: {error}\n")
        code = 1
    return code
