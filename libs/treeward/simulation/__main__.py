"""`python -m treeward.simulation --seeds 10000`: run many seeds, and tell the shortest story of each that fails."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from treeward.simulation.misfortune import make_plan
from treeward.simulation.run import Verdict, run_plan
from treeward.simulation.shrink import shrink
from treeward.simulation.story import tell

PROGRESS_S = 5.0
STORIES_MAX = 3


class Summary(NamedTuple):
    """What is told of a run that need not be read."""

    seed: int
    violations: tuple[str, ...]
    units: int
    outcomes: dict[str, int]
    crashes: int
    called_ahead: int
    recalled: int
    virtual_s: float
    answered_after_s: float


def run_seed(seed: int) -> Summary:
    """Run one seed."""
    return summarize(run_plan(make_plan(seed)))


def summarize(verdict: Verdict) -> Summary:
    """The verdict without its trace."""
    return Summary(
        verdict.seed,
        tuple(map(str, verdict.violations)),
        verdict.units,
        verdict.outcomes,
        verdict.crashes,
        verdict.called_ahead,
        verdict.recalled,
        verdict.virtual_s,
        max(0.0, verdict.answered_s - verdict.healed_s),
    )


def run_seeds(seeds: Iterable[int], jobs: int) -> Iterator[Summary]:
    """Run many, `jobs` at a time."""
    if jobs == 1:
        yield from map(run_seed, seeds)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(run_seed, seeds, chunksize=4)


def say(text: object) -> None:
    """A line for whoever waits for it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m treeward.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default 0)")
    parser.add_argument("--seed", type=int, help="only this one, with its story")
    parser.add_argument("--trace", action="store_true", help="with --seed: everything that happened, unshortened")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time (default: one for each core)")
    arguments = parser.parse_args()
    if arguments.seed is not None:
        sys.exit(_one(arguments.seed, trace=arguments.trace))
    sys.exit(_many(range(arguments.first, arguments.first + arguments.seeds), arguments.jobs))


def _one(seed: int, *, trace: bool) -> int:
    plan = make_plan(seed)
    verdict = run_plan(plan, loud=True)
    if trace:
        say(verdict.trace)
    elif verdict.violations:
        plan, verdict = shrink(plan)
        say(tell(plan, verdict))
    say(f"seed {seed}: {verdict.units} units, {verdict.outcomes}, {verdict.crashes} crashes, {verdict.digest[:16]}")
    say("\n".join(f"  VIOLATION {violation}" for violation in verdict.violations) or "  no violation")
    return bool(verdict.violations)


def _many(seeds: range, jobs: int) -> int:
    begun_s = told_s = time.monotonic()
    failed: list[Summary] = []
    outcomes: Counter[str] = Counter()
    count = units = crashes = ahead = recalled = 0
    virtual_s = slowest_s = 0.0
    for summary in run_seeds(seeds, jobs):
        count += 1
        units += summary.units
        crashes += summary.crashes
        ahead += summary.called_ahead
        recalled += summary.recalled
        virtual_s += summary.virtual_s
        slowest_s = max(slowest_s, summary.answered_after_s)
        outcomes.update(summary.outcomes)
        if summary.violations:
            failed.append(summary)
            say(f"seed {summary.seed}: {'; '.join(summary.violations)[:400]}")
        if time.monotonic() - told_s > PROGRESS_S:
            told_s = time.monotonic()
            say(f"{count} of {len(seeds)} seeds, {len(failed)} failed, {count / (told_s - begun_s):.1f} seeds/s")
    took_s = time.monotonic() - begun_s
    say(
        f"{count} seeds in {took_s:.0f} s ({count / took_s:.1f} seeds/s), {virtual_s / 3600:.1f} virtual hours, "
        f"{units} units, {crashes} crashes of processes, {len(failed)} seeds failed; "
        f"answered {slowest_s:.1f} s after the last fault at the latest"
    )
    say(f"  {ahead} calls ahead of the log; {recalled} outcomes told by a device that had gone on meanwhile")
    say("  " + ", ".join(f"{name} {number}" for name, number in sorted(outcomes.items())))
    for summary in sorted(failed)[:STORIES_MAX]:
        plan, verdict = shrink(make_plan(summary.seed))
        say("\n" + tell(plan, verdict))
    return bool(failed)


if __name__ == "__main__":
    main()
