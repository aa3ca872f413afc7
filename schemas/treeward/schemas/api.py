"""Questions about a zone and their answers: request/reply on `tw.api.<endpoint>.<zone>` (DESIGN section 4).

An empty request body means every default. What cannot be answered comes back as `Problem`, `{"error": "..."}`, in
place of the answer. State is never given without its source and age: `position` is that of the event that says so in
the zone's log, `age_s` the time since that event was stored, and `doubt` names the unit whose effect nobody knows yet.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from treeward.schemas.events import Drift, EventType, Outcome, Verdict
from treeward.schemas.units import SteeringOperation
from treeward.schemas.waits import Budget, Help, Steered

RESOURCES_IN_ANSWER_MAX = 500
"""So that an answer stays well below the bus's largest message of 1 MiB."""

Limit = Annotated[int, Field(ge=1, le=RESOURCES_IN_ANSWER_MAX)]
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}$", description="`<kind>.<id>`")]
Counts = dict[str, dict[str, int]]
"""How many resources: kind > state of the process (also `paused`, `quarantined`) > number."""

Endpoint = Literal["state", "tree", "explain", "queued", "work", "steer"]

Silent = Annotated[
    list[Literal["dispatcher", "owner"]],
    Field(description="who did not answer within 0.5 s: what only they know is missing"),
]
"""Part of every answer, since the answer is given without them."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Problem(_Answer):
    """The question cannot be answered; one sentence that says what to do."""

    error: str


# --- state


class StateRequest(_Request):
    """`tw.api.state.<zone>`: one resource (`key`), or all of the zone in order of their keys, in pages."""

    key: Key | None = None
    kind: str | None = Field(default=None, description="only this kind; without `key`")
    pod: str | None = Field(default=None, description="only what is placed in this pod; without `key`")
    beyond: str = Field(default="", description="only keys greater than this one: `next` of the page before")
    limit: Limit = 100


class ProcessState(StrEnum):
    """How far the process of a resource is in its life: what its last event says of it."""

    NONE = "none"
    """Unplaced, and nothing exists: there is no process."""
    INITIALIZED = "initialized"
    READY = "ready"
    CRASHED = "crashed"


class Doubt(_Answer):
    """A unit that was called and not answered: while it stands, `definition` and `observed` are no facts."""

    ticket: int
    operation: str | None = None
    verdict: Verdict | None = Field(default=None, description="none: it is in hand now")
    attempts: int = Field(default=0, description="lives in which it was called without an answer")
    since: datetime | None = None


class Stage(StrEnum):
    """Where an unanswered unit is."""

    QUEUED = "queued"
    """In WORK behind something else of its own resource, or beyond the window."""
    HELD = "held"
    """In WORK until something else happens: `after`, a pause."""
    SENT = "sent"
    """In the mailbox of its process, as far as the dispatcher knows."""
    IN_HAND = "in_hand"
    """The owner says that its process works on it."""


class QueuedUnit(_Answer):
    """A unit without an outcome."""

    ticket: int
    operation: str
    stage: Stage = Stage.QUEUED
    submitted_at: datetime | None = None
    deadline: datetime | None = None
    after: list[int] = Field(default_factory=list, description="tickets it still waits for")
    mark: Outcome | None = Field(default=None, description="the outcome decided for it, not yet appended")
    attempts: int = 0
    tenant: str | None = None
    reason: str | None = Field(default=None, description="as submitted")


class ResourceState(_Answer):
    """What is known of one resource, since when and from where."""

    zone: str
    kind: str
    id: str
    exists: bool = Field(description="as of `answered`; no fact while in doubt")
    definition: dict[str, Any] | None = Field(default=None, description="desired: the spec as of `answered`")
    observed: dict[str, Any] | None = Field(default=None, description="the state that the device last reported")
    policies: dict[str, Any] | None = Field(
        default=None, description="what its definition and `configure` set; what it does not say its branches do"
    )
    process: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    pod: str | None = Field(default=None, description="none: unplaced")
    host: str | None = None
    owner: str | None = Field(default=None, description="the instance that acts for its pod; while unplaced, its zone")
    epoch: int | None = Field(default=None, description="of that owner")
    life: int = 0
    answered: int = Field(default=0, description="the last ticket answered")
    event: EventType | None = Field(default=None, description="type of its last event; none: it has none")
    position: int = Field(default=0, description="of that event in the log; 0: it has none")
    at: datetime | None = Field(default=None, description="when that event was stored")
    age_s: float | None = Field(default=None, ge=0, description="seconds since that event was stored")
    source: Literal["log", "bucket"] = Field(default="log", description="`bucket`: the log no longer has the event")
    doubt: Doubt | None = None
    drift: Drift | None = Field(
        default=None, description="how the device was found to differ from `definition`, changed by others"
    )
    reason: str | None = Field(default=None, description="of its last event")
    queued: list[QueuedUnit] = Field(default_factory=list, description="unanswered units by ticket, the first 100")
    queued_units: int = Field(default=0, description="how many there are in all")
    silent: Silent = Field(default_factory=list)


class StateAnswer(_Answer):
    """One page. A resource that the zone has never heard of is left out."""

    resources: list[ResourceState]
    next: str | None = Field(default=None, description="`beyond` of the next page; none: this was the last")
    complete: bool = Field(default=True, description="false: the zone has more than one question reads; name a `key`")
    position: int = Field(default=0, description="of the log up to which this was read")


# --- tree


class TreeRequest(_Request):
    """`tw.api.tree.<zone>`: the supervision tree of a zone; of `root`, its owner and the zones."""

    pod: str | None = Field(default=None, description="only this pod")


class Owner(_Answer):
    """Who acts for a branch, and whether it is there."""

    instance: str | None = Field(default=None, description="none: nobody has been claimed for")
    epoch: int = 0
    since: datetime | None = None
    name: str | None = Field(default=None, description="the configured name, from its heartbeat")
    presence: Literal["present", "silent", "leaving", "unknown"] = "unknown"
    heard_s: float | None = Field(default=None, description="seconds since its last heartbeat")


class Capacity(_Answer):
    """What a host offers, or what has been given away of it."""

    cpus: float = 0.0
    memory_mib: int = 0
    gpus: float = 0.0
    disk_gib: int = 0


class HostBranch(_Answer):
    """A host and how many resources are placed on it."""

    id: str
    state: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    draining: bool = False
    labels: dict[str, str] = Field(default_factory=dict)
    capacity: Capacity = Field(default_factory=Capacity)
    used: Capacity = Field(default_factory=Capacity)
    counts: Counts = Field(default_factory=dict)


class PodBranch(_Answer):
    """A pod, its owner and its hosts."""

    id: str
    state: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    draining: bool = False
    labels: dict[str, str] = Field(default_factory=dict)
    device: str | None = None
    owner: Owner = Field(default_factory=Owner)
    hosts: list[HostBranch] = Field(default_factory=list)
    counts: Counts = Field(default_factory=dict, description="what is placed in the pod, but on no host of it")


class TreeAnswer(_Answer):
    """A zone, or root."""

    zone: str
    labels: dict[str, str] = Field(default_factory=dict)
    state: ProcessState = ProcessState.NONE
    paused: bool = False
    quarantined: bool = False
    draining: bool = False
    owner: Owner = Field(default_factory=Owner)
    zones: list[str] = Field(default_factory=list, description="of root: the zones that are defined")
    pods: list[PodBranch] = Field(default_factory=list)
    unplaced: Counts = Field(default_factory=dict, description="what has no pod; `waiting`: has units that wait")
    queued_units: int = Field(default=0, description="units of the zone without an outcome")
    limits: dict[str, float] = Field(
        default_factory=dict, description="settings that decisions follow, of who answers: `suspicion_s` and so on"
    )
    complete: bool = Field(default=True, description="false: the zone has more resources than one question counts")
    position: int = Field(default=0, description="of the log up to which this was read")
    silent: Silent = Field(default_factory=list)


# --- explain


class ExplainRequest(_Request):
    """`tw.api.explain.<zone>`: why a unit (`ticket`) or a resource (`key`) stands there; of both, if they belong."""

    key: Key | None = None
    ticket: int | None = Field(default=None, ge=1)


class Wait(StrEnum):
    """What an unanswered unit waits for."""

    NOTHING = "nothing"
    """It is answered, or about to be sent."""
    QUEUE = "queue"
    """Lower tickets of its resource, or the window."""
    AFTER = "after"
    """Tickets that it names."""
    PAUSE = "pause"
    """A `resume` of the resource, its pod or its zone."""
    QUARANTINE = "quarantine"
    """A `release` by an operator."""
    CREDIT = "credit"
    """Its owner has as much in hand as it takes at once."""
    OWNER = "owner"
    """Nobody acts for its branch, or not yet."""
    ROOM = "room"
    """No host has room for it, or none that it allows."""
    BACK_OFF = "back_off"
    """Its process crashed and is restarted later."""
    BUDGET = "budget"
    """Its process crashed, and its pod restarts others first."""
    DEVICE = "device"
    """The device works on it, is busy, or cannot be reached."""
    HAND_OFF = "hand_off"
    """Its resource moves, or the old device cannot say what became of it."""


class ExplainAnswer(_Answer):
    """Why, in sentences for people, and the facts behind them for programs."""

    zone: str
    kind: str
    id: str
    ticket: int | None = None
    outcome: Outcome | None = Field(default=None, description="of the ticket; none: it is unanswered")
    waits_for: Wait = Wait.NOTHING
    sentences: list[str] = Field(description="in the order in which one would tell it; never empty")
    unit: QueuedUnit | None = None
    behind: list[int] = Field(default_factory=list, description="unanswered tickets before it, the first 100")
    since: datetime | None = Field(default=None, description="since when it waits for that")
    next: str | None = Field(default=None, description="what has to happen before it goes on")
    next_at: datetime | None = Field(default=None, description="when, if that is known")
    steered: list[Steered] = Field(default_factory=list, description="by whom it is held, and why")
    budget: Budget | None = None
    help: list[Help] = Field(default_factory=list, description="which supervisors above it have asked theirs for help")
    state: ResourceState | None = None
    owner: Owner | None = Field(default=None, description="the supervisor that answers for its process")
    owner_says: dict[str, Any] | None = Field(default=None, description="what it has in hand; none: no answer in time")
    silent: Silent = Field(default_factory=list)


# --- queued


class QueuedRequest(_Request):
    """`tw.api.queued.<zone>`: what has no outcome yet, by resource in order of their keys, in pages."""

    key: Key | None = None
    beyond: str = ""
    limit: Limit = 100


class ResourceQueue(_Answer):
    """The unanswered units of one resource, in ticket order."""

    kind: str
    id: str
    pod: str | None = None
    units: list[QueuedUnit] = Field(description="the first 100")
    units_in_all: int


class QueuedAnswer(_Answer):
    """One page."""

    resources: list[ResourceQueue]
    units_in_all: int = Field(description="of the zone; while the dispatcher is silent, at most so many")
    silent: Silent = Field(default_factory=list)
    next: str | None = Field(default=None, description="`beyond` of the next page; none: this was the last")


# --- work


class WorkState(StrEnum):
    """Where an unanswered unit is, for those who may have to do something about it."""

    WAITING = "waiting"
    """It has not been started: it can still be cancelled, superseded or amended."""
    RUNNING = "running"
    """Its process has it in hand."""
    IN_DOUBT = "in_doubt"
    """It was called, and nobody knows yet whether it took effect."""


class WorkRequest(_Request):
    """`tw.api.work.<zone>`: the units without an outcome, of a resource, a pod, a host or the zone, in pages."""

    key: Key | None = None
    pod: str | None = Field(default=None, description="only of what is placed in this pod")
    host: str | None = Field(default=None, description="only of what is placed on this host")
    state: WorkState | None = Field(default=None, description="only units in this state")
    beyond: str = ""
    limit: Limit = 100


class WorkUnit(QueuedUnit):
    """A unit without an outcome, and where it is."""

    kind: str
    id: str
    pod: str | None = None
    host: str | None = None
    state: WorkState
    since: datetime | None = Field(default=None, description="when it was accepted, taken in hand or called")


class WorkAnswer(_Answer):
    """One page; it may be empty and not the last."""

    units: list[WorkUnit] = Field(description="by resource, in ticket order; of each resource the first 100")
    units_in_all: int = Field(description="of the zone; while the dispatcher is silent, at most so many")
    silent: Silent = Field(default_factory=list)
    next: str | None = Field(default=None, description="`beyond` of the next page; none: this was the last")


# --- steer


class SteerRequest(_Request):
    """`tw.api.steer.<zone>`: submit a unit that steers. The same as publishing it to `tw.work.<zone>.<key>` oneself."""

    key: Key
    operation: SteeringOperation
    ticket: int | None = Field(default=None, ge=1, description="cancel, retry and amend: the unit they mean")
    spec: dict[str, Any] | None = Field(default=None, description="amend: the policies that change")
    reason: str | None = None
    by: str | None = Field(default=None, description="who asks for it, as the client says")
    message_id: str | None = Field(default=None, description="makes a repeat within two minutes harmless")


class SteerAnswer(_Answer):
    """It was accepted as work, and is answered in its turn."""

    ticket: int
    duplicate: bool = Field(default=False, description="it had been accepted before, under this message id")


REQUESTS: dict[str, type[BaseModel]] = {
    "state": StateRequest, "tree": TreeRequest, "explain": ExplainRequest, "queued": QueuedRequest,
    "work": WorkRequest, "steer": SteerRequest,
}  # fmt: skip
"""The model of each endpoint's request."""

ANSWERS: dict[str, type[BaseModel]] = {
    "state": StateAnswer, "tree": TreeAnswer, "explain": ExplainAnswer, "queued": QueuedAnswer,
    "work": WorkAnswer, "steer": SteerAnswer,
}  # fmt: skip
"""The model of each endpoint's answer."""
