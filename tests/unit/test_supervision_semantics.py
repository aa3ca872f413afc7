"""Supervision against OTP's documented cases: one test for each row of docs/supervision.md."""

from itertools import pairwise
from typing import Any

from tests.support.pod_crowd import Crowd, failing, gone, silent, well

from treeward.schemas.device import Status
from treeward.schemas.events import EventType
from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.children import Children
from treeward.supervision.limits import Limits
from treeward.supervision.row import Phase

LIMITS = Limits(
    restarts_max=2, restart_period_s=20.0, backoff_s_min=0.1, backoff_s_max=1.0, pod_restarts_per_s=50.0,
    pod_restarts_at_once=20, call_timeout_s=5.0,
)  # fmt: skip
MANY = [f"vm.vm-{number}" for number in range(200)]


def sick(key: str) -> Any:
    """A device on which one resource always fails."""

    def answer(which: str, verb: str) -> Status | None:
        return failing(which, verb) if which == key else well(which, verb)

    return answer


def crash_everything(crowd: Crowd) -> None:
    crowd.device = failing
    for number, key in enumerate(MANY):
        crowd.submit(key, number + 1)


# --- one child ---------------------------------------------------------------------------------------------------


def test_one_restart_more_than_allowed_within_the_period_is_quarantined() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = sick("vm.sick")
    crowd.submit("vm.sick", 1)
    crowd.pass_time(10.0)
    assert len(crowd.events("vm.sick", EventType.CRASHED)) == LIMITS.restarts_max + 1
    (quarantined,) = crowd.events("vm.sick", EventType.QUARANTINED)
    assert quarantined.reason == "crashed 3 times within 20 s"
    assert crowd.owner.rows["vm.sick"].phase is Phase.QUARANTINED


def test_an_intensity_of_zero_allows_no_restart() -> None:
    crowd = Crowd(LIMITS, policies={"restarts_max": 0})
    crowd.device = failing
    crowd.submit("vm.sick", 1)
    crowd.pass_time(5.0)
    assert len(crowd.events("vm.sick", EventType.CRASHED)) == 1
    assert len(crowd.events("vm.sick", EventType.QUARANTINED)) == 1


def test_restarts_older_than_the_period_do_not_count() -> None:
    crowd = Crowd(LIMITS)
    for ticket in range(1, 12):
        crowd.device = failing
        crowd.submit("vm.now-and-then", ticket)
        crowd.device = well
        crowd.pass_time(LIMITS.restart_period_s / 2 + 0.1)
    assert len(crowd.events("vm.now-and-then", EventType.CRASHED)) == 11
    assert crowd.events("vm.now-and-then", EventType.QUARANTINED) == []


def test_siblings_of_what_cannot_be_helped_go_on() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = sick("vm.sick")
    for number, key in enumerate(["vm.sick", *MANY[:20]]):
        crowd.submit(key, number + 1)
    crowd.pass_time(10.0)
    assert crowd.owner.rows["vm.sick"].phase is Phase.QUARANTINED
    assert all(crowd.last[key][1].type is EventType.COMPLETED for key in MANY[:20])
    crowd.submit(MANY[0], 100)
    assert crowd.last[MANY[0]][1].answered == 100
    assert crowd.suspicions == []


def test_a_person_lets_it_out_with_a_clean_record() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = failing
    crowd.submit("vm.sick", 1)
    crowd.pass_time(10.0)
    crowd.device = well
    crowd.submit("vm.sick", 1, released=7)
    crowd.pass_time(1.0)
    types = [event.type for event in crowd.events("vm.sick")][-3:]
    assert types == [EventType.RELEASED, EventType.READY, EventType.COMPLETED]
    assert crowd.owner.rows["vm.sick"].crashed_at_s == ()


def test_restarts_wait_longer_and_longer_up_to_a_bound() -> None:
    crowd = Crowd(LIMITS, policies={"restarts_max": 100})
    crowd.device = failing
    crowd.submit("vm.sick", 1)
    crowd.pass_time(15.0)
    at_s = [when_s for when_s, event in crowd.said if event.type is EventType.CRASHED]
    pauses_s = [later - earlier for earlier, later in pairwise(at_s)]
    assert pauses_s[0] <= LIMITS.backoff_s_min + 0.1
    assert LIMITS.backoff_s_max / 2 <= pauses_s[-1] <= LIMITS.backoff_s_max + 0.1


def test_a_restart_that_fails_is_tried_again_and_is_no_crash() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = failing
    crowd.submit("vm.a", 1)
    crowd.device = gone
    crowd.pass_time(30.0)
    assert len(crowd.events("vm.a", EventType.CRASHED)) == 1
    assert crowd.events("vm.a", EventType.QUARANTINED) == []
    crowd.device = well
    crowd.pass_time(LIMITS.busy_retry_max_s + 1.0)
    assert crowd.last["vm.a"][1].type is EventType.COMPLETED


def test_what_is_idle_has_no_process_to_restart() -> None:
    crowd = Crowd(LIMITS)
    crowd.submit("vm.idle", 1)
    crowd.place("host.h1")
    crowd.device = failing
    crowd.submit("host.h1", 2)
    crowd.pass_time(1.0)
    assert crowd.events("host.h1", EventType.CRASHED)
    assert crowd.events("vm.idle", EventType.CRASHED) == []


# --- parents and children ----------------------------------------------------------------------------------------


def test_a_host_takes_what_is_in_use_on_it_down_in_one_batch_and_is_restarted_first() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = silent
    crowd.place("host.h1")
    for number, key in enumerate([*MANY[:30], "host.h1"]):
        crowd.submit(key, number + 1)
    crowd.owner.limits = LIMITS
    host = crowd.owner.rows["host.h1"]
    crowd.device = failing
    crowd.pass_time(LIMITS.call_timeout_s + 0.2)  # the synchronizes are silent; then all are called, and the host fails
    batch = {at_s for at_s, event in crowd.said if event.type is EventType.CRASHED and event.key == "host.h1"}
    crowd.device = well
    crowd.pass_time(20.0)
    assert batch
    assert crowd.last["host.h1"][1].type is EventType.COMPLETED
    assert host.phase is Phase.READY
    assert all(crowd.last[key][1].type is EventType.COMPLETED for key in MANY[:30])


def test_a_new_owner_of_the_pod_counts_from_the_beginning() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = failing
    crowd.submit("vm.sick", 1)
    crowd.pass_time(0.1)
    crashes = len(crowd.events("vm.sick", EventType.CRASHED))
    assert 1 <= crashes <= LIMITS.restarts_max
    successor = Crowd(LIMITS)
    successor.last = dict(crowd.last)
    successor.position = crowd.position
    successor.device = failing
    successor.submit("vm.sick", 1)
    successor.pass_time(10.0)
    assert len(successor.events("vm.sick", EventType.CRASHED)) == LIMITS.restarts_max + 1


def test_most_children_failing_at_once_is_a_fault_of_the_supervisor() -> None:
    crowd = Crowd(LIMITS)
    crash_everything(crowd)
    crowd.pass_time(10.0)
    assert crowd.count(EventType.QUARANTINED) == 0
    (suspicion,) = crowd.suspicions
    assert (suspicion.reason, suspicion.escalates) == ("the device is reached, and fails", False)
    crowd.device = well
    crowd.pass_time(20.0)
    assert all(crowd.last[key][1].type is EventType.COMPLETED for key in MANY)
    assert crowd.owner.describe(MANY[0], crowd.now_s)["crashes"] == 0


def test_even_where_no_restart_is_allowed_a_mass_crash_is_forgiven() -> None:
    crowd = Crowd(LIMITS, policies={"restarts_max": 0})
    crash_everything(crowd)
    crowd.device = well
    crowd.pass_time(20.0)
    assert crowd.count(EventType.QUARANTINED) < LIMITS.failed_at_once_min, "those before it was known to be one"
    assert crowd.count(EventType.COMPLETED) == len(MANY) - crowd.count(EventType.QUARANTINED)


def test_each_attempt_at_a_device_that_is_away_costs_a_turn() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = gone
    for number, key in enumerate(MANY):
        crowd.submit(key, number + 1)
    begun_s = crowd.now_s + 1.0
    crowd.pass_time(6.0)
    for second in range(5):
        assert crowd.restarts_within(begun_s + second, 1.0) <= LIMITS.pod_restarts_per_s * 1.1 + 1


def test_a_pod_restarts_at_its_own_rate_and_those_that_fail_again_come_last() -> None:
    crowd = Crowd(LIMITS)
    crash_everything(crowd)
    begun_s = crowd.now_s + 1.0
    crowd.pass_time(11.0)
    for second in range(10):
        assert crowd.restarts_within(begun_s + second, 1.0) <= LIMITS.pod_restarts_per_s * 1.1 + 1
    restarts = [key for _, key, _ in crowd.synchronized][len(MANY) :]
    assert len(restarts) >= LIMITS.pod_restarts_per_s * 9
    assert set(restarts[: len(MANY) * 4 // 3 + 1]) == set(MANY), "three turns of four are of those that failed once"


def test_a_supervisor_that_cannot_help_asks_its_parent() -> None:
    crowd = Crowd(LIMITS)
    crash_everything(crowd)
    crowd.pass_time(LIMITS.restart_period_s - 1.0)
    assert crowd.owner.escalation is None
    crowd.pass_time(2.0)
    assert crowd.owner.escalation is not None
    assert not crowd.owner.escalation.out_of_reach
    assert [suspicion.escalates for suspicion in crowd.suspicions] == [False, True]
    crowd.device = well
    crowd.pass_time(30.0)
    assert crowd.owner.escalation is None, "it went on meanwhile, and has helped itself"


def family(*names: str, now_s: float) -> Children:
    children = Children(LIMITS, began_s=0.0)
    for name in names:
        children.on_heartbeat(Heartbeat(service="pod-agent", instance=name, name=name), now_s)
    return children


def beat(children: Children, instance: str, epoch: int, now_s: float, **said: Any) -> None:
    holds = [Holding(branch="z.p", epoch=epoch, **said)] if epoch else []
    heartbeat = Heartbeat(service="pod-agent", instance=instance, name=instance, holds=holds)
    children.on_heartbeat(heartbeat, now_s)


def test_the_parent_restarts_it_elsewhere_after_a_while() -> None:
    children = family("a", "b", now_s=100.0)
    children.on_claimed("z.p", "a", 5, 100.0)
    beat(children, "a", 5, 101.0)
    assert children.decide(101.0) == []
    beat(children, "a", 5, 101.2, escalated="nothing helps")
    beat(children, "b", 0, 101.2)
    assert children.decide(101.21) == [], "not at once"
    beat(children, "a", 5, 101.5, escalated="nothing helps")
    beat(children, "b", 0, 101.5)
    (claim,) = children.decide(101.5)
    assert (claim.branch, claim.instance, claim.reason) == ("z.p", "b", "a cannot help it: nothing helps")


def escalate_until_hopeless(children: Children, *, out_of_reach: bool = False) -> int:
    epoch, now_s = 5, 100.0
    children.on_claimed("z.p", "a", epoch, now_s)
    for claims in range(10):
        for _ in range(40):
            now_s += 0.5
            beat(children, "a", epoch, now_s, escalated="nothing helps", out_of_reach=out_of_reach)
            if children.escalations.hopeless():
                return claims
            if children.decide(now_s):
                break
        epoch += 1
        children.on_claimed("z.p", "a", epoch, now_s)
    return 10


def test_beyond_the_parents_own_intensity_the_branch_is_quarantined_until_released() -> None:
    children = family("a", now_s=100.0)
    assert escalate_until_hopeless(children) == LIMITS.restarts_max
    children.escalations.on_quarantined("z.p", True)
    children.on_claimed("z.p", None, 99, 500.0)
    beat(children, "a", 0, 500.0)
    assert children.decide(500.1) == children.decide(500.2) == []
    assert children.escalations.hopeless() == []
    children.escalations.on_quarantined("z.p", False)
    (claim,) = children.decide(500.3)
    assert claim.reason == "it had no owner"


def test_what_is_only_out_of_reach_is_never_quarantined() -> None:
    children = family("a", now_s=100.0)
    escalate_until_hopeless(children, out_of_reach=True)
    assert children.escalations.hopeless() == []
    assert children.branches["z.p"].epoch >= 5


# --- the end -----------------------------------------------------------------------------------------------------


def test_an_owner_that_is_told_to_stop_waits_for_what_is_in_hand_and_not_for_its_line() -> None:
    crowd = Crowd(LIMITS)
    crash_everything(crowd)
    crowd.device = silent
    crowd.pass_time(0.5)
    assert len(crowd.owner._recovery.line) > 0
    crowd.owner.stop_taking()
    assert crowd.owner.drained
    crowd.device = well
    before = crowd.count(EventType.CRASHED)
    crowd.pass_time(1.0)
    assert crowd.count(EventType.CRASHED) == before


def test_an_owner_that_was_held_up_calls_nobody_silent_before_it_has_listened() -> None:
    crowd = Crowd(LIMITS)
    crowd.device = lambda _key, verb: Status.OK if verb == "synchronize" else None
    crowd.submit("vm.a", 1)
    crowd.pass_time(1.0)
    crowd.sleep(LIMITS.call_timeout_s + 1.0)
    assert crowd.events("vm.a", EventType.CRASHED) == [], "the answer may be in the socket"
    crowd.pass_time(0.1)
    assert len(crowd.events("vm.a", EventType.CRASHED)) == 1
