"""Supervisors that ask for help: who is claimed anew, who is given up, and when a zone asks root (ADR 10, ADR 12)."""

from hypothesis import given, settings
from hypothesis import strategies as some

from treeward.schemas.presence import Holding
from treeward.supervision.appeal import PODS_MIN, Appeal
from treeward.supervision.escalations import WELL_PERIODS, Escalations
from treeward.supervision.limits import Limits

LIMITS = Limits(restarts_max=2, restart_period_s=10.0)
PODS = ("z.p1", "z.p2", "z.p3")
FAR_AWAY = some.booleans()
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("asks"), some.sampled_from(PODS), FAR_AWAY),
        some.tuples(some.just("is well"), some.sampled_from(PODS), some.none()),
        some.tuples(some.just("is claimed"), some.sampled_from(PODS), some.none()),
        some.tuples(some.just("is released"), some.sampled_from(PODS), some.none()),
        some.tuples(some.just("waits"), some.sampled_from((0.5, 3.0, 25.0)), some.none()),
    ),
    max_size=50,
)


class Supervising:
    """A zone's owner that puts whoever is beyond help into quarantine, and what its branches have said so far."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.escalations = Escalations(LIMITS)
        self.epochs = dict.fromkeys(PODS, 1)
        self.claimed_s = dict.fromkeys(PODS, self.now_s)
        self.asked_in_a_row = dict.fromkeys(PODS, 0)
        self.asks: dict[str, bool] = {}
        """Who asks in its present epoch, and whether it is only out of reach."""

    def hear(self, branch: str, *, asks: bool, far_away: bool = False) -> None:
        held = Holding(
            branch=branch, epoch=self.epochs[branch], escalated="nothing helps" if asks else None, out_of_reach=far_away
        )
        self.escalations.hear(held, self.claimed_s[branch], self.now_s)

    def step(self, what: str, which: str | float, far_away: bool | None) -> None:
        if what == "waits":
            self.now_s += float(which)
            return
        branch = str(which)
        match what:
            case "asks":
                if branch not in self.asks:  # in each epoch the first trouble counts
                    well = self.now_s - self.claimed_s[branch] > WELL_PERIODS * LIMITS.restart_period_s
                    self.asked_in_a_row[branch] = 1 if well else self.asked_in_a_row[branch] + 1
                    self.asks[branch] = bool(far_away)
                self.hear(branch, asks=True, far_away=self.asks[branch])
            case "is well":
                self.asks.pop(branch, None)
                self.hear(branch, asks=False)
            case "is claimed":
                self.epochs[branch] += 1
                self.claimed_s[branch] = self.now_s
                self.asks.pop(branch, None)
                self.hear(branch, asks=False)
            case "is released":
                if branch in self.escalations.quarantined:
                    self.asks.pop(branch, None)
                    self.asked_in_a_row[branch] = 0
                    self.escalations.on_quarantined(branch, False)


@settings(max_examples=200)
@given(STEPS)
def test_only_who_asked_more_often_in_a_row_than_it_may_and_is_within_reach_is_given_up(
    steps: list[tuple[str, str | float, bool | None]],
) -> None:
    supervising = Supervising()
    for step in steps:
        supervising.step(*step)
        escalations = supervising.escalations
        hopeless = {branch for branch, _ in escalations.hopeless()}
        assert hopeless == {
            branch
            for branch, far_away in supervising.asks.items()
            if not far_away
            and supervising.asked_in_a_row[branch] > LIMITS.restarts_max
            and branch not in escalations.quarantined
        }
        for branch in PODS:
            trouble = escalations.of(branch, supervising.now_s + LIMITS.backoff_s_max)
            claimed = branch in supervising.asks and branch not in hopeless | escalations.quarantined
            assert (trouble is not None) is claimed or branch in escalations.quarantined, "or it is claimed, in time"
        for branch in hopeless:
            escalations.on_quarantined(branch, True)
        assert 0 <= escalations.troubled(supervising.now_s) <= len(PODS) - len(escalations.quarantined)


@settings(max_examples=200)
@given(
    some.booleans(),
    some.lists(some.tuples(some.integers(0, 3), some.integers(0, 5), some.integers(1, 16).map(lambda each: each / 4))),
)
def test_a_zone_asks_only_for_most_of_its_pods_and_holds_nobody_back_for_longer_than_its_patience(
    asked_before: bool, steps: list[tuple[int, int, float]]
) -> None:
    """`steps`: how many are beyond help, how many more are in trouble, and how much time has passed."""
    patience_s, pods, now_s = 10.0, 5, 0.0
    held_since_s: float | None = None
    appeal = Appeal(asked_before=asked_before, patience_s=patience_s)
    for beyond, more, later_s in steps:
        now_s += later_s
        troubled = min(pods, beyond + more)
        hopeless = [(f"z.p{number}", "why") for number in range(beyond)]
        found = appeal.decide(hopeless, troubled=troubled, pods=pods, now_s=now_s)
        most = troubled >= PODS_MIN and 2 * troubled > pods
        assert found in (hopeless, ()), "all of them or nobody"
        if asked_before or not most:
            assert (found, appeal.escalation) == (hopeless, None)
        if hopeless and not found:
            held_since_s = now_s if held_since_s is None else held_since_s
            assert appeal.escalation is not None, "nobody is held back without root being asked"
            assert now_s - held_since_s < patience_s
            waits_s = appeal.quarantine_in_s(now_s)
            assert waits_s is not None and 0.0 < waits_s <= patience_s
        else:
            held_since_s = None
            assert appeal.escalation is None
            assert appeal.quarantine_in_s(now_s) is None
