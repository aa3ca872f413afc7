"""The slow cursor that looks after what others change: all of it once in a round, spread, never too much at once."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.support.world import ZONE, World

from treeward.runtime import codec
from treeward.runtime.background import LOOKS_MAX, PAGE, Background
from treeward.runtime.context import Context
from treeward.schemas import streams
from treeward.schemas.events import Event, EventType
from treeward.schemas.streams import Retention
from treeward.simulation.program import Program

POD = "pod-1"


class Cursor:
    """The cursor of `pod-1` over a zone with so many resources in each of two pods; what it looks after, and when."""

    def __init__(self, resources: int, *, under_way: int = 0, **settings: Any) -> None:
        self.looked: list[tuple[float, str]] = []
        self._settings = settings
        self._under_way = under_way
        self.world = World(orchestrators=0, supervisors=0, agents=0, latency_s=0.001, limits={})
        self.world.server.provision(ZONE, Retention())
        for number in range(resources):
            for pod in (POD, "pod-2"):
                self.store(f"{pod}-{number}", pod)
        self.world.add("agent-1", self._run)
        self.world.start("agent-1")

    def store(self, id_: str, pod: str) -> None:
        """The last event of a VM, as log and bucket have it."""
        event = Event(
            type=EventType.COMPLETED, zone=ZONE, kind="vm", id=id_, life=1, pod=pod, host="host-1", ticket=1,
            answered=1, definition={}, at=datetime(2026, 1, 1, tzinfo=UTC),
        )  # fmt: skip
        draft = codec.draft_of(event, instance="somebody", trace=None)
        assert isinstance(self.world.server.append(streams.log(ZONE), draft, None, None), int)

    async def _run(self, _program: Program, context: Context, _stopping: asyncio.Event) -> None:
        context = replace(context, settings=context.settings.model_copy(update=self._settings))
        await Background(
            context, ZONE, POD, 77,
            look=lambda key: self.looked.append((self.world.loop.now_s, key)), looks=lambda: self._under_way,
        ).run()  # fmt: skip

    @property
    def in_a_second(self) -> int:
        """The most that it began within a second."""
        return max(Counter(int(at_s) for at_s, _ in self.looked).values())


def test_everything_of_the_pod_is_looked_after_once_in_a_round_and_spread_over_it() -> None:
    count = PAGE  # two pages, of which half is another pod's
    cursor = Cursor(count, background_synchronization_s=1000.0, background_per_s=1000.0)
    cursor.world.run_for(990.0)
    first = Counter(key for _, key in cursor.looked)
    assert set(first.values()) == {1} and len(first) > 0.9 * count
    assert not any(key.startswith("vm.pod-2") for key in first)
    assert cursor.in_a_second <= 2
    cursor.world.run_for(1100.0)
    assert set(Counter(key for _, key in cursor.looked)) == {f"vm.{POD}-{number}" for number in range(count)}


def test_a_pod_with_more_than_a_round_can_hold_takes_longer_for_it_instead_of_asking_more() -> None:
    cursor = Cursor(100, background_synchronization_s=1.0, background_per_s=20.0)
    cursor.world.run_for(4.0)
    assert 60 <= len(cursor.looked) <= 81
    assert cursor.in_a_second <= 21


def test_what_is_new_is_looked_after_in_the_next_round() -> None:
    cursor = Cursor(1, background_synchronization_s=10.0)
    cursor.world.run_for(1.0)
    cursor.store("late", POD)
    cursor.world.run_for(20.0)
    assert "vm.late" in {key for _, key in cursor.looked}


def test_nothing_is_looked_after_where_that_is_turned_off() -> None:
    cursor = Cursor(3, background_synchronization_s=0.0)
    cursor.world.run_for(100.0)
    assert cursor.looked == []


def test_a_device_that_answers_slowly_is_asked_slowly() -> None:
    cursor = Cursor(3, under_way=LOOKS_MAX, background_synchronization_s=1.0)
    cursor.world.run_for(10.0)
    assert cursor.looked == []
