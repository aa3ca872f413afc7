"""Pause and drain of a whole zone, in virtual time: whoever acts below reads them in the zone's claim."""

from typing import Any

from tests.support.world import World, world

from treeward.schemas.address import ROOT
from treeward.schemas.events import Event
from treeward.supervision.limits import DEFAULTS

AWAY_S = 10 * DEFAULTS.suspicion_s


def steer_zone(centre: World, operation: str, **fields: Any) -> Event:
    """Root has answered, and the zone has been claimed once more because of it."""
    before = len(claims(centre))
    event = centre.done("zone.zone-a", operation, zone=ROOT, **fields)
    centre.until(lambda: len(claims(centre)) > before, "a claim that says so")
    return event


def claims(centre: World) -> list[Event]:
    return [event for event in centre.events["zone.zone-a"] if event.type == "claimed"]


def waits(centre: World, *tickets: int) -> bool:
    """Whether none of these is answered, for as long as a takeover of everything takes."""
    centre.run_for(AWAY_S)
    return not any(("zone-a", ticket) in centre.answered for ticket in tickets)


def answer(centre: World, ticket: int) -> str:
    centre.until(lambda: ("zone-a", ticket) in centre.answered, f"an outcome of ticket {ticket}")
    return centre.answered["zone-a", ticket].type.value


# --- pause -----------------------------------------------------------------------------------------------------------


def test_nothing_of_a_paused_zone_is_sent_until_it_is_resumed() -> None:
    with world() as centre:
        centre.done("vm.placed", "create")
        paused = steer_zone(centre, "pause", reason="power test", by="ada")
        assert (paused.paused, paused.reason) == (True, "power test (by ada)")
        held = [
            centre.submit(key, op) for key, op in (("vm.placed", "stop"), ("vm.new", "create"), ("pod.p", "create"))
        ]
        assert waits(centre, *held)
        assert claims(centre)[-1].paused
        steer_zone(centre, "resume")
        assert [answer(centre, ticket) for ticket in held] == ["completed"] * 3
        assert not claims(centre)[-1].paused


def test_a_zone_is_claimed_once_for_a_pause_and_its_pods_do_not_notice() -> None:
    with world(pods=2, supervisors=2) as centre:
        before, pods = len(claims(centre)), [centre.types(f"pod.pod-{number}") for number in (1, 2)]
        steer_zone(centre, "pause")
        centre.run_for(AWAY_S)
        assert len(claims(centre)) == before + 1
        assert claims(centre)[-1].owner == claims(centre)[-2].owner
        assert claims(centre)[-1].reason == "it was paused, drained, resumed or configured"
        assert [centre.types(f"pod.pod-{number}") for number in (1, 2)] == pods


def test_a_dispatcher_that_begins_in_a_paused_zone_sends_nothing() -> None:
    with world(orchestrators=1) as centre:
        centre.done("vm.placed", "create")
        steer_zone(centre, "pause")
        held = centre.submit("vm.placed", "stop")
        centre.programs["orchestrator-1"].kill()
        centre.run_for(1.0)
        centre.start("orchestrator-1")
        assert waits(centre, held)
        steer_zone(centre, "resume")
        assert answer(centre, held) == "completed"


def test_another_supervisor_of_a_paused_zone_is_claimed_for_with_the_pause() -> None:
    with world(supervisors=2) as centre:
        centre.done("vm.placed", "create")
        steer_zone(centre, "pause")
        held = centre.submit("vm.placed", "stop")
        owner = claims(centre)[-1].owner or ""
        centre.kill(owner.rpartition("-")[0])
        centre.until(lambda: claims(centre)[-1].owner != owner, "a claim for the other")
        assert claims(centre)[-1].paused
        assert waits(centre, held)
        steer_zone(centre, "resume")
        assert answer(centre, held) == "completed"


def test_another_owner_of_root_keeps_to_the_pause() -> None:
    with world(orchestrators=2) as centre:
        steer_zone(centre, "pause")
        before = len(claims(centre))
        owner = centre.events["root.zone.root"][-1].owner or ""
        centre.kill(owner.rpartition("-")[0])
        held = centre.submit("vm.new", "create")
        centre.until(lambda: centre.events["root.zone.root"][-1].owner != owner, "another owner of root")
        assert waits(centre, held)
        assert len(claims(centre)) == before, "it says what it said: there is no need to claim it again"
        steer_zone(centre, "resume")
        assert answer(centre, held) == "completed"


def test_a_pause_that_root_answered_and_did_not_live_to_pass_on_is_passed_on_by_the_next() -> None:
    with world(orchestrators=2) as centre:
        owner = (centre.events["root.zone.root"][-1].owner or "").rpartition("-")[0]
        centre.submit("zone.zone-a", "pause", zone=ROOT)
        centre.until(lambda: centre.events["root.zone.zone-a"][-1].paused, "root's answer")
        assert not claims(centre)[-1].paused
        centre.kill(owner)
        centre.until(lambda: claims(centre)[-1].paused, "a claim that says so")


def test_a_resume_that_comes_while_the_pause_is_being_passed_on_is_passed_on_too() -> None:
    with world(latency_s=0.02) as centre:
        for offset_ms in range(0, 120, 10):
            centre.done("zone.zone-a", "pause", zone=ROOT)
            centre.run_for(offset_ms / 1000)
            centre.done("zone.zone-a", "resume", zone=ROOT)
            centre.run_for(1.0)
            assert not claims(centre)[-1].paused, f"resumed {offset_ms} ms after the pause was answered"


# --- drain -----------------------------------------------------------------------------------------------------------


def test_nothing_new_is_placed_in_a_drained_zone_and_what_is_there_stays_and_works() -> None:
    with world(pods=2) as centre:
        created = centre.done("vm.there", "create")
        steer_zone(centre, "drain", reason="closes down")
        assert claims(centre)[-1].draining
        held = centre.submit("vm.new", "create")
        assert waits(centre, held)
        assert [centre.done("vm.there", operation).host for operation in ("stop", "start")] == [created.host] * 2
        said = centre.owner_says("vm.new")
        assert said["reason"] == "the zone is being drained: nothing new is placed in it"
        left = centre.owner_says("zone.zone-a")["draining"]
        assert (left["left"], left["waiting"], left["first"]) == (1, 1, "vm.there"), "a zone has nowhere to send it"
        centre.done("vm.there", "destroy")
        assert "draining" not in centre.owner_says("zone.zone-a"), "it is empty"
        steer_zone(centre, "resume")
        assert answer(centre, held) == "completed"


def test_a_create_in_a_drained_zone_that_must_not_wait_expires_and_says_so() -> None:
    with world() as centre:
        steer_zone(centre, "drain")
        deadline = centre.rfc3339(in_s=5.0)
        ticket = centre.submit("vm.late", "create", deadline=deadline)
        assert answer(centre, ticket) == "expired"
        assert not centre.device_of("pod-1").things.get("zone-a.vm.late")


def test_a_migrate_in_a_drained_zone_finds_no_place_and_lets_nothing_go() -> None:
    with world(hosts=2) as centre:
        created = centre.done("vm.there", "create")
        steer_zone(centre, "drain")
        ticket = centre.submit("vm.there", "migrate")
        assert answer(centre, ticket) == "failed"
        event = centre.answered["zone-a", ticket]
        assert event.reason == "the zone is being drained: nothing new is placed in it; it stays where it is"
        assert (event.host, "handed_off" in centre.types("vm.there")) == (created.host, False)


def test_another_supervisor_of_a_drained_zone_places_nothing_either() -> None:
    with world(supervisors=2) as centre:
        steer_zone(centre, "drain")
        owner = claims(centre)[-1].owner or ""
        centre.kill(owner.rpartition("-")[0])
        centre.until(lambda: claims(centre)[-1].owner != owner, "a claim for the other")
        held = centre.submit("vm.new", "create")
        assert waits(centre, held)
        assert claims(centre)[-1].draining
        steer_zone(centre, "resume")
        assert answer(centre, held) == "completed"
