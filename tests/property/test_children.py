"""Whom a supervisor claims for, whatever it hears and misses: never the silent, never in the place of who is well."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.children import Children
from treeward.supervision.effects import ClaimBranch
from treeward.supervision.limits import Limits

LIMITS = Limits()
BRANCHES = ("z.p1", "z.p2", "z.p3")
INSTANCES = ("a1", "a2", "a3", "elsewhere")
BRANCH, INSTANCE = some.sampled_from(BRANCHES), some.sampled_from(INSTANCES)
EVENTS: some.SearchStrategy[tuple[str, Any]] = some.one_of(
    some.tuples(some.just("beats"), INSTANCE),
    some.tuples(some.just("leaves"), INSTANCE),
    some.tuples(some.just("is reported closed"), INSTANCE),
    some.tuples(some.just("gives up"), BRANCH),
    some.tuples(some.just("asks for help"), BRANCH),
    some.tuples(some.just("claims are stored"), some.booleans()),
    some.tuples(some.just("sleeps"), some.sampled_from((1.0, 5.0, 70.0))),
    some.tuples(some.just("is replaced"), some.none()),
)
WAITS = some.sampled_from((0.0, 0.3, 0.7))
"""A gap of 0.75 s is one in which the supervisor was away."""
STEPS = some.lists(some.tuples(EVENTS | some.tuples(some.just("beats"), INSTANCE), WAITS), min_size=12, max_size=50)


@dataclass
class Known:
    """What this supervisor has heard of an instance. `listened_s`, `closed_s`: when, but for the time that it slept."""

    heard_s: float
    listened_s: float
    holds: set[tuple[str, int]]
    helpless: set[str]
    leaving: bool
    closed_s: float | None = None
    spared: bool = False
    """The supervisor has slept since, and has given it the whole time once more: not again for the next sleep."""


@dataclass
class World:
    """Three pods with an owner each in the beginning, four instances, one of them of another zone."""

    last_resort: str | None = None
    now_s: float = 100.0
    listened_s: float = 100.0
    began_s: float = 100.0
    epochs: dict[str, int] = field(
        default_factory=lambda: {branch: number + 1 for number, branch in enumerate(BRANCHES)}
    )
    owners: dict[str, str] = field(default_factory=lambda: dict(zip(BRANCHES, INSTANCES, strict=False)))
    since_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys(BRANCHES, 100.0))
    holds: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    """What each instance really acts for."""
    helpless: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    known: dict[str, Known] = field(default_factory=dict)
    claims: list[ClaimBranch] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.holds = {name: {(b, self.epochs[b]) for b in BRANCHES if self.owners[b] == name} for name in INSTANCES}
        self.begin(None)

    def begin(self, _: None) -> None:
        """A supervisor that knows the claims and has heard nobody."""
        self.began_s, self.known = self.now_s, {}
        self.children = Children(LIMITS, self.now_s, last_resort=self.last_resort)
        for branch in BRANCHES:
            self.children.on_claimed(branch, self.owners[branch], self.epochs[branch], self.now_s)
            self.since_s[branch] = self.now_s

    def beat(self, name: str) -> None:
        holds = [
            Holding(branch=branch, epoch=epoch, escalated="nothing helps" if branch in self.helpless else None)
            for branch, epoch in self.holds[name]
        ]
        leaving, zone = name in self.leaving, "y" if name == "elsewhere" else "z"
        said = Heartbeat(service="pod-agent", instance=name, name=name, zone=zone, holds=holds, leaving=leaving)
        self.children.on_heartbeat(said, self.now_s)
        helpless = {branch for branch, _ in self.holds[name] if branch in self.helpless}
        self.known[name] = Known(self.now_s, self.listened_s, set(self.holds[name]), helpless, leaving)

    def store(self, heeded: bool) -> None:
        """What was decided is in the log; whom it names begins, or never does."""
        for claim in self.claims:
            epoch = max(self.epochs.values()) + 1
            for held in self.holds.values():
                held.discard((claim.branch, self.epochs[claim.branch]))
            self.epochs[claim.branch], self.owners[claim.branch] = epoch, claim.instance
            self.since_s[claim.branch] = self.now_s
            self.helpless.discard(claim.branch)
            if heeded:
                self.holds.setdefault(claim.instance, set()).add((claim.branch, epoch))
            self.children.on_claimed(claim.branch, claim.instance, epoch, self.now_s)

    def report_closed(self, name: str) -> None:
        """A server says that the connection has ended."""
        self.children.on_closed(name, self.now_s)
        known = self.known.get(name)
        if known is not None and known.closed_s is None:
            known.closed_s = self.listened_s

    def give_up(self, branch: str) -> None:
        """Its owner does not act for it any more."""
        for held in self.holds.values():
            held.discard((branch, self.epochs[branch]))

    def sleep(self, away_s: float) -> None:
        """The supervisor is held up itself, and decides first of all when it wakes."""
        self.now_s += away_s
        for known in self.known.values():
            if not known.spared:
                known.listened_s, known.spared, known.closed_s = self.listened_s, True, None

    def step(self, event: tuple[str, Any], wait_s: float) -> None:
        """One thing happens, time passes, and the supervisor decides."""
        what, which = event
        happens: dict[str, Callable[[Any], None]] = {
            "beats": self.beat,
            "leaves": self.leaving.add,
            "is reported closed": self.report_closed,
            "gives up": self.give_up,
            "asks for help": self.helpless.add,
            "claims are stored": self.store,
            "sleeps": self.sleep,
            "is replaced": self.begin,
        }
        happens[what](which)
        if what != "sleeps":
            self.now_s += wait_s
            self.listened_s += wait_s
        self.claims = self.children.decide(self.now_s)

    def is_suspect(self, name: str, slack_s: float = 0.01) -> bool:
        """Nobody can be claimed for who is silent for longer than is allowed, or gone, or going, or of another zone."""
        known = self.known.get(name)
        if known is None or known.leaving or name == "elsewhere":
            return True
        closed = known.closed_s is not None and self.listened_s - known.closed_s > LIMITS.heartbeat_s + slack_s
        return closed or self.listened_s - known.listened_s > LIMITS.suspicion_s + slack_s

    def is_well(self, branch: str) -> bool:
        """Its owner was heard of just now and acts in its epoch, or nobody has had the time to hear of it yet."""
        known = self.known.get(self.owners[branch])
        if known is None:
            return self.now_s - max(self.since_s[branch], self.began_s) <= LIMITS.suspicion_s
        if known.leaving or branch in known.helpless or (branch, self.epochs[branch]) not in known.holds:
            return False
        return known.closed_s is None and self.now_s - known.heard_s <= LIMITS.suspicion_s


@settings(max_examples=150)
@given(STEPS)
def test_nobody_is_claimed_for_who_is_suspected(steps: list[tuple[tuple[str, Any], float]]) -> None:
    world = World()
    for step in steps:
        world.step(*step)
        assert [claim for claim in world.claims if world.is_suspect(claim.instance)] == []


@settings(max_examples=150)
@given(STEPS)
def test_what_is_held_by_somebody_who_was_heard_is_adopted_and_not_claimed(
    steps: list[tuple[tuple[str, Any], float]],
) -> None:
    world = World()
    for step in steps:
        world.step(*step)
        assert [claim for claim in world.claims if world.is_well(claim.branch)] == []


@settings(max_examples=150)
@given(STEPS)
def test_a_branch_is_claimed_once_and_for_the_same_until_something_is_heard(
    steps: list[tuple[tuple[str, Any], float]],
) -> None:
    world = World()
    for step in steps:
        world.step(*step)
        branches = [claim.branch for claim in world.claims]
        assert len(set(branches)) == len(branches)
        assert world.children.decide(world.now_s) == world.claims


@settings(max_examples=150)
@given(STEPS)
def test_a_supervisor_takes_a_branch_itself_only_if_nobody_is_there_who_could(
    steps: list[tuple[tuple[str, Any], float]],
) -> None:
    world = World(last_resort="supervisor")
    for step in steps:
        world.step(*step)
        there = [name for name in INSTANCES if not world.is_suspect(name, slack_s=-0.01)]
        assert not there or [claim for claim in world.claims if claim.instance == "supervisor"] == []
