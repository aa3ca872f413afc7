"""Copies of everything, made and used by the keys that are for it."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support.command import Said, treeward
from tests.support.credentials import accounts_of, connected_as
from tests.support.seen import Seen
from tests.support.until import until

from treeward.bus.interface import Draft, Guard, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.cli.credentials_folder import CredentialsFolder
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention

ZONE, CLAIM = "zone-a", subjects.claim_of_zone("zone-a")
KEPT = [of(zone) for zone in (ROOT, ZONE) for of in (streams.work, streams.work_history, streams.log, streams.state)]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    CredentialsFolder(tmp_path / "keys").make([ZONE])
    return tmp_path / "keys"


@pytest.fixture
def servers(tmp_path: Path, keys: Path) -> Iterator[tuple[EmbeddedNats, EmbeddedNats]]:
    """One that is saved, and an empty one."""
    both = tuple(EmbeddedNats(tmp_path / name, accounts=accounts_of(keys)) for name in ("first", "second"))
    for server in both:
        server.start()
    try:
        yield both[0], both[1]
    finally:
        for server in both:
            server.kill()


async def run(server: EmbeddedNats, keys: Path, user: str, *arguments: str, code: int = 0) -> Said:
    lines = (keys / f"{user}.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    return await treeward(*arguments, url=server.url, code=code, settings=settings)


async def fill(server: EmbeddedNats, keys: Path) -> None:
    """Thirty units, twenty of them answered and gone from WORK."""
    async with connected_as(server.url, keys, "bootstrap") as bus:
        await bus.provision(ROOT, Retention())
    async with connected_as(server.url, keys, "orchestrator") as bus:
        await bus.provision(ZONE, Retention())
        await bus.append_expecting(streams.log(ZONE), Draft(CLAIM, b"{}"), subject=CLAIM, position=0)
        async with connected_as(server.url, keys, "operator") as operator:
            for number in range(30):
                await operator.submit(subjects.work(ZONE, f"vm.v{number}"), b'{"operation":"create"}')
        async with connected_as(server.url, keys, "zone-supervisor_zone-a") as supervisor:
            appender = supervisor.appender(streams.log(ZONE), Guard(CLAIM, 1))
            results: list[object] = []
            for number in range(20):
                subject = subjects.log(ZONE, f"vm.v{number}", "completed")
                appender.append([Draft(subject, json.dumps({"ticket": number + 1}).encode())], results.append)
            await until(lambda: len(results) == 20)
        for copied, last in ((streams.work_history(ZONE), 30), (streams.state(ZONE), 21)):
            await until(partial(_caught_up, bus, copied, last))
        await bus.purge(streams.work(ZONE), below=21)


async def _caught_up(bus: NatsBus, stream: str, last: int) -> bool:
    state = await bus.state(stream)
    return state is not None and state.last >= last


def _denied_again(bus: NatsBus, before: int) -> bool:
    return bus.counts["violations"] > before


async def everything(bus: NatsBus) -> dict[str, list[Stored]]:
    found: dict[str, list[Stored]] = {}
    for name in KEPT:
        state = await bus.state(name)
        assert state is not None, name
        seen = Seen()
        found[name] = seen.messages
        if state.messages:
            await seen.read(bus, name, purged_is_fine=True)
            await seen.until_count(state.messages)
    return found


async def states(server: EmbeddedNats, keys: Path) -> dict[str, tuple[int, int, int]]:
    async with connected_as(server.url, keys, "operator") as bus:
        found = {name: await bus.state(name) for name in KEPT}
    return {
        name: (max(1, state.first), state.last, state.messages) for name, state in found.items() if state is not None
    }


async def test_a_copy_is_restored_with_every_number(
    servers: tuple[EmbeddedNats, EmbeddedNats], keys: Path, tmp_path: Path
) -> None:
    first, second = servers
    await fill(first, keys)
    (tmp_path / "copies").mkdir()
    said = await run(first, keys, "backup", "backup", str(tmp_path / "copies"))
    assert "8 streams" in said.out + said.err
    (copy,) = (tmp_path / "copies").iterdir()
    await run(second, keys, "restore", "restore", str(copy))
    before = await states(first, keys)
    assert len(before) == len(KEPT) and await states(second, keys) == before
    async with connected_as(second.url, keys, "operator") as bus:
        assert (await bus.submit(subjects.work(ZONE, "vm.new"), b"{}")).ticket == 31
        last = await bus.last(streams.log(ZONE), subjects.log(ZONE, "vm.v19", "*"))
        assert last is not None and json.loads(last.data) == {"ticket": 20}
    async with connected_as(second.url, keys, "orchestrator") as bus:
        assert await bus.provision(ZONE, Retention()) == (streams.mailbox(ZONE),), "all else is as it should be"
    said = await run(second, keys, "restore", "restore", str(copy), code=1)
    assert "there are streams already" in said.err


async def test_numbers_go_on_above_those_that_devices_remember(
    servers: tuple[EmbeddedNats, EmbeddedNats], keys: Path, tmp_path: Path
) -> None:
    first, second = servers
    await fill(first, keys)
    (tmp_path / "copies").mkdir()
    await run(first, keys, "backup", "backup", str(tmp_path / "copies"))
    (copy,) = (tmp_path / "copies").iterdir()
    await run(second, keys, "restore", "restore", str(copy), "--above", "3000")
    before, after = await states(first, keys), await states(second, keys)
    for name in (streams.work(ZONE), streams.work_history(ZONE), streams.log(ZONE)):
        assert after[name][2] == before[name][2], "nothing is added or lost"
        assert after[name][1] >= 3000
    assert after[streams.state(ZONE)][2] == before[streams.state(ZONE)][2]
    async with connected_as(second.url, keys, "operator") as bus:
        assert (await bus.submit(subjects.work(ZONE, "vm.new"), b"{}")).ticket > 3000
    async with connected_as(second.url, keys, "zone-supervisor_zone-a") as supervisor:
        results: list[object] = []
        appender = supervisor.appender(streams.log(ZONE), Guard(CLAIM, 1))
        appender.append([Draft(subjects.log(ZONE, "vm.v0", "ready"), b"{}")], results.append)
        await until(lambda: results)
        assert isinstance(results[0], int) and results[0] > 3000, "the claim is where it was, and what follows above"


async def test_old_copies_go_when_a_new_one_is_whole(
    servers: tuple[EmbeddedNats, EmbeddedNats], keys: Path, tmp_path: Path
) -> None:
    first, second = servers
    await fill(first, keys)
    folder = tmp_path / "copies"
    for name in ("20200101T000000Z", "20200102T000000Z"):
        (folder / name).mkdir(parents=True)
    said = await run(second, keys, "backup", "backup", str(folder), code=1)
    assert "there are no streams" in said.err
    assert len(list(folder.iterdir())) == 2, "an empty server costs no copy"
    await run(first, keys, "backup", "backup", str(folder), "--keep", "2")
    assert min(path.name for path in folder.iterdir()) == "20200102T000000Z"
    assert len(list(folder.iterdir())) == 2


async def test_the_key_for_copies_changes_nothing(servers: tuple[EmbeddedNats, EmbeddedNats], keys: Path) -> None:
    first, _ = servers
    await fill(first, keys)
    before = await states(first, keys)
    async with connected_as(first.url, keys, "backup") as bus:
        for subject in (
            f"$JS.API.STREAM.RESTORE.{streams.log('zone-b')}", f"$JS.API.STREAM.DELETE.{streams.work(ZONE)}",
            f"$JS.API.STREAM.PURGE.{streams.work(ZONE)}", subjects.work(ZONE, "vm.x"), CLAIM,
        ):  # fmt: skip
            denied = bus.counts["violations"]
            bus.publish(subject, b"{}")
            await until(partial(_denied_again, bus, denied), subject)
    assert await states(first, keys) == before
