"""Where does the time of each program go in the load of `path`: its ten costliest functions?"""

import asyncio
import subprocess
import sys
import sysconfig
import tempfile
from collections import Counter
from pathlib import Path

from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site

RESOURCES = 1000
RATE_PER_S = 200
TOOL = next(
    (
        path
        for folder in (Path(__file__).parents[1] / ".venv-bench" / "bin", Path(sysconfig.get_path("scripts")))
        if (path := folder / "py-spy").exists()
    ),
    None,
)
IDLE = ("Condition.wait", "select (", "Thread._bootstrap", "wait (threading")
"""Threads that wait are seen by the sampler where the kernel says they run, briefly, and cost nothing."""


def costs(raw: str, count: int = 10) -> list[tuple[str, float, float]]:
    """`(function, own share, share with what it calls)` of the costliest by their own time, from folded stacks."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    samples = 0
    for line in raw.splitlines():
        stack, _, text = line.rpartition(" ")
        frames = [frame.rpartition(":")[0] + ")" if ":" in frame else frame for frame in stack.split(";")]
        if not frames or frames[-1].startswith(IDLE):
            continue
        hits = int(text)
        samples += hits
        own[frames[-1]] += hits
        for frame in set(frames):
            total[frame] += hits
    return [(name, hits / samples, total[name] / samples) for name, hits in own.most_common(count)]


def _read_costs(path: Path) -> list[tuple[str, float, float]]:
    return costs(path.read_text())


async def bench(size: Size, found: Figures) -> None:
    seconds = 6 if size is Size.SHORT else 20
    if TOOL is None:
        found.notes.append("skipped: py-spy is not installed (`make bench` installs it)")
        return
    with tempfile.TemporaryDirectory() as folder:
        async with site(Shape()) as place:
            client = await Client.connect(place.urls[0], "zone-a")
            names = ids(RESOURCES)
            await client.each(names, CREATE)
            watching = {
                name: await asyncio.create_subprocess_exec(
                    str(TOOL), "record", "-p", str(process_id), "-d", str(seconds), "-r", str(RATE_PER_S),
                    "-f", "raw", "-F", "-o", f"{folder}/{name}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )
                for name, process_id in place.process_ids().items()
                if not name.startswith("nats")
            }  # fmt: skip
            await client.closed(names, CHANGE, seconds + 1, depth=2)
            for name, process in watching.items():
                code = await process.wait()
                if code:
                    found.notes.append(f"py-spy could not watch {name}: exit code {code}")
                    continue
                for function, own, total in await asyncio.to_thread(_read_costs, Path(folder, name)):
                    found.row(
                        f"{name}: the ten costliest functions, share of its samples",
                        function=f"`{function}`", own_percent=own * 100, with_callees_percent=total * 100,
                    )  # fmt: skip
            client.check()
            client.close()


if __name__ == "__main__":
    if sys.platform != "linux":
        sys.exit("only Linux lets us watch programs that we started")
    main("profile", __doc__, bench)
