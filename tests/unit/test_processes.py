"""What a test leaves behind is found, named with its test, and ended (`tests/conftest.py` looks at the end)."""

import os
import signal
import subprocess
import time
from uuid import uuid4

from tests.support.processes import POLL_S, RUN, left_over, processes_with


def wait_until_seen(run: str) -> list[int]:
    """The processes of a run, as soon as there is one: for a moment after its start a program shows no environment."""
    give_up_s = time.monotonic() + 30.0
    while not (found := list(processes_with(RUN, run))) and time.monotonic() < give_up_s:
        time.sleep(POLL_S)
    return found


def test_a_process_that_outlives_its_run_is_told_with_its_test_and_ended() -> None:
    run = uuid4().hex
    with subprocess.Popen(["sleep", "600"], env={**os.environ, RUN: run}, start_new_session=True) as process:
        assert wait_until_seen(run) == [process.pid]
        (told,) = left_over(run, patience_s=0.0)
        assert process.wait(30) == -signal.SIGKILL
    here = "tests/unit/test_processes.py::test_a_process_that_outlives_its_run_is_told_with_its_test_and_ended"
    assert told == f"{process.pid} ({here} (call)): sleep 600"


def test_what_ends_by_itself_and_what_another_run_has_started_is_not_told() -> None:
    run, other = uuid4().hex, uuid4().hex
    with (
        subprocess.Popen(["cat"], env={**os.environ, RUN: run}, stdin=subprocess.PIPE) as ending,
        subprocess.Popen(["sleep", "600"], env={**os.environ, RUN: other}) as foreign,
    ):
        try:
            assert wait_until_seen(run) == [ending.pid]
            assert ending.stdin is not None
            ending.stdin.close()
            assert left_over(run, patience_s=30.0) == []
            assert wait_until_seen(other) == [foreign.pid]
        finally:
            foreign.kill()
