"""The program: two sockets, one engine, one file; one commit for whatever arrived together."""

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from treeward.device_simulator.control import Control
from treeward.device_simulator.engine import Engine, JournalSynchronize
from treeward.device_simulator.faults import FaultSet
from treeward.device_simulator.journal import Journal
from treeward.device_simulator.ledger import Caller
from treeward.runtime.device_lines import LineConnection, listen, number_of
from treeward.schemas.device import REQUEST, Status
from treeward.schemas.units import explain_validation


@dataclass(frozen=True, slots=True)
class Options:
    """How to run."""

    data: Path
    listen: str
    control: str | None
    journal_synchronize: JournalSynchronize
    full: bool
    seed: int | None
    remembers: int


def refuse_line(line: bytes, error: ValidationError, caller: Caller) -> None:
    """Answer a line that is no request, under its own number if it has one."""
    answer = {"seq": number_of(line), "status": Status.INVALID.value, "reason": explain_validation(error)}
    caller.deliver(json.dumps(answer, separators=(",", ":")).encode() + b"\n")


async def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT, then end what is in progress, commit and close.

    Raises ListenError, or sqlite3.Error if the file cannot be used; after the latter nothing uncommitted was told.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, partial(_end, ended))
    loop.set_exception_handler(lambda _, context: _fail(ended, context))
    woken = False

    def wake() -> None:
        nonlocal woken
        if not woken:
            woken = True
            loop.call_soon(commit)

    def commit() -> None:
        nonlocal woken
        woken = False
        engine.commit()

    journal = Journal(options.data, full=options.full)
    engine = Engine(
        journal, clock_s=time.time, later=lambda delay_s, step: loop.call_later(delay_s, step).cancel, wake=wake,
        faults=FaultSet(seed=options.seed), journal_synchronize=options.journal_synchronize,
        remembers=options.remembers,
    )  # fmt: skip

    def handle(line: bytes, caller: LineConnection) -> None:
        try:
            request = REQUEST.validate_json(line)
        except ValidationError as error:
            refuse_line(line, error, caller)
        else:
            engine.handle(request, caller)

    connections: set[LineConnection] = set()
    async with contextlib.AsyncExitStack() as stack:
        server, address = await listen(options.listen, handle, connections)
        stack.callback(server.close)
        said: dict[str, Any] = {"listen": address, "control": None, "data": str(options.data)}
        if options.control is not None:
            control, said["control"] = await listen(options.control, Control(engine, journal).handle, connections)
            stack.callback(control.close)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        await ended
    engine.close()
    for connection in list(connections):
        connection.abort()


def _end(ended: "asyncio.Future[None]") -> None:
    if not ended.done():
        ended.set_result(None)


def _fail(ended: "asyncio.Future[None]", context: dict[str, Any]) -> None:
    """Any error in a callback ends the program: after it memory and file may differ."""
    if not ended.done():
        ended.set_exception(context.get("exception") or RuntimeError(context["message"]))


def main(options: Options) -> int:
    """Run the program; returns its exit code."""
    import uvloop

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(options))
    except (OSError, sqlite3.Error) as error:
        sys.stderr.write(f"treeward-device-simulator: {options.data}: {error}\n")
        return 1
    return 0
