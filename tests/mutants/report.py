"""The table of a whole run as a page: what each row takes out, what noticed, and which rules have rows."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tests.mutants.rules import DESIGN, PROTOCOL, Rule, rows_of
from tests.mutants.table import Mutant
from tests.mutants.trial import ROOT

HEADING = """# Proof by removal

Which safety lines there are, which rule each keeps, and what notices when it is taken out.

    make mutants                                        # all rows; writes this page
    .venv/bin/python -m tests.mutants "no previous"     # one row

Each row takes one safety line out of a copy of the code, or turns it round, and runs what should notice: first the
tests that the row names, then seeds of the simulation. What notices is in the last column, and was seen to be quiet on
the unchanged code. The rows are data in `tests/mutants/`, with the exact text that is taken out; a row whose text is
not in its file any more is an error. `.mutants.json` keeps what is known, so an interrupted run goes on where it was; a
result counts for as long as no line of our code, nor a test that the row names, is another.

This page is written by the program: `python -m tests.mutants --write docs/mutants.md`.
"""


class Result(NamedTuple):
    """What became of one row; `noticed` None: it survives."""

    noticed: str | None
    took_s: float


def render(mutants: Sequence[Mutant], results: Mapping[str, Result], *, seeds: int) -> str:
    """The page. Every row has a result."""
    noticed = [results[mutant.name].noticed for mutant in mutants]
    by_seed = sum(said is not None and said.startswith("seed ") for said in noticed)
    survivors = [mutant.name for mutant in mutants if results[mutant.name].noticed is None]
    took_s = sum(result.took_s for result in results.values())
    lines = [
        HEADING,
        "## The last whole run\n",
        f"{len(mutants)} rows: {len(mutants) - by_seed - len(survivors)} noticed by a test, {by_seed} by a seed, "
        f"{len(survivors)} by nothing{': ' + ', '.join(survivors) if survivors else ''}.\n",
        f"Commit {_commit()}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, `python -m tests.mutants "
        f"{' '.join(sys.argv[1:])}` (up to {seeds} seeds); the trials took {took_s:.0f} s in "
        f"all, on a machine with load {os.getloadavg()[2]:.1f} and {os.cpu_count()} cores.\n",
        "| row | rules | file | noticed by |",
        "| --- | --- | --- | --- |",
        *(_row(mutant, results[mutant.name]) for mutant in mutants),
        "",
        "## Rules and their rows\n",
        "PROTOCOL's table of what breaks without each rule:\n",
        *_coverage(PROTOCOL, mutants),
        "",
        "DESIGN sections 3 to 6, beyond that:\n",
        *_coverage(DESIGN, mutants),
    ]
    return "\n".join(lines) + "\n"


def _row(mutant: Mutant, result: Result) -> str:
    noticed = result.noticed.rpartition("/")[2] if result.noticed is not None else "**nothing**"
    return f"| {mutant.name} | {mutant.rule} | `{mutant.file.rpartition('/')[2]}` | {noticed} |"


def _coverage(rules: Sequence[Rule], mutants: Sequence[Mutant]) -> list[str]:
    lines = ["| rule | what must hold | rows |", "| --- | --- | --- |"]
    for rule in rules:
        rows = rows_of(rule, mutants)
        lines.append(f"| {rule.id} | {rule.says} | {'; '.join(rows) or f'none: {rule.none}'} |")
    return lines


def _commit() -> str:
    """The last commit that changed what was tried."""
    code = ("schemas", "libs", "services")
    commit = _git("log", "-1", "--format=%h", "--", *code)
    return f"{commit} with changes that are not committed" if _git("status", "--porcelain", "--", *code) else commit


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
