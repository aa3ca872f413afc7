"""The connection of one program to the bus: two directions, each in order, that can be slow, held up, cut or lost.

As with TCP, what was written and not yet read when a connection is lost may have arrived, may never arrive, or may be
read much later by a server that was slow: stale owners and dispatchers act through exactly that.
"""

from collections.abc import Callable
from contextvars import Context
from random import Random

from treeward.simulation.loop import VirtualLoop

DETECT_S = 4.0
"""A silent connection is given up after so long (two pings of 2 s)."""
RECONNECT_S = 0.3
LATE_S_MAX = 40.0
Step = Callable[[], None]


class Link:
    """`up` is towards the bus, `down` towards the program. Nothing goes through after `sever`."""

    def __init__(self, loop: VirtualLoop, chance: Random, context: Context, latency_s: float) -> None:
        self.connected = True
        self.severed = False
        self.generation = 0
        """Counts the connections made; what belongs to an earlier one does not go through the present one."""
        self.extra_s = [0.0, 0.0]
        """Delay of each direction on top of the usual one: up, down."""
        self.minority_since_s: float | None = None
        """Since when its server is cut off from the others: that server answers, and can store nothing."""
        self.minority_has: dict[str, int] = {}
        """Stream -> the last position that this server got."""
        self.listeners: list[Callable[[bool], None]] = []
        self.late: list[Step] = []
        """What may still arrive at the bus long after its connection was lost."""
        self._loop = loop
        self._chance = chance
        self._latency_s = latency_s
        self._context = context
        self._cut = [False, False]
        self._arrived: tuple[dict[int, Step], dict[int, Step]] = ({}, {})
        """What has come through, by its number on this connection: it waits for what is before it, or for a cut."""
        self._sent = [0, 0]
        self._taken = [0, 0]
        self._free_s = [0.0, 0.0]
        self._reached_s: dict[int, float] = {}
        """Connection that was lost -> until when what was on its way up still arrived."""

    def up(self, step: Step) -> None:
        """Have the bus do something, after a while, in order; dropped if there is no connection."""
        if self.connected and not self.severed:
            self._send(0, step)

    def down(self, step: Step) -> None:
        """Have the program see something, after a while, in order."""
        if self.connected and not self.severed:
            self._send(1, step)

    def call_program(self, step: Step, delay_s: float = 0.0) -> None:
        """Have the program do something by itself, whatever the connection does."""
        self._loop.call_later(delay_s, self._unless_severed, step, context=self._context)

    def cut(self, *directions: int) -> None:
        """Let nothing through any more in these directions; the program notices in its own time."""
        for direction in directions:
            self._cut[direction] = True
        generation = self.generation
        self._loop.call_later(DETECT_S, self._notice, generation, context=self._loop.world)

    def cut_off_server(self, has: dict[str, int]) -> None:
        """Its server goes on without the others: the connection stays, and nothing of theirs comes through.

        `has`: stream -> the last position that it got before.
        """
        self.minority_has = has
        self._cut = [True, True]
        self.minority_since_s = self._loop.now_s

    def mend(self) -> None:
        """Let everything through again: what was held up, if nobody has noticed; else there is a new connection."""
        self._cut = [False, False]
        self.extra_s = [0.0, 0.0]
        self.minority_since_s = None
        if self.severed:
            return
        if self.connected:
            self._loop.call_soon(self._take, 0, self.generation, context=self._loop.world)
            self._loop.call_soon(self._take, 1, self.generation, context=self._context)
        else:
            self._loop.call_later(RECONNECT_S, self._reconnect, self.generation, context=self._loop.world)

    def lose(self) -> None:
        """The connection breaks now, and is made again as soon as nothing is in its way."""
        if not self.connected or self.severed:
            return
        self._break_off()
        self.call_program(lambda: self._tell(False))
        if not any(self._cut):
            self._loop.call_later(RECONNECT_S, self._reconnect, self.generation, context=self._loop.world)

    def sever(self) -> None:
        """The program is dead: nothing of it is sent from now on, nothing reaches it. What is on its way may arrive."""
        if self.connected:
            self._break_off()
        self.severed = True

    # inside

    def _send(self, direction: int, step: Step) -> None:
        at_s = self._loop.now_s + self._chance.uniform(0.1, 1.0) * self._latency_s + self.extra_s[direction]
        at_s = self._free_s[direction] = max(at_s, self._free_s[direction])
        self._sent[direction] += 1
        context = self._context if direction else self._loop.world
        self._loop.call_at(at_s, self._arrive, direction, self.generation, self._sent[direction], step, context=context)

    def _arrive(self, direction: int, generation: int, number: int, step: Step) -> None:
        if generation == self.generation and self.connected:
            self._arrived[direction][number] = step
            self._take(direction, generation)
        elif direction == 0 and self._loop.now_s <= self._reached_s.get(generation, 0.0):
            step()

    def _take(self, direction: int, generation: int) -> None:
        """Take what has arrived, in order, unless the direction is cut or the connection gone."""
        arrived, taken = self._arrived[direction], self._taken
        while generation == self.generation and self.connected and not self._cut[direction]:
            step = arrived.pop(taken[direction] + 1, None)
            if step is None:
                return
            taken[direction] += 1
            step()

    def _break_off(self) -> None:
        """Of what was on its way or held up a first part may still arrive, or arrive late; the rest is lost."""
        self.connected = False
        self._reached_s[self.generation] = self._loop.now_s + self._chance.random() * (
            self._latency_s + self.extra_s[0]
        )
        waiting = [step for _, step in sorted(self._arrived[0].items(), key=lambda item: item[0])]
        self._arrived = ({}, {})
        if waiting:
            self._reached_s[self.generation] = 0.0
            self.late += waiting[: self._chance.randint(0, len(waiting))]
            delay_s = self._chance.choice((0.0, 1.0, LATE_S_MAX)) * self._chance.random()
            self._loop.call_later(delay_s, self._arrive_late, context=self._loop.world)

    def _arrive_late(self) -> None:
        steps, self.late = self.late, []
        for step in steps:
            step()

    def _notice(self, generation: int) -> None:
        if generation == self.generation and any(self._cut):
            self.lose()

    def _reconnect(self, generation: int) -> None:
        if self.severed or self.connected or generation != self.generation or any(self._cut):
            return
        self.generation += 1
        self.connected = True
        self._free_s = [0.0, 0.0]
        self._sent, self._taken = [0, 0], [0, 0]
        self.call_program(lambda: self._tell(True))

    def _tell(self, connected: bool) -> None:
        for listener in tuple(self.listeners):
            listener(connected)

    def _unless_severed(self, step: Step) -> None:
        if not self.severed:
            step()
