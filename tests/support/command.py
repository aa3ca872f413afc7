"""The command `treeward`, run as a user runs it: a process of its own."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TREEWARD = str(Path(sys.executable).with_name("treeward"))
ENDS_WITHIN_S = 110.0


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What it said with `--json`: a value on each line."""
        return [json.loads(line) for line in self.out.splitlines()]


def call(
    *arguments: str,
    url: str | None = None,
    code: int | None = 0,
    settings: Mapping[str, str] | None = None,
    folder: Path | None = None,
    ends_within_s: float = ENDS_WITHIN_S,
) -> Said:
    """Run it to its end, which must have this exit code (None: any).

    `url` is that of NATS. Of the environment it has all but our own variables, and then `settings`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TREEWARD_")}
    if url is not None:
        environment["TREEWARD_NATS_URL"] = url
    done = subprocess.run(
        [TREEWARD, *arguments], env=environment | dict(settings or {}), cwd=folder, timeout=ends_within_s,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert code in (None, done.returncode), f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Said(done.returncode, done.stdout, done.stderr)


async def treeward(
    *arguments: str,
    url: str | None = None,
    code: int | None = 0,
    settings: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Said:
    """`call` beside the event loop."""
    return await asyncio.to_thread(call, *arguments, url=url, code=code, settings=settings, folder=folder)
