"""Proof by removal: `python -m tests.mutants [name ...]` takes each safety line out of a copy and says what notices.

A line that can be removed without anybody noticing is either not needed or not tested. Each row of the tables is tried,
first with the tests that should fail, then with seeds of the simulation. A mutant that survives, or whose text is not
in its file any more, makes this program fail.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from tests.mutants.report import Result, render
from tests.mutants.rows import ROWS
from tests.mutants.table import Mutant
from tests.mutants.trial import ROOT, Copy, StaleRowError, fingerprint

KNOWN = ROOT / ".mutants.json"


@dataclass
class Known:
    """What is known of rows from earlier runs, by name; written after each trial."""

    path: Path
    rows: dict[str, dict[str, object]] = field(default_factory=dict)

    def load(self) -> None:
        """Read what there is."""
        if self.path.exists():
            self.rows = json.loads(self.path.read_text())

    def keep(self, name: str, depends_on: str, result: Result) -> None:
        """Remember a result."""
        self.rows[name] = {"depends_on": depends_on, **result._asdict()}
        self.path.write_text(json.dumps(self.rows, indent=1))

    def result(self, name: str, depends_on: str) -> Result | None:
        """A result that still counts."""
        row = self.rows.get(name)
        if row is None or row["depends_on"] != depends_on:
            return None
        return Result(row["noticed"], row["took_s"])  # type: ignore[arg-type]


class Trials:
    """The rows of one run, one at a time, on one copy of the tree."""

    def __init__(self, copy: Copy, known: Known, seeds: int) -> None:
        self._copy = copy
        self._known = known
        self._seeds = seeds

    def try_(self, mutant: Mutant) -> Result:
        """The result of one row, from an earlier run if nothing that it depends on has changed since."""
        depends_on = fingerprint(ROOT, mutant.tests) + f" {hash_of(mutant)} {self._seeds}"
        known = self._known.result(mutant.name, depends_on)
        if known is not None:
            return known
        begun_s = time.monotonic()
        noticed = self._copy.try_(mutant, mutant.tests, range(self._seeds))
        result = Result(noticed, time.monotonic() - begun_s)
        self._known.keep(mutant.name, depends_on, result)
        return result

    def check_unchanged(self, noticed: Collection[str]) -> str | None:
        """Which of those that have noticed something fails as well when nothing is taken out; None: none of them."""
        seeds = sorted({seed for said in noticed if (seed := seed_of(said)) is not None})
        tests = sorted({said.partition(" ")[0] for said in noticed if seed_of(said) is None})
        return self._copy.run_tests(tests) or self._copy.run_seeds(seeds)


def seed_of(noticed: str) -> int | None:
    """The seed, if it was one that noticed."""
    number = re.match(r"seed (\d+)", noticed)
    return int(number[1]) if number else None


def hash_of(mutant: Mutant) -> str:
    """What a row takes out and asks, shortly."""
    return f"{mutant.rule}/{mutant.file}/{mutant.old!r}/{mutant.new!r}/{' '.join(mutant.tests)}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    parser.add_argument("--seeds", type=int, default=400, help="try so many seeds at most (default 400)")
    parser.add_argument("--anew", action="store_true", help="believe nothing of what earlier runs have found")
    parser.add_argument("--write", type=Path, help="write the page of all rows")
    arguments = parser.parse_args()
    known = Known(KNOWN)
    if not arguments.anew:
        known.load()
    chosen = [mutant for mutant in ROWS if not arguments.names or mutant.name in arguments.names]
    results: dict[str, Result] = {}
    with Copy() as copy:
        trials = Trials(copy, known, arguments.seeds)
        for mutant in chosen:
            try:
                result = trials.try_(mutant)
            except StaleRowError as error:
                print(f"{mutant.name}: {error}: renew the row", flush=True)
                continue
            results[mutant.name] = result
            print(f"{mutant.name:42} {result.took_s:4.0f} s  {result.noticed or 'SURVIVES'}", flush=True)
        wrong = trials.check_unchanged([result.noticed for result in results.values() if result.noticed is not None])
    if wrong is not None:
        sys.exit(f"{wrong} fails when nothing is taken out: it proves nothing")
    if arguments.write is not None and len(results) == len(ROWS):
        arguments.write.write_text(render(ROWS, results, seeds=arguments.seeds))
    survivors = sum(result.noticed is None for result in results.values())
    print(f"{len(results)} of {len(chosen)} rows tried, {survivors} survive")
    sys.exit(len(results) != len(chosen) or survivors > 0 or not chosen)


if __name__ == "__main__":
    main()
