"""Steering is work: accepted while no orchestrator runs, held to by the next one, and on record with who and why."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.command import treeward
from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.bus.interface import Stored
from treeward.schemas import streams, subjects

VM = "zone-a.vm.web-1"
BY = ("--by", "ada")
pytestmark = pytest.mark.timeout(240)


async def rows_of(centre: Stack, *arguments: str) -> list[dict[str, Any]]:
    """What the command says in lines of JSON."""
    return (await treeward(*arguments, "--json", url=centre.url)).rows


async def ticket_of(centre: Stack, *arguments: str) -> int:
    """The ticket of a unit that the command submits."""
    (submitted,) = await rows_of(centre, *arguments)
    return int(submitted["ticket"])


async def asked(centre: Stack, endpoint: str, question: dict[str, Any]) -> dict[str, Any]:
    """What an orchestrator answers on `tw.api`."""
    body = json.dumps(question).encode()
    answer = await centre.bus.request(subjects.api(endpoint, "zone-a"), body, timeout_s=20.0)
    assert answer is not None
    return dict(json.loads(answer))


async def history(centre: Stack) -> dict[int, dict[str, Any]]:
    """What WORK's history keeps of each ticket."""
    found: dict[int, dict[str, Any]] = {}

    def take(stored: Stored) -> None:
        found[stored.position] = json.loads(stored.data)

    stream = streams.work_history("zone-a")
    reader = await centre.bus.read(stream, subjects.all_work_of_zone("zone-a"), 1, take, on_lost=lambda: None)
    state = await centre.bus.state(streams.work("zone-a"))
    assert state is not None
    await until(lambda: state.last in found, "the history is complete")
    await reader.close()
    return found


async def test_a_pause_that_no_orchestrator_saw_holds_and_what_waits_behind_it_is_steered(tmp_path: Path) -> None:
    async with stack(tmp_path, orchestrators=2, pods=1, hosts=1) as centre:
        created = await centre.submit(VM, "create")
        await centre.wait_for_outcome("zone-a", created)
        for name in ("orchestrator-1", "orchestrator-2"):
            centre.kill(name)
        pause = await ticket_of(centre, "pause", VM, "--reason", "the array is replaced", *BY)
        stop, start = await centre.submit(VM, "stop"), await centre.submit(VM, "start")
        cancel = await ticket_of(centre, "work", "cancel", f"zone-a:{stop}", "--reason", "wrong machine", *BY)
        assert not {pause, stop, start, cancel} & {ticket for _, ticket in centre.answers}

        centre.start("orchestrator-1")
        paused = await centre.wait_for_outcome("zone-a", pause)
        assert (paused.type, paused.paused) == ("completed", True)
        assert paused.reason == "the array is replaced (by ada)"
        cancelled = await centre.wait_for_outcome("zone-a", stop)
        assert (cancelled.type, cancelled.reason) == ("cancelled", f"by ticket {cancel}: wrong machine (by ada)")

        last = await ticket_of(centre, "work", "supersede", VM, "stop", "--reason", "enough", *BY)
        superseded = await centre.wait_for_outcome("zone-a", start)
        assert (superseded.type, superseded.reason) == ("superseded", f"by ticket {last}")
        policy = await ticket_of(centre, "work", "policy", f"zone-a:{last}", "--attempts-max", "7", *BY)
        steered = await asked(centre, "steer", {"key": "vm.web-1", "operation": "retry", "ticket": last, "by": "eve"})
        listed = {unit["ticket"]: unit for unit in await rows_of(centre, "work", "list", VM)}
        waiting = {unit["ticket"] for unit in (await asked(centre, "work", {"key": "vm.web-1"}))["units"]}
        assert waiting == listed.keys() >= {last, policy, steered["ticket"]}
        assert {(listed[ticket]["operation"], listed[ticket]["state"]) for ticket in (last, policy)} == {
            ("stop", "waiting"),
            ("amend", "waiting"),
        }
        assert not {last, policy, steered["ticket"]} & {ticket for _, ticket in centre.answers}, "the pause holds"

        resume = await centre.submit(VM, "resume", by="ada")
        for ticket in (last, policy, steered["ticket"], resume):
            assert (await centre.wait_for_outcome("zone-a", ticket)).type == "completed"
        kept = await history(centre)
        said = {ticket: (kept[ticket]["operation"], kept[ticket]["by"]) for ticket in (pause, cancel, policy, resume)}
        assert said == {
            pause: ("pause", "ada"), cancel: ("cancel", "ada"), policy: ("amend", "ada"), resume: ("resume", "ada"),
        }  # fmt: skip
        assert (kept[steered["ticket"]]["operation"], kept[steered["ticket"]]["by"]) == ("retry", "eve")
        assert kept[pause]["reason"] == "the array is replaced"
        assert [(event.ticket, event.type) for event in centre.events_of(VM) if event.is_outcome] == [
            (created, "completed"), (pause, "completed"), (stop, "cancelled"), (start, "superseded"),
            (cancel, "superseded"), (last, "completed"), (policy, "completed"), (steered["ticket"], "completed"),
            (resume, "completed"),
        ]  # fmt: skip
        assert (await centre.judge()).violations == []
