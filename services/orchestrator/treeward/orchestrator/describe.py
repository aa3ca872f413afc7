"""What a dispatcher holds, for those who ask why a unit waits: the question and the answer on `tw.owner.queued`.

Internal to the orchestrators, which may run in different versions for a while: readers ignore what they do not know.
"""

from bisect import bisect_left
from collections import Counter
from itertools import islice

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from treeward.schemas.events import Outcome
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.resource_queue import Queue

UNITS_MAX = 100


class Question(BaseModel):
    """Which queues: that of a ticket, those of `keys`, or a page of those that wait (`limit` 0: only the numbers)."""

    model_config = ConfigDict(extra="ignore")

    ticket: int | None = None
    keys: list[str] | None = None
    beyond: str = ""
    limit: int = UNITS_MAX
    waiting: bool = Field(default=False, description="count, by kind, the resources that wait without a pod")


class UnitHeld(BaseModel):
    """A unit without an outcome. `operation` is empty while its body is not in memory."""

    model_config = ConfigDict(extra="ignore")

    ticket: int
    sent: bool = False
    operation: str = ""
    submitted_s: float | None = None
    deadline_s: float | None = None
    after: list[int] = Field(default_factory=list)
    mark: Outcome | None = None
    mark_reason: str | None = None
    attempts: int = 0
    attempts_max: int | None = None
    tenant: str | None = None
    reason: str | None = None


class QueueHeld(BaseModel):
    """The unanswered units of one resource, and what keeps the first that is not sent from being sent."""

    model_config = ConfigDict(extra="ignore")

    key: str
    pod: str | None = None
    epoch: int = Field(default=0, description="of the owner that it sends to; 0: none was claimed yet")
    answered: int = 0
    position: int = 0
    fetching: bool = False
    held_by: int | None = Field(default=None, description="the `pause` of the resource that holds what is behind it")
    held_by_pod: int | None = Field(default=None, description="the same of its pod")
    held_by_zone: bool = Field(default=False, description="its zone is paused as a whole, as the zone's claim says")
    slow: bool = Field(default=False, description="not answered for long: one unit at a time, without credit")
    waits_for_credit: bool = False
    due_s: float = Field(default=0.0, description="Unix time at which the first is sent again")
    units_in_all: int = 0
    units: list[UnitHeld] = Field(default_factory=list, description="the first 100, and the one that was asked for")
    before: int = Field(default=0, description="how many come before the one that was asked for")


class Held(BaseModel):
    """A dispatcher's answer."""

    model_config = ConfigDict(extra="ignore")

    zone_epoch: int = 0
    read_up_to: int = 0
    caught_up: bool = True
    units_in_all: int = 0
    queues: list[QueueHeld] = Field(default_factory=list)
    next: str | None = None
    waiting: dict[str, int] = Field(default_factory=dict)

    def queue_of(self, key: str) -> QueueHeld | None:
        """The queue of a resource; None: no unit of it waits, as far as the dispatcher has read."""
        return next((queue for queue in self.queues if queue.key == key), None)


def describe_queues(fold: Dispatcher, body: bytes, caught_up: bool) -> bytes:
    """Answer a Question; a body that is none is taken for the empty one, since only orchestrators ask."""
    try:
        question = Question.model_validate_json(body or b"{}")
    except ValidationError:
        question = Question()
    keys, beyond = _asked_for(fold, question)
    held = Held(
        zone_epoch=fold.zone_epoch,
        read_up_to=fold.read_up_to,
        caught_up=caught_up,
        units_in_all=len(fold.unanswered),
        queues=[_queue(fold, fold.queues[key], question.ticket) for key in keys],
        next=beyond,
        waiting=_waiting(fold) if question.waiting else {},
    )
    return held.model_dump_json(exclude_defaults=True).encode()


def _asked_for(fold: Dispatcher, question: Question) -> tuple[list[str], str | None]:
    if question.ticket is not None:
        key = fold.unanswered.get(question.ticket)
        return ([key] if key is not None else []), None
    if question.keys is not None:
        return [key for key in question.keys if key in fold.queues], None
    if question.limit == 0:
        return [], None
    waiting = sorted(key for key, queue in fold.queues.items() if queue.tickets and key > question.beyond)
    page = waiting[: question.limit]
    return page, page[-1] if len(waiting) > len(page) else None


def _waiting(fold: Dispatcher) -> dict[str, int]:
    return Counter(key.partition(".")[0] for key, queue in fold.queues.items() if queue.tickets and queue.pod is None)


def _holding_ticket(queue: Queue | None) -> int | None:
    return queue.pause_ticket if queue is not None and queue.pause_ticket > queue.resume_ticket else None


def _queue(fold: Dispatcher, queue: Queue, asked: int | None) -> QueueHeld:
    pod = queue.pod
    before = bisect_left(queue.tickets, asked) if asked is not None else 0
    shown = list(islice(queue.tickets, UNITS_MAX))
    if before >= UNITS_MAX:
        shown.append(queue.tickets[before])
    return QueueHeld(
        key=queue.key,
        pod=pod,
        epoch=fold.zone_epoch if pod is None else fold.pod_epochs.get(pod, 0),
        answered=queue.answered,
        position=queue.position,
        fetching=queue.fetching,
        held_by=_holding_ticket(queue),
        held_by_pod=_holding_ticket(fold.queues.get(f"pod.{pod}")) if pod is not None else None,
        held_by_zone=fold.zone_paused,
        slow=queue.slow,
        waits_for_credit=fold.credit.waits(queue.key),
        due_s=queue.due_s,
        units_in_all=len(queue.tickets),
        units=[_unit(fold, queue, ticket, sent=index < queue.sent) for index, ticket in enumerate(shown)],
        before=before,
    )


def _unit(fold: Dispatcher, queue: Queue, ticket: int, *, sent: bool) -> UnitHeld:
    pending, mark = fold.bodies.get(ticket), fold.mark_of(queue, ticket)
    unit = pending.unit if pending is not None else None
    return UnitHeld(
        ticket=ticket,
        sent=sent,
        operation=unit.operation if unit is not None else "",
        submitted_s=pending.stored_s if pending is not None else None,
        deadline_s=pending.deadline_s if pending is not None else None,
        after=[other for other in (unit.after if unit is not None else []) if other in fold.unanswered],
        mark=mark.outcome if mark is not None else None,
        mark_reason=mark.reason if mark is not None else None,
        attempts=queue.attempts if queue.attempts_ticket == ticket else 0,
        attempts_max=unit.attempts_max if unit is not None else None,
        tenant=unit.tenant if unit is not None else None,
        reason=unit.reason if unit is not None else None,
    )
