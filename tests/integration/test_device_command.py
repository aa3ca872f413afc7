"""`treeward device` as a user runs it, against a real simulator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.command import Said, treeward
from tests.support.device import Simulator, simulator


async def device_command(*arguments: str, control: str | None) -> Said:
    settings = {} if control is None else {"TREEWARD_DEVICE_CONTROL": control}
    return await treeward("device", *arguments, code=None, settings=settings)


@pytest.fixture
async def device(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A simulator with host-1 and vm.web-1."""
    async with simulator(tmp_path) as device:
        await device.host()
        await device.vm("web-1")
        yield device


async def test_a_fault_is_added_strikes_is_listed_and_cleared(device: Simulator) -> None:
    control = device.said["control"]
    fault = ("refuse", "--id", "web-*", "--operation", "stop", "--reason", "not today", "--times", "1")
    added = await device_command("fault", "add", *fault, "--json", control=control)
    assert (added.code, added.rows[0]["number"]) == (0, 1)
    assert await device.refused("vm.web-1", "stop") == "not today"
    listed = await device_command("fault", "list", control=control)
    assert listed.code == 0 and "id web-*, operation stop, times 1" in listed.out
    cleared = await device_command("fault", "clear", "1", "--json", control=control)
    assert (cleared.code, cleared.rows[0]["struck"]) == (0, 1)
    again = await device_command("fault", "clear", "1", control=control)
    assert (again.code, again.err) == (2, "error: there is no fault 1\n")


async def test_the_journal_and_what_exists_are_shown(device: Simulator) -> None:
    control = device.said["control"]
    calls = await device_command("journal", "zone-a.vm.web-1", "--json", control=control)
    assert calls.code == 0
    assert [(call["ticket"], call["outcome"], call["effect"]) for call in calls.rows] == [(2, "applied", 1)]
    table = await device_command("journal", control=control)
    assert "zone-a.host.host-1" in table.out and "zone-a.vm.web-1" in table.out
    shown = await device_command("show", "zone-a.vm.web-1", "--json", control=control)
    assert (shown.code, shown.rows[0]["observed"]["power"], shown.rows[0]["last"]) == (0, "running", 2)
    assert (await device_command("show", "zone-a.vm.web-9", "--json", control=control)).code == 1
    assert (await device_command("journal", "zone-a.vm.web-9", control=control)).code == 1
    counted = await device_command("statistics", "--json", control=control)
    assert counted.rows[0]["resources"] == {"host": 1, "vm": 1}


async def test_what_exists_is_changed_behind_everybodys_back(device: Simulator) -> None:
    control = device.said["control"]
    changed = await device_command("tamper", "zone-a.vm.web-1", "running=false", "--json", control=control)
    assert (changed.code, changed.rows[0]["observed"]["power"], changed.rows[0]["last"]) == (0, "stopped", 2)
    taken = await device_command("tamper", "zone-a.vm.web-1", "--remove", control=control)
    assert taken.code == 0 and "last          2" in taken.out and "observed" not in taken.out
    unsaid = await device_command("tamper", "zone-a.vm.web-1", control=control)
    assert (unsaid.code, unsaid.err) == (2, "error: say what changes, FIELD=VALUE, or --remove\n")
    absent = await device_command("tamper", "zone-a.vm.web-1", "--remove", control=control)
    assert (absent.code, absent.err) == (2, "error: vm web-1 does not exist\n")


@pytest.mark.parametrize(
    ("arguments", "control", "code", "said"),
    [
        (("fault", "list"), None, 2, "TREEWARD_DEVICE_CONTROL"),
        (("fault", "list"), "tcp://127.0.0.1:1", 3, "no device simulator answers at tcp://127.0.0.1:1"),
        (("fault", "list"), "http://nowhere", 2, "must be tcp://HOST:PORT"),
        (("show", "web-1"), "tcp://127.0.0.1:1", 2, "must be <zone>.<kind>.<id>"),
        (("fault", "add", "latency"), "tcp://127.0.0.1:1", 2, "latency needs seconds"),
        (("fault", "add", "explode"), "tcp://127.0.0.1:1", 2, "explode"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments: tuple[str, ...], control: str | None, code: int, said: str
) -> None:
    answer = await device_command(*arguments, control=control)
    assert answer.code == code
    assert said in answer.err
    assert "Traceback" not in answer.err
