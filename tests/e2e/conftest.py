"""One data centre for the tests of a user's path: real processes, started once, found healthy and left healthy."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from tests.support.user import User, at

from treeward.bus.nats_bus import NatsBus
from treeward.cli.apply import apply_topology
from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import Layout, default_topology

QUICK = {"TREEWARD_CALL_TIMEOUT_S": "1", "TREEWARD_BACKOFF_MAX_S": "0.4"}
"""A hanging call is given up after a second, so that a test of it need not wait for half a minute."""


@contextmanager
def running(folder: Folder, layout: Layout, *, port: int | None = None) -> Iterator[DataCentre]:
    """A data centre with its topology applied; killed at the end, since nobody needs its data any more."""
    folder.open()
    centre = DataCentre(folder, layout, port=port)
    try:
        asyncio.run(_start(centre))
        yield centre
    finally:
        centre.kill()
        folder.close()


async def _start(centre: DataCentre) -> None:
    await centre.start()
    bus = await NatsBus.connect(centre.url, name="topology", timeout_s=10)
    try:
        report = await apply_topology(bus, centre.layout.topology)
    finally:
        await bus.close()
    assert report.fine, report


@pytest.fixture(scope="session")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCentre]:
    """Zone `zone-a`, pods `a1` and `a2` with two hosts each; one instance of each service, two pod agents."""
    folder = Folder(tmp_path_factory.mktemp("centre") / "data")
    layout = Layout(default_topology(1, 2, 2), orchestrators=1, zone_supervisors=1, settings=QUICK)
    with running(folder, layout) as centre:
        yield centre


@pytest.fixture
async def user(centre: DataCentre) -> AsyncIterator[User]:
    """A user of `zone-a`. Afterwards every program is still the one that ran before the test, unless it was told to."""
    before = centre.process_ids
    async with at(centre) as user:
        yield user
    assert centre.process_ids == before
