"""One trial: a line is taken out of a copy of the tree, and what should notice is run there."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

from tests.mutants.table import Mutant

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("schemas", "libs", "services", "tests")
ROOTS = (
    "schemas",
    "libs",
    *(f"services/{each.name}" for each in sorted((ROOT / "services").iterdir()) if each.is_dir()),
)
ENDS_WITHIN_S = 600
NOTHING_FAILED, SOMETHING_FAILED = 0, 1
QUICK = "tests.mutants.quick"
SEEDS_SCRIPT = """
import sys
from treeward.simulation.misfortune import make_plan
from treeward.simulation.run import run_plan
for seed in map(int, sys.argv[1:]):
    print(f"seed {seed}", end="", flush=True)
    verdict = run_plan(make_plan(seed))
    if verdict.violations:
        print(f": {verdict.violations[0].rule}")
        sys.exit(1)
    print()
"""


class StaleRowError(Exception):
    """A row does not fit the code any more: the message says how. Whoever changed the line renews the row."""


def fingerprint(root: Path, tests: Iterable[str]) -> str:
    """What a trial depends on beside its row: all code of ours, and the tests that it names."""
    tests = {test.partition("::")[0] for test in tests}
    files = [
        path
        for part in ("schemas", "libs", "services", "tests/support")
        for path in sorted((root / part).rglob("*.py"))
    ]
    known = hashlib.sha256()
    for path in (*files, *(root / test for test in sorted(tests))):
        known.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    return known.hexdigest()


class Copy:
    """A copy of the tree in which one file at a time differs."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="treeward-mutants-"))
        self._written = 0

    def __enter__(self) -> "Copy":
        for part in PARTS:
            shutil.copytree(ROOT / part, self.path / part, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.path)
        if (ROOT / ".tools").exists():
            (self.path / ".tools").symlink_to(ROOT / ".tools")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def try_(self, mutant: Mutant, tests: Sequence[str], seeds: Iterable[int]) -> str | None:
        """What notices that the line is gone; None: nothing does. Raises StaleRowError."""
        path = self.path / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise StaleRowError(f"its text is {text.count(mutant.old)} times in {mutant.file}")
        self._write(path, text.replace(mutant.old, mutant.new))
        try:
            return self.run_tests(tests) or self.run_seeds(seeds)
        finally:
            self._write(path, text)

    def run_tests(self, tests: Sequence[str]) -> str | None:
        """The first of these tests (files, or tests by name) that fails; None: they all pass, or there is none.

        Raises StaleRowError if they cannot be run: that is no proof of anything.
        """
        if not tests:
            return None
        plugins = [f"-p{name}" for name in ("no:cacheprovider", "pytest_asyncio.plugin", "pytest_timeout", QUICK)]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "--tb=no", *plugins]
        code, said = self._run([*command, "-o", f"timeout={ENDS_WITHIN_S}", *tests])
        if code == NOTHING_FAILED:
            return None
        if code is None:
            return f"{tests[0]} does not end"
        failed = [line for line in said if line.startswith(("FAILED ", "ERROR "))]
        if code != SOMETHING_FAILED or not failed:
            raise StaleRowError(f"{' '.join(tests)} cannot be run: {said[-1] if said else f'pytest ends with {code}'}")
        return failed[0].partition(" ")[2].partition(" - ")[0].partition("[")[0]

    def run_seeds(self, seeds: Iterable[int]) -> str | None:
        """The first of these seeds that breaks a promise, and which; None: none does."""
        numbers = [str(seed) for seed in seeds]
        if not numbers:
            return None
        code, said = self._run([sys.executable, "-c", SEEDS_SCRIPT, *numbers])
        if code == NOTHING_FAILED:
            return None
        seed = next((line for line in reversed(said) if line.startswith("seed ")), None)
        if seed is None:
            raise StaleRowError(f"no seed can be run: {said[-1] if said else 'nothing is said'}")
        if code is None:
            return f"{seed} does not end"
        return seed if ": " in seed else f"{seed}: {said[-1]}"

    def _write(self, path: Path, text: str) -> None:
        """Each writing has a time of its own: what was compiled of the one before is never taken for this one."""
        path.write_text(text)
        self._written += 2
        os.utime(path, (self._written, self._written))

    def _run(self, command: list[str]) -> tuple[int | None, list[str]]:
        """The code with which it ended and what it said; None: it was ended, since it did not by itself."""
        roots = os.pathsep.join(str(self.path / root) for root in ROOTS)
        # Other plugins that happen to be there take longer to load than most of the tests to run.
        known = {"PYTHONPATH": roots, "PYTHONHASHSEED": "0", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        with subprocess.Popen(
            command, cwd=self.path, env=os.environ | known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                said, _ = process.communicate(timeout=ENDS_WITHIN_S)
                return process.returncode, said.splitlines()
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate()
                return None, said.splitlines()
