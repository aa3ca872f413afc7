"""NATS is lost for good, and what is left is a copy that is older than what the device remembers."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.command import treeward
from tests.support.until import until
from tests.support.up import Up, connected, effects, ending, submit

from treeward.runtime.books import query
from treeward.runtime.embedded_nats import EmbeddedNats, free_port


@pytest.fixture
def ups() -> Iterator[list[Up]]:
    with ending() as started:
        yield started


async def test_work_goes_on_from_a_copy_that_is_older_than_the_memory_of_the_device(
    tmp_path: Path, ups: list[Up]
) -> None:
    port = free_port()
    ups.append(first := Up(tmp_path, port))
    await first.ready()
    (tmp_path / "copies").mkdir()
    async with connected(port) as (bus, answers):
        saved = [await submit(bus, operation) for operation in ("create", "stop")]
        await until(lambda: all(ticket in answers for ticket in saved), "outcomes before the copy")
        await treeward("backup", str(tmp_path / "copies"), url=f"nats://127.0.0.1:{port}")
        lost = [await submit(bus, operation) for operation in ("start", "destroy")]
        await until(lambda: all(ticket in answers for ticket in lost), "outcomes after the copy")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    await until(lambda: not first.programs(), "end of every program")

    data = tmp_path / "data"
    shutil.rmtree(data / "nats")
    (remembered,) = query(data / "device.sqlite", "SELECT max(max(high), max(last), max(begun)) FROM records")[0]
    assert remembered > saved[-1], "the device has seen what the copy does not know"
    (copy,) = (tmp_path / "copies").iterdir()
    server = EmbeddedNats(data / "nats", port)
    server.start()
    await treeward("restore", str(copy), "--above", str(remembered), url=server.url)
    server.stop()

    ups.append(second := Up(tmp_path, port))
    await second.ready()
    async with connected(port) as (bus, answers):
        again = [await submit(bus, operation) for operation in ("start", "create", "stop")]
        assert again[0] > remembered
        await until(lambda: all(ticket in answers for ticket in again), "outcomes after the restore")
        told = [[event.type.value for event in answers[ticket]] for ticket in (*saved, *again)]
    # The copy says that the VM exists, the device that it does not, and what the device says counts.
    assert told == [["completed"], ["completed"], ["failed"], ["completed"], ["completed"]]
    assert effects(tmp_path) == ["create", "stop", "start", "destroy", "create", "stop"]
    for view in ("order_violations", "doubled_effects", "overlapping_calls", "life_violations", "dangling"):
        assert query(data / "device.sqlite", f"SELECT * FROM {view}") == []
