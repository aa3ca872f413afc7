"""Proof by removal: `python -m tests.mutants [name ...]` takes each safety line out of a copy and says what notices.

A line that can be removed without anybody noticing is either not needed or not tested. Each row of `table` and
`supervision` is tried on a copy of the tree of its own, first with the tests that should fail, then with seeds of the
simulation. A mutant that survives, or whose text is not in its file any more, makes this program fail.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.supervision import SUPERVISION
from tests.mutants.table import MUTANTS, Mutant
from tests.mutants.takeover import TAKEOVER

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("schemas", "libs", "services", "tests")
ROOTS = (
    "schemas",
    "libs",
    *(f"services/{each.name}" for each in sorted((ROOT / "services").iterdir()) if each.is_dir()),
)
SEEDS_AT_ONCE = 50
SEEDS_SCRIPT = """
import sys
from treeward.simulation.misfortune import make_plan
from treeward.simulation.run import run_plan
for seed in range(int(sys.argv[1]), int(sys.argv[2])):
    verdict = run_plan(make_plan(seed))
    if verdict.violations:
        print(f"seed {seed}: {verdict.violations[0].rule}")
        sys.exit(1)
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    parser.add_argument("--seeds", type=int, default=400, help="try so many seeds at most (default 400)")
    arguments = parser.parse_args()
    survivors = 0
    for mutant in (*MUTANTS, *SUPERVISION, *TAKEOVER):
        if arguments.names and mutant.name not in arguments.names:
            continue
        begun_s = time.monotonic()
        try:
            noticed = try_mutant(mutant, arguments.seeds)
        except LookupError as error:
            print(error, flush=True)
            survivors += 1
            continue
        survivors += noticed is None
        took = f"{time.monotonic() - begun_s:4.0f} s"
        print(f"{mutant.name:34} {mutant.rule:12} {took}  {noticed or 'SURVIVES'}", flush=True)
    sys.exit(survivors > 0)


def try_mutant(mutant: Mutant, seeds: int) -> str | None:
    """What notices that the line is gone; None: nothing does."""
    with tempfile.TemporaryDirectory(prefix="treeward-mutant-") as folder:
        copy = Path(folder)
        for part in PARTS:
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", copy)
        path = copy / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise LookupError(
                f"{mutant.name}: its text is {text.count(mutant.old)} times in {mutant.file}: renew the row"
            )
        path.write_text(text.replace(mutant.old, mutant.new))
        for test in mutant.tests:
            if (noticed := run_test(copy, test)) is not None:
                return noticed
        return run_seeds(copy, seeds)


def run_test(copy: Path, test: str) -> str | None:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", test]
    done = run(copy, command)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0].rpartition("/")[2] if done.returncode else None


def run_seeds(copy: Path, seeds: int) -> str | None:
    for first in range(0, seeds, SEEDS_AT_ONCE):
        done = run(copy, [sys.executable, "-c", SEEDS_SCRIPT, str(first), str(first + SEEDS_AT_ONCE)])
        if done.returncode:
            said = (done.stdout or done.stderr).strip().splitlines()
            return said[-1][:80] if said else f"seeds from {first}"
    return None


def run(copy: Path, command: list[str]) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(copy / root) for root in ROOTS),
        "PYTHONHASHSEED": "0",
    }
    try:
        return subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "FAILED it does not end", "")


if __name__ == "__main__":
    main()
