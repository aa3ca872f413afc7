"""A program that is started again whenever it ends, as an init system would; its process id is in a file."""

import asyncio
import contextlib
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from pathlib import Path


class Kept:
    def __init__(self, command: tuple[str, ...], folder: Path) -> None:
        self.command = command
        self.folder = folder
        self.starts = 0
        self.process: Process | None = None

    async def run(self) -> None:
        """Until it is cancelled; then the program is killed."""
        try:
            while True:
                with (self.folder / "log").open("ab") as log:
                    self.process = await asyncio.create_subprocess_exec(
                        *self.command, stdout=DEVNULL, stderr=log, cwd=self.folder
                    )
                (self.folder / "pid").write_text(str(self.process.pid))
                self.starts += 1
                await self.process.wait()
                await asyncio.sleep(0.05)
        finally:
            if self.process is not None and self.process.returncode is None:
                self.process.kill()
                await self.process.wait()


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
