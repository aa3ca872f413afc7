"""Owners of one pod, one after the other, before the simulated device: what each of them stores is up to the test."""

from collections.abc import Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from treeward.schemas.device import Answer
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.simulation.device import Books, SimulatedDevice
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.trace import Trace
from treeward.supervision.effects import Append, Call, Fetch, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL_S = 0.01


class World:
    """The log of one VM and the device of its pod; both outlive every owner."""

    def __init__(self, position: int, **event: Any) -> None:
        self.loop = VirtualLoop()
        self.books = Books()
        self.device = SimulatedDevice("tcp://pod-1:1", self.loop, Random(1), Trace(), self.books, CALL_S)
        self.position = position
        self.last_at = position
        self.last = Event(
            type=EventType.PLACED, zone="zone-a", kind="vm", id="web-1", at=AT, pod="pod-1", host="host-1", **event
        )

    def claim(self, instance: str) -> "Owning":
        """The pod is claimed for an instance: its epoch is the next position."""
        self.position += 1
        return Owning(self, instance, self.position)

    def wait(self) -> None:
        """Whatever the device has begun ends."""
        self.loop.call_later(10 * CALL_S, lambda: None, context=self.loop.world)
        self.loop.run_until(lambda: False, deadline_s=self.loop.now_s + 9 * CALL_S)

    @property
    def things(self) -> Mapping[str, Any]:
        """What exists."""
        return self.device.things


class Owning:
    """One owner; dead as soon as the test asks nothing of it any more."""

    def __init__(self, world: World, instance: str, epoch: int) -> None:
        self.world = world
        self.instance = instance
        self.epoch = epoch
        self.fold = PodOwner("zone-a", "pod-1", epoch, Limits())
        self.on_its_way: list[Append] = []

    def take(self, ticket: int, operation: str, *, life: int, **fields: Any) -> None:
        """A unit comes out of the mailbox; all goes on until the owner waits for the log."""
        said: dict[str, Any] = {"life": life, "ticket": ticket, "previous": 0, "operation": operation} | fields
        self.fold.on_message("vm.web-1", Message(epoch=self.epoch, **said), self.world.loop.now_s)
        self._go_on()

    def store(self) -> Event:
        """The oldest append is stored, and its owner hears so."""
        append = self.on_its_way.pop(0)
        self.world.position += 1
        self.world.last, self.world.last_at = append.events[-1], self.world.position
        self.fold.on_appended(append.token, self.world.position, self.world.loop.now_s)
        self._go_on()
        return append.events[-1]

    def _go_on(self) -> None:
        while self.fold.effects:
            effects, self.fold.effects = self.fold.effects, []
            for effect in effects:
                match effect:
                    case Fetch(key, _):
                        world = self.world
                        self.fold.on_fetched(key, world.last_at, world.last, world.loop.now_s)
                    case Append():
                        self.on_its_way.append(effect)
                    case Synchronize() | Call():
                        self._request(effect)
                    case _:
                        raise AssertionError(f"nobody here answers {effect}")
            self.world.wait()

    def _request(self, effect: Synchronize | Call) -> None:
        fields: dict[str, Any] = {
            "zone": "zone-a", "kind": "vm", "id": "web-1", "life": effect.life, "owner": self.instance,
            "host": effect.host,
        }  # fmt: skip
        if isinstance(effect, Call):
            unit = effect.message
            fields |= {"verb": "call", "ticket": unit.ticket, "operation": unit.operation, "spec": unit.spec}
        else:
            fields |= {"verb": "synchronize", "definition": effect.definition, "absent": effect.absent}

        def answered(answer: Answer) -> None:
            self.fold.on_answer(effect.key, effect.token, answer, self.world.loop.now_s)

        self.world.device.handle(effect.token, fields, answered)
