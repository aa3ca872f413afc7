"""The books can convict: each view finds what it is for, and every query of the documentation runs."""

import re
import sqlite3
from pathlib import Path

import pytest
from tests.support.device import JUDGES, simulator

DOCUMENT = Path(__file__).parents[2] / "docs/device-simulator.md"


@pytest.fixture
async def books(tmp_path: Path) -> sqlite3.Connection:
    """The books of a device on which two VMs were made, one moved and one is gone; its process has ended."""
    async with simulator(tmp_path) as device:
        await device.host()
        await device.host("host-2")
        await device.vm("web-1", cpus=2)
        await device.vm("web-2", cpus=2)
        await device.ask("synchronize", "vm.web-1", life=2, host="host-2")
        await device.applied("vm.web-2", "destroy")
    return sqlite3.connect(device.data)


def found(books: sqlite3.Connection) -> set[str]:
    return {view for view in JUDGES if books.execute(f"SELECT 1 FROM {view}").fetchone()}


async def test_a_healthy_history_convicts_nobody(books: sqlite3.Connection) -> None:
    assert found(books) == set()


@pytest.mark.parametrize(
    ("forgery", "convicted"),
    [
        ("UPDATE calls SET ticket = 99 WHERE resource = 'web-2' AND operation = 'create'", {"order_violations"}),
        ("UPDATE calls SET life = 9 WHERE resource = 'web-2' AND operation = 'create'", {"life_violations"}),
        ("UPDATE calls SET ticket = 4 WHERE resource = 'web-2' AND operation = 'destroy'", {"doubled_effects"}),
        ("UPDATE calls SET ended_at = ended_at + 60 WHERE resource = 'web-2'", {"overlapping_calls"}),
        ("UPDATE calls SET ended_at = NULL, outcome = 'in_progress' WHERE resource = 'web-2'", {"overlapping_calls"}),
        ("UPDATE resources SET host = 'host-9' WHERE resource = 'web-1'", {"dangling"}),
        ("UPDATE resources SET attached_to = '[\"web-2\"]' WHERE resource = 'web-1'", {"dangling"}),
        ("DELETE FROM calls WHERE resource = 'web-1'", {"unexplained_resources"}),
        ("UPDATE calls SET cpus_milli = 4500 WHERE operation = 'synchronize-move'", {"overcommitted"}),
        ("UPDATE calls SET cpus_milli = 3000 WHERE kind = 'host'", {"overcommitted"}),
    ],
)
async def test_each_crime_is_found_by_its_view(books: sqlite3.Connection, forgery: str, convicted: set[str]) -> None:
    assert books.execute(forgery).rowcount > 0
    assert found(books) == convicted


async def test_use_over_time_is_told_change_by_change(books: sqlite3.Connection) -> None:
    query = "SELECT cpus_milli_used, cpus_milli_capacity FROM utilisation WHERE host = ? ORDER BY effect_number"
    assert books.execute(query, ["host-1"]).fetchall() == [
        (0, 4000),
        (2000, 4000),
        (4000, 4000),
        (2000, 4000),
        (0, 4000),
    ]
    assert books.execute(query, ["host-2"]).fetchall() == [(0, 4000), (2000, 4000)]


async def test_every_query_of_the_documentation_runs(books: sqlite3.Connection) -> None:
    queries = [
        statement
        for block in re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        for statement in re.sub(r"--.*", "", block).split(";")
        if statement.strip()
    ]
    assert len(queries) > 10
    for statement in queries:
        books.execute(statement).fetchall()


async def test_synchronizes_are_rows_as_asked(tmp_path: Path) -> None:
    counts = {}
    for choice in ("all", "changes", "none"):
        (tmp_path / choice).mkdir()
        async with simulator(tmp_path / choice, "--journal-synchronize", choice) as device:
            await device.host()
            await device.ask("synchronize", "vm.web-1", life=5)
            await device.ask("synchronize", "vm.web-1", life=4)
            await device.ask("synchronize", "vm.web-2", host="host-1", definition={})
        counts[choice] = [row[0] for row in device.rows("SELECT operation FROM calls WHERE kind = 'vm' ORDER BY id")]
    assert counts == {
        "all": ["synchronize", "synchronize", "synchronize-make"],
        "changes": ["synchronize", "synchronize-make"],
        "none": ["synchronize-make"],
    }
