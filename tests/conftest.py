"""What holds for every test."""

import os
from collections.abc import Iterator
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from tests.support.processes import RUN, left_over

# A case that takes long on a busy machine is not wrong: times belong into bench/.
settings.register_profile("treeward", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("treeward")


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_tests() -> Iterator[None]:
    """Fails a run (under xdist: each worker) that leaves a process behind, also one whose tests failed, and ends it.

    It is set up before all others, so everything else has been torn down when it looks.
    """
    run = os.environ[RUN] = uuid4().hex
    yield
    del os.environ[RUN]
    if left := left_over(run, patience_s=10.0):
        pytest.fail("these processes outlive their tests:\n" + "\n".join(left), pytrace=False)
