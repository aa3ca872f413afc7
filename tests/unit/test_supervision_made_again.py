"""What was made where it came to, and destroyed there, is not made again by whoever owns it next."""

import pytest
from tests.support.own_device import Owning, World

from treeward.schemas.events import EventType

DEFINITION = {"cpus": 2, "memory_mib": 512}
CLAIMED = 10
ARRIVED = 20
KEY = "zone-a.vm.web-1"


def arrived() -> World:
    """A VM that existed elsewhere was placed here for a destroy that had failed there: it is to be made first."""
    return World(ARRIVED, life=CLAIMED, answered=3, moved=5, existed=True, definition=DEFINITION)


def finish(world: World) -> None:
    """Another instance owns the pod, and everything that it says is stored."""
    second = world.claim("agent-2")
    second.take(5, "destroy", life=second.epoch, reallocate=True, attempts=1)
    while second.on_its_way:
        second.store()


@pytest.mark.parametrize("stored", [0, 1, 2], ids=["nothing", "that it is ready", "that it is destroyed"])
def test_what_was_made_and_destroyed_is_not_made_again_by_the_next_owner(stored: int) -> None:
    world = arrived()
    first = Owning(world, "agent-1", CLAIMED)
    first.take(5, "destroy", life=ARRIVED, reallocate=True, attempts=1)
    for _ in range(stored):
        first.store()
    if not world.last.removed:
        finish(world)
    assert (world.last.type, world.last.answered, world.last.removed) == (EventType.COMPLETED, 5, True)
    assert KEY not in world.things
    effects = [(entry.operation, entry.outcome) for entry in world.books.entries]
    assert effects == [("make", "applied"), ("destroy", "applied")]
