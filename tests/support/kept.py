"""A program that is started again whenever it ends, as an init system would; its process id is in a file."""

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

from tests.support.processes import end, processes_with

from treeward.runtime.data_centre.child import leashed

KEPT = "TESTS_OF_KEPT"
"""Set for a kept program and, by inheritance, for all that it starts."""


class Kept:
    def __init__(self, command: tuple[str, ...], folder: Path) -> None:
        self.command = command
        self.folder = folder
        self.starts = 0
        self.process: Process | None = None
        self._name = uuid4().hex

    async def start(self) -> Process:
        """Start it; it dies with the tests."""
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *leashed(), *self.command, stdout=DEVNULL, stderr=log, cwd=self.folder,
                env={**os.environ, KEPT: self._name},
            )  # fmt: skip
        (self.folder / "pid").write_text(str(self.process.pid))
        self.starts += 1
        return self.process

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            process = await self.start()
            await process.wait()
            await asyncio.sleep(0.05)

    async def end(self) -> None:
        """Kill it, and whatever one of its runs has left behind."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        for process_id in processes_with(KEPT, self._name):
            end(process_id)


@contextlib.asynccontextmanager
async def kept(command: tuple[str, ...], folder: Path) -> AsyncIterator[Kept]:
    """A kept program, until the end of the block. `kill -9 $(cat FOLDER/pid)` restarts it."""
    program = Kept(command, folder)
    task = asyncio.create_task(program.run())
    try:
        yield program
    finally:
        task.cancel()
        await asyncio.wait([task])
        await program.end()


@contextlib.asynccontextmanager
async def started(command: tuple[str, ...], folder: Path) -> AsyncIterator[Process]:
    """A program that nobody starts again."""
    program = Kept(command, folder)
    try:
        yield await program.start()
    finally:
        await program.end()
