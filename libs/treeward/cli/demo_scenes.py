"""The scenes of the demo: two clients and one VM, a pod agent killed in a call, a call that fails halfway."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from treeward.cli.demo_load import Life, draw_lives, unit
from treeward.cli.demo_story import Clients, Story, now_s
from treeward.cli.device_control import ask
from treeward.cli.lines import line_of
from treeward.cli.output import NO, CommandError, clean, table
from treeward.runtime.books import query
from treeward.runtime.data_centre.centre import DataCentre
from treeward.runtime.judge import Logged
from treeward.schemas.device_control import Fault, FaultAdd, FaultClear, FaultEffect
from treeward.schemas.events import EventType

if TYPE_CHECKING:
    from rich.console import Console

VMS, VOLUMES = 48, 24
SLOW_S = 2.5
"""How long the device takes for one call of the victim: longer than the kill takes, and than suspicion."""
IN_PROGRESS_MIN = 4
"""Calls of the victim's pod, its own included, that are in progress when its owner is killed."""
REMARKABLE = frozenset({EventType.CLAIMED, EventType.CRASHED, EventType.QUARANTINED, EventType.HANDED_OFF})
POLL_S = 0.01
PROGRESS_S = 1.0

Ticket = tuple[str, int]
Wanted = Callable[[Logged], bool]
Result = TypeVar("Result")


class Scenes:
    """One data centre, some clients, and what happened so far."""

    def __init__(self, centre: DataCentre, clients: Clients, story: Story, out: "Console", chance: Random) -> None:
        self._centre = centre
        self._clients = clients
        self._story = story
        self._out = out
        self._zones = list(centre.layout.topology.zones)
        self._lives = draw_lives(chance, self._zones, vms=VMS, volumes=VOLUMES)
        self.killed: dict[str, Any] = {}
        """What was found out about the kill, for the report."""

    # --- one VM, two clients -------------------------------------------------------------------------------------

    async def create_and_destroy(self) -> None:
        """Client 1 creates a VM, client 2 destroys it at once: it exists briefly, and is then gone."""
        zone, key = self._zones[0], "vm.web-1"
        with self._telling(lambda row: row.event.zone == zone and row.event.key == key):
            first = await self._clients.submit(0, zone, key, unit("create", {"cpus": 2, "memory_mib": 512}))
            second = await self._clients.submit(1, zone, key, unit("destroy"))
            self._say(f"client 1 was given ticket {first} for its create, client 2 ticket {second} for its destroy")
            await self._story.until_answered([(zone, first), (zone, second)])

    # --- load, and a kill in the middle of it --------------------------------------------------------------------

    async def kill_in_the_middle(self) -> None:
        """Load from all clients; the agent of the busiest pod is killed while its device carries a call out."""
        zone = self._zones[0]
        creates = await self._create_all()
        victim, pod = self._choose_victim(zone)
        before = self._story.position(zone)
        control = self._centre.control
        id_ = victim.removeprefix("vm.")
        ask(
            control,
            FaultAdd(fault=Fault(effect=FaultEffect.LATENCY, zone=zone, kind="vm", id=id_, seconds=SLOW_S, times=1)),
        )
        ask(control, FaultAdd(fault=Fault(effect=FaultEffect.LATENCY, zone=zone, pod=pod, seconds=0.05)))
        owner = self._story.owner_of(zone, pod)
        self._say(
            f"the device is made slow: {SLOW_S} s for one call of {zone}.{victim}, 50 ms for the others of pod {pod}"
        )
        async with self._progress():
            ticket = await self._clients.submit(0, zone, victim, unit("resize", {"memory_mib": 128}))
            living = asyncio.create_task(self._live_on(creates))
            try:
                await self._calls_are_in_progress(zone, pod, id_, ticket)
                kill_s = self._kill(owner)
                self._say(f"SIGKILL to {owner}, owner of pod {pod}, while the device carries out ticket {ticket}")
                tickets = [*await living, (zone, ticket)]
            finally:
                living.cancel()
            await self._story.until_answered(tickets)
        ask(control, FaultClear())
        self._tell_the_takeover(zone, pod, victim, owner, kill_s, before, ticket)

    async def _create_all(self) -> dict[str, int]:
        """Every life's first unit, from all clients at once; the tickets by `<zone>.<key>`."""
        lives = self._lives
        tickets = await _all(self._submit(n, life, 0) for n, life in enumerate(lives))
        async with self._progress():
            await self._story.until_answered([(life.zone, ticket) for life, ticket in zip(lives, tickets, strict=True)])
        return {f"{life.zone}.{life.key}": ticket for life, ticket in zip(lives, tickets, strict=True)}

    async def _live_on(self, creates: dict[str, int]) -> list[Ticket]:
        """The rest of every life: its units in order, each from the next client; the lives at the same time."""

        async def live(number: int, life: Life) -> list[Ticket]:
            return [(life.zone, await self._submit(number + index, life, index)) for index in range(1, len(life.units))]

        return [one for life in await _all(live(n, life) for n, life in enumerate(self._lives)) for one in life]

    async def _submit(self, number: int, life: Life, index: int) -> int:
        return await self._clients.submit(number, life.zone, life.key, life.units[index])

    def _choose_victim(self, zone: str) -> tuple[str, str]:
        """A VM that stays, in the pod of the zone that has most of them."""
        staying = [life.key for life in self._lives if life.zone == zone and b'"destroy"' not in life.units[-1]]
        at = {key: self._story.pod_of(zone, key) for key in staying if key.startswith("vm.")}
        pods = [pod for pod in at.values() if pod]
        if not pods:
            raise CommandError(f"no VM was placed in zone {zone}", NO)
        busiest = max(sorted(set(pods)), key=pods.count)
        return next(key for key, pod in at.items() if pod == busiest), busiest

    async def _calls_are_in_progress(self, zone: str, pod: str, id_: str, ticket: int) -> None:
        """The device carries out the victim's call, and others of its pod."""
        on_hosts = ", ".join("?" * len(hosts := list(self._centre.layout.topology.zones[zone].pods[pod].hosts)))
        statement = (
            "SELECT count(*), coalesce(sum(c.resource = ? AND c.ticket = ?), 0) FROM calls c"
            " JOIN resources r ON (r.zone, r.kind, r.resource) = (c.zone, c.kind, c.resource)"
            f" WHERE c.ended_at IS NULL AND c.zone = ? AND r.host IN ({on_hosts})"
        )
        try:
            async with asyncio.timeout(10.0):
                while True:
                    count, victims = query(self._centre.folder.device, statement, (id_, ticket, zone, *hosts))[0]
                    if victims and count >= IN_PROGRESS_MIN:
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise CommandError(f"the device was not called for ticket {ticket} within 10 s", NO) from None

    def _kill(self, instance: str) -> float:
        """SIGKILL to the program of an instance; when that was."""
        name = instance.rpartition("-")[0]
        process_id = self._centre.process_ids.get(name)
        if process_id is None:
            raise CommandError(f"{instance} is no running program of this data centre", NO)
        at_s = now_s()
        os.kill(process_id, signal.SIGKILL)
        return at_s

    def _tell_the_takeover(
        self, zone: str, pod: str, victim: str, owner: str, kill_s: float, before: int, ticket: int
    ) -> None:
        """Who took over after how long, and what became of every unit that was in hand."""
        after = self._story.since(before, zone)
        claim = next(row for row in after if row.event.type is EventType.CLAIMED and row.event.id == pod)
        found = [
            row for row in after
            if row.position > claim.position and row.event.type is EventType.READY and row.event.verdict is not None
        ]  # fmt: skip
        in_hand = next((row for row in found if row.event.ticket == ticket), None)
        self._say(
            f"{claim.event.owner} took pod {pod} over {claim.at_s - kill_s:.2f} s after the kill ({claim.event.reason})"
        )
        self._verdicts(found)
        self.killed = {
            "instance": owner, "pod": f"{zone}.{pod}", "resource": f"{zone}.{victim}",
            "ticket": ticket, "new_owner": claim.event.owner,
            "claimed_after_s": round(claim.at_s - kill_s, 3),
            "verdict": None if in_hand is None else in_hand.event.verdict,
            "crashed": sorted({f"{zone}.{row.event.key}" for row in found}),
        }  # fmt: skip

    def _verdicts(self, found: list[Logged]) -> None:
        shown = table("crashed with its owner", "unit in hand", "verdict", "attempts>", "then")
        for row in found:
            event = row.event
            answer = self._story.answers.get((event.zone, event.ticket or 0))
            shown.add_row(
                f"{event.zone}.{event.key}", f"#{event.ticket} {event.operation or ''}", str(event.verdict),
                str(event.attempts), "unanswered" if answer is None else str(answer.type),
            )  # fmt: skip
        self._out.print(shown)

    # --- a call that fails halfway -------------------------------------------------------------------------------

    async def fail_halfway(self) -> None:
        """The device leaves a unit half done: its process crashes, what waited is flushed and executed later."""
        zone, key = self._zones[-1], "vm.fragile"
        resize = Fault(effect=FaultEffect.LATENCY, zone=zone, kind="vm", id="fragile", operation="resize", seconds=0.4)
        lost = resize.model_copy(
            update={"effect": FaultEffect.FAIL, "times": 1, "reason": "power was lost in the middle"}
        )
        created = await self._clients.submit(0, zone, key, unit("create"))
        await self._story.until_answered([(zone, created)])
        ask(self._centre.control, FaultAdd(fault=resize))
        ask(self._centre.control, FaultAdd(fault=lost))
        with self._telling(lambda row: row.event.zone == zone and row.event.key == key):
            tickets = [
                (zone, await self._clients.submit(number, zone, key, body))
                for number, body in enumerate(
                    (unit("resize", {"memory_mib": 1024}), unit("stop"), unit("start"), unit("destroy"))
                )
            ]
            await self._story.until_answered(tickets)
        ask(self._centre.control, FaultClear())
        crashed = [row.event for row in self._story.log if row.event.key == key and row.event.type is EventType.CRASHED]
        for event in crashed:
            flushed = ", ".join(f"#{ticket}" for ticket in event.flushed) or "nothing"
            self._say(
                f"its process crashed with #{event.ticket} in hand ({event.verdict}: {clean(event.reason or '')});"
                f" flushed as not started: {flushed}"
            )

    # --- telling -------------------------------------------------------------------------------------------------

    def _say(self, sentence: str) -> None:
        self._out.print(f"  {sentence}", soft_wrap=True)

    def _telling(self, wanted: Wanted) -> "Telling":
        """Print the events that are wanted while the block runs."""
        return Telling(self._story, self._out, wanted)

    @asynccontextmanager
    async def _progress(self) -> AsyncIterator[None]:
        """Show how many units are answered, and what is remarkable, while the block runs."""
        showing = asyncio.create_task(self._show_progress())
        try:
            with self._telling(lambda row: row.event.type in REMARKABLE):
                yield
        finally:
            showing.cancel()

    async def _show_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            counts = ", ".join(f"{count} {name}" for name, count in sorted(self._story.outcomes.items()))
            self._say(f"{sum(self._story.outcomes.values())} units answered: {counts}")


class Telling:
    """Prints events as they come, while its `with` block runs."""

    def __init__(self, story: Story, out: "Console", wanted: Wanted) -> None:
        self._story = story
        self._out = out
        self._wanted = wanted

    def __enter__(self) -> None:
        self._before, self._story.told = self._story.told, self._tell

    def __exit__(self, *error: object) -> None:
        self._story.told = self._before

    def _tell(self, row: Logged) -> None:
        if self._wanted(row):
            self._out.print(line_of(row.event, row.position), soft_wrap=True)


async def _all(work: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run them at the same time; the results in order."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
    return [task.result() for task in tasks]
