"""A disk that can be full: a small tmpfs where a NATS server keeps its files. It takes the right to mount."""

import contextlib
import subprocess
from pathlib import Path

PIECE_BYTES = 64 * 1024
FILLER = "filler"


class NoMountError(Exception):
    """This user may not mount a tmpfs; nothing was mounted."""


class Disk:
    """`mebibytes` of room at `path`, which is made; `close` gives it back with all that is in it."""

    def __init__(self, path: Path, mebibytes: int) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "treeward-faults", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoMountError(done.stderr.strip())

    def fill(self) -> None:
        """Take all the room that is left."""
        with (self.path / FILLER).open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(PIECE_BYTES))

    def make_room(self) -> None:
        """Give it back."""
        (self.path / FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        """Unmount it, also while somebody has files open there."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=False, capture_output=True)
