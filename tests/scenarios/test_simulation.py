"""The simulation itself: that a seed is one and the same run, and that the first seeds break no promise."""

import os
import subprocess
import sys

import pytest

from treeward.simulation.misfortune import make_plan
from treeward.simulation.run import run_plan

SEEDS = range(200)
ELSEWHERE = (2, 3, 21, 58)


@pytest.mark.parametrize("first", SEEDS[::20])
def test_no_seed_breaks_a_promise(first: int) -> None:
    called_ahead = 0
    for seed in range(first, first + 20):
        verdict = run_plan(make_plan(seed))
        assert not verdict.violations, f"python -m treeward.simulation --seed {seed} tells the story"
        called_ahead += verdict.called_ahead
    assert called_ahead, "else S13 was not tried"


def test_a_seed_is_a_run_whatever_ran_before() -> None:
    first = run_plan(make_plan(7))
    run_plan(make_plan(8))
    again = run_plan(make_plan(7))
    assert first.digest == again.digest
    assert first.trace.lines == again.trace.lines
    assert first.digest != run_plan(make_plan(8)).digest


def test_a_run_read_aloud_is_the_same_run() -> None:
    quiet, loud = run_plan(make_plan(11)), run_plan(make_plan(11), loud=True)
    assert quiet.steps == loud.steps
    assert quiet.outcomes == loud.outcomes


def test_a_seed_is_the_same_run_in_another_process() -> None:
    """Sets of texts come in another order in each process: nothing that counts may depend on it."""
    script = "from treeward.simulation.misfortune import make_plan; from treeward.simulation.run import run_plan\n"
    script += f"print([run_plan(make_plan(seed)).digest for seed in {list(ELSEWHERE)}])"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([run_plan(make_plan(seed)).digest for seed in ELSEWHERE])
