"""What a supervisor knows of its branches and of the instances that could own them, and whom it claims for.

Presence is a fold over heartbeats; suspicion a function of it and the time. A wrong suspicion costs a restart, never a
double execution: log and device fence. So it may be quick, but a supervisor that has slept suspects itself first.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.effects import Cause, ClaimBranch
from treeward.supervision.election import choose_instance
from treeward.supervision.escalations import Escalations
from treeward.supervision.limits import Limits
from treeward.supervision.restart import doubled

FORGET_INSTANCE_S = 60.0


@dataclass(slots=True)
class Instance:
    """A program that can own branches, as its last heartbeat has it."""

    heartbeat: Heartbeat
    seen_s: float
    closed_s: float | None = None
    """When a server reported its connection closed; a heartbeat after that says that it has another."""
    spared: bool = False
    """It was given the whole time once more since it was heard of last."""

    def holds(self, branch: str, epoch: int) -> bool:
        """Whether it said that it acts for that branch in that epoch."""
        return any(held.branch == branch and held.epoch == epoch for held in self.heartbeat.holds)


@dataclass(slots=True)
class Branch:
    """A branch that should have an owner. `since_s`: when we learned of this claim (or began)."""

    name: str
    owner: str | None
    epoch: int
    since_s: float
    orphaned_since_s: float | None = None
    """Since when it needs an owner and no instance can take it."""
    failures: int = 0
    """Claims in a row that nobody ever acted on: each doubles the patience with the next."""
    ready: bool = False
    """The owner said once that it acts in this epoch."""
    isolated: bool = False
    """The claim says that nothing acts in the branch any more, so its owner lets go what is there."""
    renew: str | None = None
    """Why its owner is to be named once more: the claim says something that is out of date."""
    isolate: bool = False
    """It was isolated behind its claim: its owner does not know."""
    asked: bool = False
    """The claim says that the owner before had asked for help (ADR 12)."""


@dataclass(slots=True)
class Children:
    """The fold of one supervisor: the branches below it and the instances that are there."""

    limits: Limits
    began_s: float
    prefer_local: bool = True
    last_resort: str | None = None
    """The supervisor's own instance, if it can act for a branch that nobody can take (PROTOCOL H14)."""
    instances: dict[str, Instance] = field(default_factory=dict)
    branches: dict[str, Branch] = field(default_factory=dict)
    last_decided_s: float | None = None
    suspected_itself: int = 0
    escalations: Escalations = field(init=False)
    """Branches whose owners cannot help their children."""

    _own: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.escalations = Escalations(self.limits)

    def on_heartbeat(self, heartbeat: Heartbeat, now_s: float) -> None:
        """An instance said that it is there."""
        self.instances[heartbeat.instance] = Instance(heartbeat, now_s)
        for held in heartbeat.holds:
            branch = self.branches.get(held.branch)
            if branch is not None and branch.owner == heartbeat.instance and branch.epoch == held.epoch:
                branch.ready = True
                self.escalations.hear(held, max(branch.since_s, self.began_s), now_s)

    def on_own(self, holdings: Collection[Holding], now_s: float) -> None:
        """What the supervisor's own instance acts for, of the branches that nobody else could take."""
        self._own = {(held.branch, held.epoch) for held in holdings}
        for branch in self.branches.values():
            if (branch.name, branch.epoch) in self._own and self._had_its_time(branch, now_s):
                branch.ready = True  # it lasted: giving up after that is no reason for more patience

    def on_closed(self, instance: str, now_s: float) -> None:
        """A server reported that the instance's connection is closed: it is dead, or back within a heartbeat.

        To wait that long is the price for a cut connection not being taken for a death: whoever reconnects beats at
        once, and keeps what it owns.
        """
        known = self.instances.get(instance)
        if known is not None and known.closed_s is None:
            known.closed_s = now_s

    def on_defined(self, branch: str, now_s: float) -> None:
        """The branch exists and needs an owner."""
        if branch not in self.branches:
            self.branches[branch] = Branch(branch, None, 0, now_s)

    def on_isolated(self, branch: str) -> None:
        """The branch is isolated: whoever owns it has to know, from a claim that says so."""
        known = self.branches.get(branch)
        if known is not None:
            known.isolate = not known.isolated

    def on_claimed(
        self,
        branch: str,
        owner: str | None,
        epoch: int,
        now_s: float,
        *,
        isolated: bool = False,
        asked: bool = False,
    ) -> None:
        """The last claim of the branch; an older one changes nothing."""
        known = self.branches.get(branch)
        if known is None or epoch > known.epoch:
            claimed = Branch(branch, owner, epoch, now_s, isolated=isolated, asked=asked)
            if known is not None and known.owner is not None and not known.ready:
                claimed.failures = known.failures + 1
            self.branches[branch] = claimed

    def on_removed(self, branch: str) -> None:
        """The branch does not exist any more."""
        self.branches.pop(branch, None)
        self.escalations.forget(branch)

    def alive(self, now_s: float) -> dict[str, Instance]:
        """The instances that are not suspected and not leaving."""
        return {
            name: instance
            for name, instance in self.instances.items()
            if (instance.closed_s is None or now_s - instance.closed_s <= self.limits.heartbeat_s)
            and not instance.heartbeat.leaving
            and now_s - instance.seen_s <= self.limits.suspicion_s
        }

    def suspect_itself(self, now_s: float, *, away_s: float | None = None) -> None:
        """It is us who were away for so long, or (None) are cut off: everybody is given the whole time once more.

        Once, for being away: whoever has not been heard of since is only not blamed for the time in which we did not
        listen, or one who is dead would never be missed by a supervisor that sleeps again and again. Who is cut off
        can claim for nobody, so there it costs nothing: the first look that finds the majority there ends it.
        """
        self.suspected_itself += 1
        for instance in self.instances.values():
            if instance.spared and away_s is not None:
                instance.seen_s = min(now_s, instance.seen_s + away_s)
                if instance.closed_s is not None:
                    instance.closed_s = min(now_s, instance.closed_s + away_s)
            else:
                instance.seen_s, instance.closed_s, instance.spared = now_s, None, True

    def decide(self, now_s: float) -> list[ClaimBranch]:
        """Whom to claim for, now; the same again until the claim is heard of.

        Called often; a long gap between two calls means that *we* were away.
        """
        before_s, self.last_decided_s = self.last_decided_s, now_s
        if before_s is not None and now_s - before_s > self.limits.suspicion_s / 2:
            self.suspect_itself(now_s, away_s=now_s - before_s)
        if now_s - self.began_s < 2 * self.limits.heartbeat_s:
            return []
        for name in [name for name, instance in self.instances.items() if now_s - instance.seen_s > FORGET_INSTANCE_S]:
            del self.instances[name]
        alive = self.alive(now_s)
        load = dict.fromkeys(alive, 0)
        for branch in self.branches.values():
            if branch.owner in load:
                load[branch.owner] += 1
        claims = []
        for branch in self.branches.values():
            why = self._why_claim(branch, alive, now_s)
            if why is None:
                continue
            cause, reason = why
            same = branch.owner if reason == branch.renew else None
            chosen = same or self._choose(branch, alive, load, now_s)
            if chosen is not None:
                branch.orphaned_since_s = None
            else:
                chosen = self._take_orphan(branch, now_s)
            if chosen is not None:
                if branch.owner in load:
                    load[branch.owner] -= 1
                if chosen in load:
                    load[chosen] += 1
                # Who is only named once more is still the one who was claimed for since the one before had asked.
                asked = branch.asked if same else cause is Cause.HELPLESS
                claims.append(ClaimBranch(branch.name, chosen, cause, reason, asked))
        return claims

    def _why_claim(self, branch: Branch, alive: dict[str, Instance], now_s: float) -> tuple[Cause, str] | None:
        """The cause, and the same in words."""
        if branch.name in self.escalations.quarantined:
            return None
        if branch.owner is None:
            return Cause.UNOWNED, "it had no owner"
        if branch.isolate:
            return Cause.RENEWED, "it was isolated"
        if branch.renew is not None and branch.owner in alive:
            return Cause.RENEWED, branch.renew
        if branch.owner == self.last_resort:
            return self._why_take_again(branch, now_s) or self._why_give_back(alive)
        known = self.instances.get(branch.owner)
        if known is None:
            waited = now_s - max(branch.since_s, self.began_s) > self.limits.suspicion_s
            return (Cause.UNKNOWN, f"nothing was heard of {branch.owner}") if waited else None
        if known.heartbeat.leaving:
            return Cause.LEAVING, f"{branch.owner} is leaving"
        if branch.owner not in alive:
            if known.closed_s is not None:
                return Cause.DISCONNECTED, f"{branch.owner} is suspected: its connection is gone"
            return Cause.SILENT, f"{branch.owner} is suspected: silent for {now_s - known.seen_s:.2f} s"
        if not known.holds(branch.name, branch.epoch) and self._had_its_time(branch, now_s):
            return Cause.IDLE, f"{branch.owner} does not act in epoch {branch.epoch}"
        trouble = self.escalations.of(branch.name, now_s)
        if trouble is None or (trouble.out_of_reach and not self._others(branch, alive)):
            return None  # out of reach, and nobody is nearer
        return Cause.HELPLESS, f"{branch.owner} cannot help it: {trouble.reason}"

    def describe_help(self, branch: str, now_s: float) -> dict[str, float | bool] | None:
        """What is done about a branch whose owner asks for help; None: it does not, as far as was heard.

        `claim_in_s`: when it is claimed anew, absent if no claim is to come; `hopeless`: none would help any more.
        """
        trouble, known = self.escalations.said_by(branch), self.branches.get(branch)
        if trouble is None or known is None or branch in self.escalations.quarantined:
            return None
        said: dict[str, float | bool] = {"hopeless": trouble.hopeless}
        nowhere = trouble.out_of_reach and not self._others(known, self.alive(now_s))
        if not trouble.hopeless and not nowhere:
            said["claim_in_s"] = max(0.0, trouble.not_before_s - now_s)
        return said

    def _had_its_time(self, branch: Branch, now_s: float) -> bool:
        """Whether its owner has had the time to begin, which grows with each claim that nobody acted on."""
        grace_s = doubled(self.limits.epoch_grace_s, self.limits.backoff_s_max, branch.failures)
        return now_s - max(branch.since_s, self.began_s) > max(grace_s, self.limits.epoch_grace_s)

    def _why_give_back(self, alive: dict[str, Instance]) -> tuple[Cause, str] | None:
        return (Cause.REGAINED, "an instance can take it again") if alive else None

    def _why_take_again(self, branch: Branch, now_s: float) -> tuple[Cause, str] | None:
        """The last resort may give up like any owner, and nobody but itself can claim for it."""
        if (branch.name, branch.epoch) in self._own or not self._had_its_time(branch, now_s):
            return None
        return Cause.IDLE, f"its supervisor does not act in epoch {branch.epoch}"

    def _take_orphan(self, branch: Branch, now_s: float) -> str | None:
        """Nobody can take it: after a while its supervisor does, for what its device still allows, and goes on."""
        if branch.owner == self.last_resort:
            return self.last_resort if self._why_take_again(branch, now_s) is not None else None
        if branch.orphaned_since_s is None:
            branch.orphaned_since_s = now_s
        if branch.isolate:  # there is no device that an instance would be nearer to
            return self.last_resort
        return self.last_resort if now_s - branch.orphaned_since_s >= self.limits.orphan_s else None

    def _others(self, branch: Branch, alive: dict[str, Instance]) -> dict[str, Instance]:
        """The instances that could own the branch instead of its owner."""
        zone = branch.name.partition(".")[0]
        return {
            name: instance
            for name, instance in alive.items()
            if name != branch.owner and instance.heartbeat.zone in (None, zone)
        }

    def _choose(self, branch: Branch, alive: dict[str, Instance], load: dict[str, int], now_s: float) -> str | None:
        zone, _, pod = branch.name.partition(".")
        able = {name: instance for name, instance in alive.items() if instance.heartbeat.zone in (None, zone)}
        if self.escalations.of(branch.name, now_s) is not None:
            able = self._others(branch, alive) or able  # whoever could not help it had its chance
        local = (
            {name for name, instance in able.items() if pod and instance.heartbeat.labels.get("pod") == pod}
            if self.prefer_local
            else set()
        )
        return choose_instance(
            branch.name,
            load={name: load[name] for name in able},
            local=local,
            capacity={name: instance.heartbeat.capacity for name, instance in able.items()},
        )
