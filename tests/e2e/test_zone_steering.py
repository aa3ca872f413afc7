"""A whole zone paused and drained by the command, at real processes: what waits says by whom and why."""

import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from tests.support.command import treeward
from tests.support.until import until
from tests.support.user import User

from treeward.schemas import subjects

ZONE = "root.zone.zone-a"
SMALL = {"cpus": 0.1, "memory_mib": 16}


async def explain(user: User, ticket: int) -> dict[str, Any] | None:
    """None once it is answered."""
    reply = await user.bus.request(
        subjects.api("explain", user.zone), json.dumps({"ticket": ticket}).encode(), timeout_s=5
    )
    said: dict[str, Any] = json.loads(reply or b"{}")
    return said if not said.get("outcome") else None


async def first_that_waits(user: User, words: str) -> int:
    """A create that waits for what these words say; those submitted before whoever acts below knew are completed."""
    for number in range(100):
        ticket = await user.submit(f"vm.probe-{number}", "create", spec=SMALL)
        if await until(partial(_settled, user, ticket, words), f"a word of ticket {ticket}") == words:
            return ticket
    raise AssertionError(f"no create waits and says {words!r}")


async def _settled(user: User, ticket: int, words: str) -> str | None:
    said = await explain(user, ticket)
    if said is None:
        return "answered"
    return words if words in " ".join(said.get("sentences", ())) else None


async def resume(user: User) -> None:
    """Root's answer is known to the zone by its claim, which says nothing of a pause or drain any more."""
    await user.bus.submit(subjects.work("root", f"zone.{user.zone}"), b'{"operation":"resume"}', timeout_s=20.0)
    await until(lambda: _goes_on(user), "a claim that says so")


def _goes_on(user: User) -> bool:
    claims = user.seen(f"zone.{user.zone}", "claimed")
    return not claims or not (claims[-1].paused or claims[-1].draining)


@pytest.fixture
async def steered(user: User) -> AsyncIterator[User]:
    """A user whose zone is neither paused nor drained afterwards, and has no probes left."""
    yield user
    await resume(user)
    await user.done("vm.kept", "destroy")
    made = [key for key in user.events if key.startswith("vm.probe-") and user.exists(key) is not None]
    for key in made:
        await user.done(key, "destroy")


async def test_a_zone_is_paused_by_the_command_and_goes_on_when_it_is_resumed(steered: User) -> None:
    user = steered
    await user.done("vm.kept", "create", spec=SMALL)
    await treeward("pause", ZONE, "--reason", "power test", "--by", "ada", "--wait", url=user.centre.url)
    held = [await first_that_waits(user, "paused zone zone-a"), await user.submit("vm.kept", "stop")]
    text = (await treeward("explain", f"zone-a:{held[0]}", url=user.centre.url)).out
    assert " of root paused zone zone-a " in text
    assert f"power test (by ada). Nothing of it is sent until somebody submits `resume` for {ZONE}." in text
    said = await explain(user, held[1])
    assert said is not None
    assert [(each["address"], each["operation"], each["reason"]) for each in said["steered"]] == [
        (ZONE, "pause", "power test (by ada)")
    ]
    assert not set(held) & set(user.outcomes)
    await treeward("resume", ZONE, "--wait", url=user.centre.url)
    for ticket in held:
        assert (await user.outcome(ticket)).type == "completed"


async def test_a_drained_zone_takes_nothing_new_and_what_is_there_works_on(steered: User) -> None:
    user = steered
    created = await user.done("vm.kept", "create", spec=SMALL)
    await treeward("drain", ZONE, "--reason", "closes down", "--by", "ada", "--wait", url=user.centre.url)
    held = await first_that_waits(user, "the zone is being drained: nothing new is placed in it")
    for operation in ("stop", "start"):
        assert (await user.done("vm.kept", operation)).host == created.host
    said = await explain(user, held)
    assert said is not None
    assert said["waits_for"] == "room"
    assert any(" of root drains zone zone-a, for " in each and "closes down" in each for each in said["sentences"])
    assert held not in user.outcomes
    await resume(user)
    assert (await user.outcome(held)).type == "completed"
