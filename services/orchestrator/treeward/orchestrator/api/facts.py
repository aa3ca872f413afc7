"""What is known for one answer, as values: `gathering` gathers them, `resource` and `explaining` decide upon them."""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treeward.orchestrator.describe import Held, QueueHeld
from treeward.schemas.address import ROOT
from treeward.schemas.events import Event, EventType
from treeward.supervision.knowledge import pod_of
from treeward.supervision.limits import DEFAULTS, Limits


class Last(NamedTuple):
    """The last event of a resource; `stored_s` (Unix seconds) is when the server stored it."""

    position: int
    event: Event
    stored_s: float
    source: Literal["log", "bucket"] = "log"


class Claim(NamedTuple):
    """The last claim of a branch."""

    owner: str | None
    epoch: int
    claimed_s: float
    quarantined: str | None = None
    """Why the branch was claimed for nobody; None: it was not."""
    paused: bool = False
    draining: bool = False
    """What the claim says of the branch as a whole: of a zone, whose claim its supervisor and its dispatcher obey."""
    reason: str | None = None
    """Why it was claimed."""


class Presence(NamedTuple):
    """What is known of an instance from its heartbeats; `heard_s`: seconds since the last one."""

    state: Literal["present", "silent", "leaving", "unknown"] = "unknown"
    name: str | None = None
    heard_s: float | None = None
    epochs: frozenset[tuple[str, int]] = frozenset()
    """The branches that it says it acts for, each with the epoch."""


class OwnerSays(BaseModel):
    """What a process has in hand, as its owner says (`PodOwner.describe`, `ZoneOwner.describe`)."""

    model_config = ConfigDict(extra="ignore")

    epoch: int = 0
    phase: str = "absent"
    """A `Phase` of a row; of a zone owner `unplaced`; `absent`: the resource is not in use there."""
    ticket: int | None = None
    operation: str | None = None
    ahead: int = 0
    """Outcomes of units before it that are on their way to the log."""
    attempts: int = 0
    verdict: str | None = None
    reason: str | None = None
    taken_s: float | None = None
    called_s: float | None = None
    retry_in_s: float = 0.0
    retries: int = 0
    refusals: int = 0
    """How often its device has refused, in this life, to make what existed elsewhere."""
    refusal: str | None = None
    """What it said."""
    crashes: int = 0
    waiting: list[int] = Field(default_factory=list)
    homeless: bool = False
    fold_complete: bool = True
    stopping: bool = False
    device: str | None = None
    link: str | None = None
    link_error: str | None = None
    line_place: int | None = None
    """How many stand before it to be restarted; None: it does not stand in line."""
    line_of: int = 0
    restarts_per_s: float | None = None
    restarts_max: int | None = None
    restart_period_s: float | None = None
    suspects: str | None = None
    """Why its owner suspects itself: most of its processes failed at once."""
    suspects_for_s: float | None = None

    @classmethod
    def parse(cls, body: bytes | None) -> "OwnerSays | None":
        """Read an answer; None if there is none that can be read."""
        try:
            return cls.model_validate_json(body) if body is not None else None
        except ValidationError:
            return None


class Submitted(NamedTuple):
    """A unit as it was accepted; `operation` is empty if the body is no unit of work."""

    key: str
    operation: str
    stored_s: float
    reason: str | None = None
    """Why, and who asked for it."""


class Steering(NamedTuple):
    """A pause or drain that stands, and who asked for it, as far as that is known."""

    address: str
    operation: Literal["pause", "drain"]
    ticket: int | None = None
    since_s: float | None = None
    reason: str | None = None


class Asking(NamedTuple):
    """A supervisor that has asked its own for help, and what is done about it; times are Unix seconds."""

    branch: str
    """As heartbeats name it: `<zone>`, or `<zone>.<pod>`."""
    reason: str
    since_s: float
    hopeless: bool = False
    """No further claim would help."""
    claim_s: float | None = None
    """When it is claimed anew; None: it is not, or nobody said."""
    quarantine_s: float | None = None
    """When it is quarantined; None: it is not, or nobody said."""
    answered: bool = True
    """Its supervisor has said what it does about it; it may not have heard of it yet."""


class Answered(NamedTuple):
    """The outcome event of a unit."""

    position: int
    event: Event
    stored_s: float


UNHEARD = Presence()


class Branch(NamedTuple):
    """A zone or pod: its last claim, and what is heard of the instance that the claim names."""

    name: str
    """As heartbeats name it: `<zone>`, or `<zone>.<pod>`."""
    claim: Claim | None = None
    presence: Presence = UNHEARD

    @property
    def acts(self) -> bool:
        """Whether the owner says in its heartbeat that it acts in the epoch it was claimed with."""
        return self.claim is not None and (self.name, self.claim.epoch) in self.presence.epochs

    @property
    def epoch(self) -> int:
        """Position of the claim; 0: none."""
        return self.claim.epoch if self.claim is not None else 0


NOBODY = Branch("")


@dataclass(frozen=True, slots=True)
class Facts:
    """All that one answer about one resource is made from. None where nothing is known, or nobody answered."""

    zone: str
    key: str
    now_s: float
    last: Last | None = None
    owner: Branch = NOBODY
    """Of its pod; while it is unplaced, of its zone."""
    itself: Branch = NOBODY
    """The branch that was asked for, if it is a zone or pod."""
    held: Held | None = None
    """None: the dispatcher did not answer in time."""
    says: OwnerSays | None = None
    """None: the owner did not answer in time, or was not asked."""
    owner_asked: bool = False
    log_position: int = 0
    limits: Limits = DEFAULTS
    steered: tuple[Steering, ...] = ()
    """What holds it back, or what is below it: the widest first."""
    asking: tuple[Asking, ...] = ()
    """The supervisors above it that have asked theirs for help: that of its pod first."""
    emptying: dict[str, Any] | None = None
    """How far the drain of this host, pod or zone is: how many are `left`, and how many cannot leave."""

    @property
    def pod(self) -> str | None:
        """The pod whose owner answers for it; None: the zone supervisor does."""
        return pod_of(self.last.event) if self.last is not None else None

    @property
    def claim(self) -> Claim | None:
        """Of its owner."""
        return self.owner.claim

    @property
    def branch_in_words(self) -> str:
        """The branch for people."""
        if self.pod is not None:
            return f"pod {self.pod}"
        return "root" if self.zone == ROOT else f"zone {self.zone}"

    @property
    def parent_in_words(self) -> str:
        """Who claims the branch for somebody."""
        if self.pod is not None:
            return "the zone supervisor"
        return "the orchestrators" if self.zone == ROOT else "root's owner"

    @property
    def address(self) -> str:
        """Of the resource."""
        return f"{self.zone}.{self.key}"

    @property
    def answered(self) -> int:
        """The last ticket answered."""
        return self.last.event.answered if self.last is not None else 0

    @property
    def queue(self) -> QueueHeld | None:
        """Its units as the dispatcher holds them."""
        return self.held.queue_of(self.key) if self.held is not None else None

    @property
    def life_began_s(self) -> float | None:
        """When the claim began a life that the last event does not know of; None: it is of the present life."""
        if self.last is None or self.claim is None or self.last.event.type is EventType.CLAIMED:
            return None
        return self.claim.claimed_s if self.claim.epoch > self.last.position else None


@dataclass(frozen=True, slots=True)
class Asked:
    """What `explain` was asked, and what is known of the unit apart from its resource."""

    ticket: int | None = None
    key: str | None = None
    submitted: Submitted | None = None
    outcome: Answered | None = None
    accepted_first: int = 0
    accepted_last: int = 0
    """The tickets that the zone's history holds."""
    others: dict[int, str] = field(default_factory=dict)
    """Key of each ticket that the unit waits for with `after`."""
