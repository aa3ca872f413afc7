"""A zone supervisor dies, and nobody below it notices."""

from pathlib import Path

import pytest
from tests.faults.scene import scene
from tests.faults.site import Size

from treeward.schemas.events import EventType

SIZE = Size(servers=1, orchestrators=1, zone_supervisors=2, agents=2, zones=1, pods=2, hosts=1)


@pytest.mark.timeout(180)
async def test_pods_keep_their_epoch_and_processes_their_life_when_the_zone_supervisor_dies(tmp_path: Path) -> None:
    async with scene(tmp_path, SIZE) as centre:
        keys = [f"vm.web-{number}" for number in range(20)]
        await centre.answered(*[await centre.ask(key, "create") for key in keys])
        before = await centre.books()
        died = await centre.owner_of("zone-a")
        centre.site.kill(died, 5.0)
        stops = [await centre.ask(key, "stop") for key in keys]
        await centre.answered(*stops)  # what is placed needs no zone supervisor
        await centre.owner_of("zone-a", other_than=died)
        await centre.answered(*[await centre.ask(f"vm.new-{number}", "create") for number in range(4)])
        await centre.all_answered()
        books = await centre.books()
        since = [row.event for row in books.log if row.position > max(old.position for old in before.log)]
        assert [event.key for event in since if event.type is EventType.CLAIMED] == ["zone.zone-a"]
        assert not [event for event in since if event.type is EventType.CRASHED]
        lives = {row.event.key: row.event.life for row in before.log if row.event.type is EventType.READY}
        stopped = {event.key: event.life for event in since if event.ticket in stops and event.is_outcome}
        assert stopped == {key: lives[key] for key in keys}
        assert await centre.violations() == []
