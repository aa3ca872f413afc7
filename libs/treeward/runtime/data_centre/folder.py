"""The folder of a data centre: what survives a restart, and the lock that keeps a second one out."""

import fcntl
import os
from pathlib import Path
from typing import IO


class FolderError(Exception):
    """The folder cannot be used; the message says why in one sentence. Nothing was started."""


class Folder:
    """Paths below one folder; `open` makes it and locks it until `close`, or until this process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.nats = self.path / "nats"
        self.logs = self.path / "logs"
        self.device = self.path / "device.sqlite"
        """The books of the device simulator."""
        self.topology = self.path / "topology.json"
        """The topology that it was last started with."""
        self._lock: IO[str] | None = None

    def open(self) -> None:
        """Make what is missing and take the lock; raises FolderError."""
        try:
            for directory in (self.path, self.nats, self.logs):
                directory.mkdir(parents=True, exist_ok=True)
            lock = (self.path / "lock").open("a+")
        except OSError as error:
            raise FolderError(f"{self.path} cannot be used as a data folder: {error.strerror}") from None
        try:
            # The kernel gives the lock back when we die, however that is; no child inherits the file.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            text = f"{self.path} is in use by process {holder}; end that one, or choose another folder"
            raise FolderError(text) from None
        lock.seek(0)
        lock.truncate()
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def close(self) -> None:
        """Give the lock back; the files stay."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
