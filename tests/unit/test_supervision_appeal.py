"""A zone that asks root for help: when, for how long, and what being claimed anew because of it means."""

from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.appeal import Appeal
from treeward.supervision.children import Children
from treeward.supervision.effects import Cause
from treeward.supervision.escalations import Escalations
from treeward.supervision.limits import Limits

LIMITS = Limits()


def troubled(appeal: Appeal, now_s: float, *, beyond: int = 1, troubled: int = 2, pods: int = 3) -> tuple[int, bool]:
    """(how many are to be quarantined, whether root is asked)."""
    hopeless = [(f"z.p{number}", "nothing helps") for number in range(beyond)]
    found = appeal.decide(hopeless, troubled=troubled, pods=pods, now_s=now_s)
    return len(found), appeal.escalation is not None


def test_a_zone_most_of_whose_pods_need_help_asks_root_before_it_quarantines_one() -> None:
    appeal = Appeal(asked_before=False, patience_s=60.0)
    assert troubled(appeal, 100.0, beyond=0) == (0, False)
    assert troubled(appeal, 101.0) == (0, True)
    assert troubled(appeal, 160.9, beyond=2) == (0, True)
    assert troubled(appeal, 161.0, beyond=2) == (2, False), "nobody has come: it does what it can"


def test_what_ails_few_of_its_pods_is_no_reason_to_ask_root() -> None:
    assert troubled(Appeal(asked_before=False, patience_s=60.0), 100.0, troubled=1, pods=1) == (1, False)
    assert troubled(Appeal(asked_before=False, patience_s=60.0), 100.0, troubled=2, pods=4) == (1, False)


def test_a_zone_stops_asking_when_its_pods_are_well_again() -> None:
    appeal = Appeal(asked_before=False, patience_s=60.0)
    assert troubled(appeal, 100.0) == (0, True)
    assert troubled(appeal, 110.0, beyond=0, troubled=0) == (0, False)
    assert troubled(appeal, 170.0) == (0, True), "and the time for which it asks begins anew"


def test_who_was_claimed_for_because_the_one_before_had_asked_does_not_ask_again() -> None:
    assert troubled(Appeal(asked_before=True, patience_s=60.0), 100.0) == (1, False)
    children = Children(LIMITS, began_s=0.0)
    children.on_claimed("z", "s1", 5, 100.0)
    for name in ("s1", "s2"):
        holds = [Holding(branch="z", epoch=5, escalated="2 of 3 pods")] if name == "s1" else []
        beat = Heartbeat(service="zone-supervisor", instance=name, name=name, holds=holds)
        children.on_heartbeat(beat, 101.0)
    (claim,) = children.decide(101.5)
    assert (claim.branch, claim.instance, claim.cause, claim.asked) == ("z", "s2", Cause.HELPLESS, True)


def test_who_asked_and_was_claimed_anew_needs_help_until_it_has_been_well_for_a_while() -> None:
    escalations = Escalations(LIMITS)

    def hear(branch: str, epoch: int, now_s: float, escalated: str | None = "nothing helps") -> None:
        escalations.hear(Holding(branch=branch, epoch=epoch, escalated=escalated), now_s - 1.0, now_s)

    period_s = LIMITS.restart_period_s
    hear("z.p1", 5, 100.0)
    hear("z.p2", 6, 100.0)
    assert escalations.troubled(100.0) == 2
    hear("z.p2", 7, 101.0, None)
    assert escalations.troubled(101.0) == 2, "it was claimed anew just now"
    assert escalations.troubled(100.0 + 2 * period_s) == 2
    assert escalations.troubled(100.1 + 2 * period_s) == 1, "it is well, and the other still asks"
    escalations.on_quarantined("z.p1", True)
    assert escalations.troubled(102.0) == 1
    escalations.forget("z.p2")
    assert escalations.troubled(102.0) == 0


def test_who_is_named_once_more_is_still_the_one_that_was_asked_for() -> None:
    children = Children(LIMITS, began_s=0.0)
    for epoch, asked in ((5, True), (6, False)):
        children.on_claimed("z", "s1", epoch, 100.0, asked=asked)
        children.on_heartbeat(
            Heartbeat(
                service="zone-supervisor", instance="s1", name="s1", holds=[Holding(branch="z", epoch=epoch)]
            ),
            101.0,
        )  # fmt: skip
        children.branches["z"].renew = "it was configured"
        (claim,) = children.decide(101.5)
        assert (claim.instance, claim.reason, claim.asked) == ("s1", "it was configured", asked)
        assert claim.cause is Cause.RENEWED
    children.branches["z"].renew = None
    children.on_claimed("z", "s1", 7, 101.6, asked=True)
    children.on_closed("s1", 101.6)
    children.on_heartbeat(Heartbeat(service="zone-supervisor", instance="s2", name="s2", holds=[]), 101.9)
    (claim,) = children.decide(102.0)
    assert (claim.instance, claim.asked) == ("s2", False), "another owner is asked for by a death"
