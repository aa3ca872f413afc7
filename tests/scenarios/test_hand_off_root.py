"""Root is handed off when its log says so, and what was asked for is not said to be done before."""

import json
from typing import Any

import pytest
from tests.support.world import World, world

from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT

OWNED = f"{ROOT}.zone.{ROOT}"


def owner_of_root(centre: World) -> str:
    owner = centre.events[OWNED][-1].owner
    assert owner is not None
    return owner


def ask_to_hand_off(centre: World) -> dict[str, Any]:
    """What the owner of root answers within the time that the command line waits."""
    context, subject = centre.asking, subjects.control(owner_of_root(centre))
    assert context is not None
    reply = centre.ask(lambda: context.bus.request(subject, b'{"command": "hand_off_root"}', timeout_s=5.0))
    assert reply is not None, "an answer in time"
    said: dict[str, Any] = json.loads(reply)
    return said


def test_root_is_handed_off_to_another_orchestrator() -> None:
    with world(orchestrators=2) as centre:
        before = owner_of_root(centre)
        (other,) = {"orchestrator-1-1", "orchestrator-2-1"} - {before}
        assert ask_to_hand_off(centre) == {"done": f"root is claimed for {other}"}
        assert (owner_of_root(centre), centre.events[OWNED][-1].reason) == (other, f"handed off by {before}")
        centre.done("zone.zone-b", "create", zone=ROOT)


def test_root_whose_log_has_no_leader_is_not_said_to_be_handed_off() -> None:
    with world(orchestrators=2) as centre:
        before = owner_of_root(centre)
        (other,) = {"orchestrator-1-1", "orchestrator-2-1"} - {before}
        centre.server.lose_leader(streams.log(ROOT))
        said = ask_to_hand_off(centre)
        assert said == {
            "error": f"root is not handed off to {other}: no responders; ask again when its log takes claims"
        }
        assert owner_of_root(centre) == before
        centre.server.elect(streams.log(ROOT))
        assert ask_to_hand_off(centre) == {"done": f"root is claimed for {other}"}
        assert owner_of_root(centre) == other


@pytest.mark.parametrize(("trouble", "is_stored"), [("lose_answer", True), ("passing", False)])
def test_a_claim_of_root_without_an_answer_is_said_to_be_in_doubt(trouble: str, *, is_stored: bool) -> None:
    """Its log says nothing of use for longer than whoever asked would wait."""
    with world(orchestrators=2) as centre:
        before = owner_of_root(centre)
        (other,) = {"orchestrator-1-1", "orchestrator-2-1"} - {before}
        setattr(centre.server.trouble, trouble, 1.0)
        assert ask_to_hand_off(centre) == {
            "error": f"nobody knows whether root is claimed for {other}: its log did not answer within 3 s; "
            "`treeward tree` tells whose it is; if it did not change, ask again"
        }
        assert owner_of_root(centre) == (other if is_stored else before)
        setattr(centre.server.trouble, trouble, 0.0)


def test_an_only_orchestrator_has_nobody_to_hand_root_off_to() -> None:
    with world() as centre:
        before = owner_of_root(centre)
        assert ask_to_hand_off(centre) == {"error": "there is no other orchestrator to hand root off to"}
        assert owner_of_root(centre) == before
