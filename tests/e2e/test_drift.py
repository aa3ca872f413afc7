"""A device is changed behind everybody's back: it is found, told, and what policy says is done, with real processes."""

import json
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tests.e2e.conftest import QUICK, running
from tests.support.command import treeward
from tests.support.until import until
from tests.support.user import User, at, started_again

from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.data_centre.folder import Folder
from treeward.runtime.data_centre.layout import Layout, default_topology
from treeward.schemas import subjects
from treeward.schemas.events import Event

ROUND_S = "0.5"


@pytest.fixture(scope="module")
def attentive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataCentre]:
    """Zone `zone-a`, pod `a1` with one host, one pod agent; every resource is looked after twice a second."""
    settings = {**QUICK, "TREEWARD_BACKGROUND_SYNCHRONIZATION_S": ROUND_S}
    folder = Folder(tmp_path_factory.mktemp("attentive") / "data")
    layout = Layout(default_topology(1, 1, 1), orchestrators=1, zone_supervisors=1, settings=settings)
    with running(folder, layout) as centre:
        yield centre


@pytest.fixture
async def user(attentive: DataCentre) -> AsyncIterator[User]:
    async with at(attentive) as user:
        yield user


async def tamper(user: User, name: str, **definition: Any) -> None:
    """Change a VM at its device; without fields it is taken away."""
    said = await user.control("tamper", zone=user.zone, kind="vm", id=name, definition=definition or None)
    assert said.status == "ok", said


async def drifted(user: User, key: str, count: int) -> Event:
    """The `count`th word about a difference."""
    found = await until(lambda: user.seen(key, "drifted")[count - 1 : count], f"{count} times drifted of {key}")
    return found[0]


async def restored(user: User, key: str, count: int) -> Event:
    """The `count`th restoration that was completed."""

    def seen() -> list[Event]:
        return [event for event in user.seen(key, "completed") if event.operation == "restore"]

    return (await until(lambda: seen()[count - 1 : count], f"{count} times restored"))[0]


async def state(user: User, key: str) -> dict[str, Any]:
    request = json.dumps({"key": key}).encode()
    reply = await user.bus.request(subjects.api("state", user.zone), request, timeout_s=20.0)
    assert reply is not None
    (resource,) = json.loads(reply)["resources"]
    found: dict[str, Any] = resource
    return found


async def told(user: User, address: str) -> str:
    """What `treeward state` prints."""
    return (await treeward("state", address, "--timeout", "20", url=user.centre.url)).out


def desired(event: Event) -> dict[str, Any]:
    assert event.definition is not None
    return event.definition


async def test_what_others_change_is_reported_until_the_device_agrees_again(user: User) -> None:
    created = await user.done("vm.watched", "create")
    await tamper(user, "watched", running=False)
    found = await drifted(user, "vm.watched", 1)
    assert found.drift is not None and found.drift.definition == desired(created) | {"running": False}
    assert found.definition == created.definition
    shown = await state(user, "vm.watched")
    assert (shown["exists"], shown["definition"], shown["doubt"]) == (True, created.definition, None)
    assert (shown["observed"]["power"], shown["drift"]["policy"]) == ("stopped", "report")
    text = await told(user, "zone-a.vm.watched")
    assert "changed by others" in text and "it is reported, and nothing else is done" in text
    await tamper(user, "watched", running=True)
    assert (await drifted(user, "vm.watched", 2)).drift is None
    assert (await state(user, "vm.watched"))["drift"] is None
    await tamper(user, "watched")
    gone = await drifted(user, "vm.watched", 3)
    assert gone.drift is not None and (gone.drift.exists, gone.removed, gone.pod) == (False, False, "a1")
    listed = await told(user, "zone-a")
    assert [line for line in listed.splitlines() if "vm.watched" in line and "absent" in line and "removed by" in line]
    failed = await user.outcome(await user.submit("vm.watched", "destroy"))
    assert (failed.type, failed.removed) == ("failed", True), "a unit has resolved it: nothing exists, as it finds out"
    assert (await state(user, "vm.watched"))["drift"] is None


async def test_what_others_change_is_desired_from_then_on_where_that_is_the_policy(user: User) -> None:
    created = await user.done("vm.lenient", "create", spec={"cpus": 1.0})
    await user.done("vm.lenient", "configure", spec={"on_drift": "accept"})
    await tamper(user, "lenient", cpus=2.0)
    found = await drifted(user, "vm.lenient", 1)
    assert found.definition == desired(created) | {"cpus": 2.0}
    assert (await state(user, "vm.lenient"))["drift"] is None
    await tamper(user, "lenient")
    gone = await drifted(user, "vm.lenient", 2)
    assert (gone.removed, gone.definition, gone.pod) == (True, None, None)
    again = await user.done("vm.lenient", "create")
    assert again.pod == "a1", "its address was given back, and is placed anew"
    await user.done("vm.lenient", "destroy")


async def test_what_others_change_is_restored_by_a_unit_of_work(user: User) -> None:
    created = await user.done("vm.precious", "create")
    await user.done("vm.precious", "configure", spec={"on_drift": "restore"})
    for number, change in enumerate(({"running": False}, {}), 1):
        await tamper(user, "precious", **change)
        last = await restored(user, "vm.precious", number)
        assert (last.definition, last.drift) == (created.definition, None)
        assert user.exists("vm.precious") == created.host
    calls = [call for call in user.calls("vm.precious") if call[1] == "restore"]
    assert [(outcome, effect) for _, _, outcome, effect in calls] == [("applied", 1)] * 2
    await user.done("vm.precious", "destroy")
    assert user.exists("vm.precious") is None


async def test_an_agent_that_is_killed_while_it_restores_restores_nothing_twice(user: User) -> None:
    created = await user.done("vm.unlucky", "create")
    await user.done("vm.unlucky", "configure", spec={"on_drift": "restore"})
    slow = await user.fault("hang", kind="vm", id="unlucky", operation="restore", times=1)
    await tamper(user, "unlucky")
    first = await drifted(user, "vm.unlucky", 1)
    assert first.drift is not None
    ticket = await until(lambda: next((call[0] for call in user.calls("vm.unlucky") if call[1] == "restore"), None))
    owner = (await state(user, "vm.unlucky"))["owner"]
    agent = owner.rpartition("-")[0]
    user.centre.programs[agent].kill()
    assert user.centre.programs[agent].exit_code == -signal.SIGKILL
    await started_again(user.centre)
    await user.mend(slow)
    answered = await user.outcome(ticket)
    assert (answered.type, answered.operation, answered.definition) == ("completed", "restore", created.definition)
    await until(lambda: user.events["vm.unlucky"][-1].drift is None, "nothing differs any more")
    applied = [call for call in user.calls("vm.unlucky") if call[1] == "restore" and call[3]]
    assert len(applied) == 1, "it took effect once"
    assert user.exists("vm.unlucky") == created.host
    await user.done("vm.unlucky", "destroy")
