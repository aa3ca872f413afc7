"""Whom a supervisor claims for: the silent, the leaving, those without their epoch; and it suspects itself first."""

from collections.abc import Sequence
from itertools import pairwise

import pytest

from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.children import Children
from treeward.supervision.effects import Cause, ClaimBranch
from treeward.supervision.limits import Limits

LIMITS = Limits()
POD = "zone-a.pod-1"
STEP_S = 0.1


class Watching:
    """A supervisor that decides every 0.1 s and hears the instances that are alive."""

    def __init__(self, **options: object) -> None:
        self.now_s = 100.0
        self.children = Children(LIMITS, self.now_s, **options)  # type: ignore[arg-type]
        self.alive: dict[str, Heartbeat] = {}
        self.claims: list[ClaimBranch] = []
        self._position = 10

    def hear(self, instance: str, holds: Sequence[tuple[str, int]] = (), **fields: object) -> None:
        """From now on the instance says this, every 0.1 s."""
        held = [Holding(branch=branch, epoch=epoch) for branch, epoch in holds]
        self.alive[instance] = Heartbeat(service="pod-agent", instance=instance, name=instance, holds=held, **fields)  # type: ignore[arg-type]

    def run(self, seconds: float, *, obey: bool = False) -> list[ClaimBranch]:
        """Let time pass; with `obey` what is claimed is stored, and the instance named holds it."""
        before = len(self.claims)
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            for heartbeat in self.alive.values():
                self.children.on_heartbeat(heartbeat, self.now_s)
            for claim in self.children.decide(self.now_s):
                self.claims.append(claim)
                if obey:
                    self._position += 1
                    self.children.on_claimed(claim.branch, claim.instance, self._position, self.now_s)
                    self.hear(claim.instance, [(claim.branch, self._position)])
        return self.claims[before:]


def owned(**options: object) -> Watching:
    """agent-1 owns the pod in epoch 5 and says so; agent-2 is there."""
    watching = Watching(**options)
    watching.children.on_claimed(POD, "agent-1", 5, watching.now_s)
    watching.hear("agent-1", [(POD, 5)])
    watching.hear("agent-2")
    assert watching.run(5.0) == []
    return watching


def test_a_pod_that_is_held_in_its_epoch_is_left_alone() -> None:
    assert owned().run(60.0) == []


def test_a_pod_without_owner_is_claimed_for_somebody_who_is_there() -> None:
    watching = Watching()
    watching.children.on_defined(POD, watching.now_s)
    watching.hear("agent-1")
    claims = watching.run(3.0, obey=True)
    assert [(claim.branch, claim.instance) for claim in claims] == [(POD, "agent-1")]


def test_nobody_is_claimed_for_before_two_heartbeats_could_be_heard() -> None:
    watching = Watching()
    watching.children.on_defined(POD, watching.now_s)
    watching.hear("agent-1")
    assert watching.run(2 * LIMITS.heartbeat_s - 0.1) == []


def test_an_owner_that_falls_silent_is_replaced_after_the_time_of_suspicion_and_not_before() -> None:
    watching = owned()
    del watching.alive["agent-1"]
    assert watching.run(LIMITS.suspicion_s - STEP_S) == []
    claims = watching.run(1.0, obey=True)
    assert [claim.instance for claim in claims] == ["agent-2"]
    assert "silent" in claims[0].reason
    assert claims[0].cause is Cause.SILENT


def test_an_owner_whose_connection_was_closed_is_replaced_a_heartbeat_later() -> None:
    watching = owned()
    del watching.alive["agent-1"]
    watching.children.on_closed("agent-1", watching.now_s)
    assert watching.run(LIMITS.heartbeat_s) == []
    claims = watching.run(STEP_S, obey=True)
    assert [claim.instance for claim in claims] == ["agent-2"]
    assert "connection is gone" in claims[0].reason
    assert claims[0].cause is Cause.DISCONNECTED


def test_a_connection_that_is_made_anew_is_no_death() -> None:
    watching = owned()
    watching.children.on_closed("agent-1", watching.now_s)
    watching.hear("agent-1", [(POD, 5)])
    assert watching.run(10.0) == []


def test_a_closed_connection_of_somebody_unknown_is_nobodys_death() -> None:
    watching = owned()
    watching.children.on_closed("nats-cli", watching.now_s)
    assert watching.run(10.0) == []


def test_an_owner_that_is_leaving_is_replaced_at_once() -> None:
    watching = owned()
    watching.hear("agent-1", [(POD, 5)], leaving=True)
    assert [claim.instance for claim in watching.run(STEP_S, obey=True)] == ["agent-2"]


def test_nobody_is_claimed_for_who_is_leaving() -> None:
    watching = owned()
    watching.hear("agent-2", leaving=True)
    del watching.alive["agent-1"]
    assert watching.run(10 * LIMITS.suspicion_s) == []


def test_an_owner_that_lives_without_the_epoch_that_it_was_given_is_claimed_for_anew() -> None:
    watching = owned()
    watching.hear("agent-1", [(POD, 4)])
    claims = watching.run(LIMITS.epoch_grace_s + 2 * STEP_S, obey=True)
    assert len(claims) == 1
    assert "epoch 5" in claims[0].reason


def test_an_owner_that_was_just_claimed_has_time_to_begin() -> None:
    watching = owned()
    watching.children.on_claimed(POD, "agent-2", 6, watching.now_s)
    assert watching.run(LIMITS.epoch_grace_s - STEP_S) == []


def test_an_owner_that_nobody_ever_heard_of_is_given_the_time_of_suspicion() -> None:
    watching = Watching()
    watching.children.on_claimed(POD, "long-gone", 5, watching.now_s)
    watching.hear("agent-2")
    assert watching.run(LIMITS.suspicion_s) == []
    assert [claim.instance for claim in watching.run(1.0, obey=True)] == ["agent-2"]


def test_adoption_claims_nothing_that_is_held() -> None:
    watching = Watching()
    for number in range(10):
        branch = f"zone-a.pod-{number}"
        watching.children.on_claimed(branch, f"agent-{number % 3}", number + 1, watching.now_s)
    for agent in range(3):
        holds = [(f"zone-a.pod-{number}", number + 1) for number in range(10) if number % 3 == agent]
        watching.hear(f"agent-{agent}", holds)
    assert watching.run(30.0) == []


@pytest.mark.parametrize("away_s", [LIMITS.suspicion_s, 60.0])
def test_a_supervisor_that_was_away_suspects_itself_before_its_children(away_s: float) -> None:
    watching = owned()
    watching.now_s += away_s
    assert watching.run(3.0) == []
    assert watching.children.suspected_itself == 1


def test_after_it_was_away_it_still_notices_who_is_really_silent() -> None:
    watching = owned()
    del watching.alive["agent-1"]
    watching.now_s += 60.0
    assert watching.run(LIMITS.suspicion_s - STEP_S) == []
    assert [claim.instance for claim in watching.run(1.0, obey=True)] == ["agent-2"]


def test_who_is_dead_is_missed_by_a_supervisor_that_sleeps_again_and_again() -> None:
    """After twice the time in which it listened at most, however seldom that is; whoever lives is left alone."""
    watching = owned()
    del watching.alive["agent-1"]
    listened_s = 0.0
    while not watching.claims:
        watching.now_s += 1.0
        watching.run(0.5)
        listened_s += 0.5
        assert listened_s <= 2 * LIMITS.suspicion_s + 0.5, "it is never missed"
    assert watching.claims[0].instance == "agent-2"
    assert watching.children.suspected_itself > 2


def test_a_sleep_is_no_silence_of_those_who_were_just_heard_of() -> None:
    watching = owned()
    for _ in range(20):
        watching.now_s += 1.0
        assert watching.run(0.5) == []


def test_who_was_cut_off_again_and_again_misses_the_dead_once_it_is_not_any_more() -> None:
    watching = owned()
    del watching.alive["agent-1"]
    for _ in range(20):
        assert watching.run(LIMITS.suspicion_s - 2 * STEP_S) == []
        watching.children.suspect_itself(watching.now_s)
    assert watching.run(LIMITS.suspicion_s + 2 * STEP_S)[0].instance == "agent-2"


def test_an_older_claim_changes_nothing() -> None:
    watching = owned()
    watching.children.on_claimed(POD, "agent-2", 4, watching.now_s)
    assert watching.children.branches[POD].owner == "agent-1"
    assert watching.run(10.0) == []


def test_a_pod_that_was_removed_is_nobodys() -> None:
    watching = owned()
    watching.children.on_removed(POD)
    del watching.alive["agent-1"]
    assert watching.run(10.0) == []


def test_many_pods_are_spread_over_the_instances() -> None:
    watching = Watching()
    for number in range(12):
        watching.children.on_defined(f"zone-a.pod-{number}", watching.now_s)
    for agent in range(3):
        watching.hear(f"agent-{agent}")
    watching.run(1.0)
    first = {claim.branch: claim.instance for claim in watching.claims}
    assert len(first) == 12
    assert sorted(list(first.values()).count(f"agent-{agent}") for agent in range(3)) == [4, 4, 4]


def test_an_instance_takes_no_more_than_its_capacity() -> None:
    watching = Watching()
    for number in range(5):
        watching.children.on_defined(f"zone-a.pod-{number}", watching.now_s)
    watching.hear("agent-1", capacity=2)
    watching.run(0.6)
    assert len({claim.branch for claim in watching.claims}) == 2


@pytest.mark.parametrize("prefer_local", [True, False])
def test_the_local_instance_is_preferred_where_the_policy_says_so(prefer_local: bool) -> None:
    watching = Watching(prefer_local=prefer_local)
    for number in range(12):
        watching.children.on_defined(f"zone-a.pod-{number}", watching.now_s)
    for instance in ("near", "far-1", "far-2"):
        watching.hear(instance, labels={"pod": "pod-1"} if instance == "near" else {})
    watching.run(0.6)
    chosen = {claim.branch: claim.instance for claim in watching.claims}
    assert sorted(list(chosen.values()).count(name) for name in ("near", "far-1", "far-2")) == [4, 4, 4]
    if prefer_local:
        assert chosen[POD] == "near"


def test_an_instance_of_another_zone_is_not_claimed_for() -> None:
    watching = Watching()
    watching.children.on_defined(POD, watching.now_s)
    watching.hear("agent-1", zone="zone-b")
    assert watching.run(3.0) == []


def test_what_is_decided_is_decided_again_until_it_is_heard_of() -> None:
    """Whoever asks for a majority in between, or fails to append, must find the same claim again."""
    watching = Watching(last_resort="supervisor")
    watching.children.on_defined(POD, watching.now_s)
    claims = watching.run(LIMITS.orphan_s + 1.0)
    assert len(claims) > 1
    assert {claim.instance for claim in claims} == {"supervisor"}


def orphaned() -> Watching:
    """A pod that no agent can take, claimed for its supervisor in epoch 5."""
    watching = Watching(last_resort="supervisor")
    watching.children.on_claimed(POD, "supervisor", 5, watching.now_s)
    return watching


def test_a_supervisor_that_acts_for_a_pod_itself_is_left_alone() -> None:
    watching = orphaned()
    watching.children.on_own([Holding(branch=POD, epoch=5)], watching.now_s)
    assert watching.run(60.0) == []


def test_a_pod_that_its_supervisor_gave_up_is_claimed_for_it_again_without_any_agent() -> None:
    watching = orphaned()
    assert watching.run(LIMITS.epoch_grace_s) == []
    claims = watching.run(2 * STEP_S)
    assert {(claim.branch, claim.instance) for claim in claims} == {(POD, "supervisor")}
    assert "epoch 5" in claims[0].reason


def test_each_time_that_its_supervisor_gives_it_up_the_next_claim_comes_later() -> None:
    watching = orphaned()
    waited_s = []
    for epoch in range(6, 10):
        claimed_s = watching.now_s
        watching.children.on_own([Holding(branch=POD, epoch=epoch - 1)], watching.now_s)
        watching.run(0.5)
        watching.children.on_own([], watching.now_s)
        while not watching.run(STEP_S):
            pass
        waited_s.append(watching.now_s - claimed_s)
        watching.children.on_claimed(POD, "supervisor", epoch, watching.now_s)
    assert all(later > 1.5 * earlier for earlier, later in pairwise(waited_s))


def test_once_its_supervisor_has_acted_for_it_for_a_while_giving_up_costs_the_usual_time() -> None:
    watching = orphaned()
    for epoch in range(6, 10):
        watching.children.on_own([Holding(branch=POD, epoch=epoch - 1)], watching.now_s)
        watching.run(LIMITS.epoch_grace_s + 1.0)
        watching.children.on_own([Holding(branch=POD, epoch=epoch - 1)], watching.now_s)
        watching.children.on_own([], watching.now_s)
        assert watching.run(2 * STEP_S)
        watching.children.on_claimed(POD, "supervisor", epoch, watching.now_s)


def test_a_supervisor_keeps_a_pod_that_the_instances_there_have_no_room_for() -> None:
    watching = orphaned()
    watching.children.on_claimed("zone-a.pod-2", "agent-1", 4, watching.now_s)
    watching.hear("agent-1", [("zone-a.pod-2", 4)], capacity=1)
    watching.children.on_own([Holding(branch=POD, epoch=5)], watching.now_s)
    assert watching.run(60.0) == []
