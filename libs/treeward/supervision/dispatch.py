"""The dispatcher of a zone: moves units from WORK into mailboxes and forgets those that are answered.

A pure fold over WORK and the log (PROTOCOL table 1). It decides what to send and never what happened: any number of
them, however stale, cost duplicates, which processes drop. Two rules make that true. It sends to a life only what it
has read the log for, up to the event that began that life (R3); and it names the highest lower ticket without an
outcome, so that a process can tell a gap.
"""

from itertools import islice

from treeward.schemas import subjects
from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Mark
from treeward.schemas.units import STEERING
from treeward.supervision.effects import Fetch, Settled
from treeward.supervision.knowledge import began_at, pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.low_water import LowWater
from treeward.supervision.outbox import Outbox
from treeward.supervision.pending import Pending, read_pending, said_by
from treeward.supervision.resource_queue import Queue


class Dispatcher(Outbox):
    """The fold of one zone. Inputs are methods; effects gather in `effects`, in order, until the caller takes them."""

    def __init__(self, zone: str, limits: Limits) -> None:
        super().__init__(zone, limits)
        self.read_up_to = 0
        self.newest_claim = 0
        """WORK must not be read before the log was read up to this: only then is known what its life began with."""
        self.log_read_up_to = 0
        """A fetch must be at least as new: what was read of the log before a resource was named is not kept."""
        self._low_water = LowWater()
        self._idle: dict[str, None] = {}
        """Resources without an unanswered unit, longest first."""

    # --- what was read -------------------------------------------------------------------------------------------

    def on_work(self, ticket: int, subject: str, body: bytes, trace: str | None, stored_s: float, now_s: float) -> None:
        """A unit was read from WORK, in order."""
        self.read_up_to = max(self.read_up_to, ticket)
        key = subjects.parse_work(subject)[1]
        queue = self._queue(key)
        self._low_water.on_read(ticket, queue.key)
        if queue.position >= 0 and ticket <= queue.answered:
            return
        pending = read_pending(self.zone, key, ticket, body, trace, stored_s)
        self.unanswered[ticket] = queue.key
        queue.append(ticket)
        self._idle.pop(key, None)
        if pending.problem is not None:
            self.marks[ticket] = Mark(outcome=Outcome.REJECTED, reason=pending.problem)
        if pending.unit is not None and pending.unit.operation in STEERING:
            self.steering.add(ticket)
        soon = len(queue.tickets) <= self.limits.window
        if not queue.slow and len(self.bodies) < self.limits.bodies_max // (1 if soon else 2):
            self._keep(pending)
        if pending.steers_dispatch:
            self._steer(queue, pending, now_s)
        else:
            self._supersede_by_policy(queue, pending, now_s)
        self._pump(queue, now_s)

    def on_body(self, ticket: int, body: bytes | None, trace: str | None, stored_s: float, now_s: float) -> None:
        """A body that was asked for. None: purged, hence answered; the log will say so."""
        self._reading.discard(ticket)
        key = self.unanswered.get(ticket)
        if key is None or body is None:
            return
        pending = read_pending(self.zone, key, ticket, body, trace, stored_s)
        self._keep(pending)
        self._supersede_by_policy(self.queues[key], self.bodies[ticket], now_s)
        self._pump(self.queues[key], now_s)

    def on_event(self, position: int, event: Event, now_s: float) -> None:
        """An event was read from the log, in order."""
        self.log_read_up_to = position
        if event.type is EventType.CLAIMED:
            self.on_claim(position, event, now_s)
            if event.kind == "zone":
                return
        key = event.key
        queue = self.queues.get(key)
        if queue is not None:
            self._apply(queue, position, event, now_s)
        if event.is_outcome and event.ticket is not None:
            self.effects.append(Settled(event.ticket, position, event))
        self._serve_lines(now_s)

    def on_claim(self, position: int, event: Event, now_s: float) -> None:
        """A claim was read, from the log or when beginning: a new life for every process of the branch."""
        self.newest_claim = max(self.newest_claim, position)
        if event.kind == "zone":
            if position <= self.zone_epoch:
                return
            self.zone_epoch = position
            self.order_zone((event.policies or {}).get("order"), now_s)
            self.hold_zone(event.paused, now_s)
            pod: str | None = None
        else:
            if position <= self.pod_epochs.get(event.id, 0):
                return
            self.pod_epochs[event.id] = position
            pod = event.id
            self.know_pod(pod)
        for queue in list(self.queues.values()):
            if queue.pod == pod and queue.tickets:
                self._begin_again(queue, now_s)
        self._serve_lines(now_s)

    def on_fetched(self, key: str, position: int, event: Event | None, now_s: float) -> None:
        """The last event of a resource, as asked for; None: nothing has ever been said of it."""
        queue = self.queues.get(key)
        if queue is None:
            return
        queue.fetching = False
        if event is None:
            queue.position = max(queue.position, 0)
            self._resume_branch(queue, now_s)
        else:
            self._apply(queue, position, event, now_s)
        self._pump(queue, now_s)
        self._serve_lines(now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed: send again what is not answered, and mark what was not started before its deadline."""
        self._resend_due(now_s)
        self._expire(now_s)
        self._serve_lines(now_s)

    def on_caught_up(self, now_s: float) -> None:
        """All that WORK held when we began has been read: policies are what they were for our predecessor."""
        self.catching_up = False
        for queue in list(self.queues.values()):
            self._pump(queue, now_s)
        self._serve_lines(now_s)

    def send_again(self, now_s: float) -> None:
        """The mailboxes may have lost what was sent to them: send it again, which is always safe."""
        for queue in list(self.queues.values()):
            if queue.sent:
                self._begin_again(queue, now_s)
        self._serve_lines(now_s)

    def low_water(self) -> int:
        """Everything below this ticket has been read and answered: WORK may be purged below it."""
        first = self._low_water.first(self.unanswered)
        return first if first is not None else self.read_up_to + 1

    @property
    def answered_above(self) -> int:
        """How many units are answered and cannot be purged in bulk, since one before them is not."""
        return max(0, len(self._low_water) - len(self.unanswered))

    def take_answered(self, up_to: int) -> dict[str, int]:
        """Key -> below which WORK may be purged for that resource alone; what is given out is not counted any more."""
        return self._low_water.take_answered(self.unanswered, up_to)

    def hold_zone(self, paused: bool, now_s: float) -> None:
        """The last word about the zone as a whole: whether anything of it may be sent."""
        resumed, self.zone_paused = self.zone_paused and not paused, paused
        if resumed:
            for queue in list(self.queues.values()):
                self._pump(queue, now_s)
            self._serve_lines(now_s)

    def forget_idle(self, keep_max: int) -> None:
        """Forget resources without unanswered units beyond `keep_max`; they are fetched again when WORK names them."""
        # All at once: to look for the first of a dictionary passes by all that were removed before it.
        for key in list(islice(self._idle, max(0, len(self.queues) - keep_max))):
            del self._idle[key]
            self.queues.pop(key, None)

    # --- inside --------------------------------------------------------------------------------------------------

    def _queue(self, key: str) -> Queue:
        queue = self.queues.get(key)
        if queue is None:
            queue = self.queues[key] = Queue(key)
            queue.fetching = True
            self.effects.append(Fetch(key, self.log_read_up_to))
        return queue

    def know_pod(self, pod: str) -> None:
        """Fetch what a pod's last event says (it may be paused), when beginning."""
        self._queue(f"pod.{pod}")

    def _apply(self, queue: Queue, position: int, event: Event, now_s: float) -> None:
        if position <= queue.position:
            return
        known = queue.position >= 0
        life_before = self._life(queue)
        queue.position = position
        pod = pod_of(event)
        if pod != queue.pod:
            self._unsend(queue)
            queue.pod = pod
        queue.began = began_at(event, position) if pod is not None else 0
        paused = queue.paused
        if event.paused:
            queue.hold_from(event.answered)
        elif queue.paused and event.answered >= queue.pause_ticket:
            queue.forget_pause(event.answered)
        queue.released = max(queue.released, event.released)
        order = (event.policies or {}).get("order")
        ordered, queue.order = not known or order != queue.order, order
        if event.ticket is not None and not event.is_outcome:
            queue.attempts, queue.attempts_ticket = event.attempts, event.ticket
        self._answered(queue, event.answered, now_s)
        if known and self._life(queue) != life_before:
            self._begin_again(queue, now_s)
        else:
            self._pump(queue, now_s)
        if not known or (paused and not queue.paused):
            self._resume_branch(queue, now_s)
        if ordered:
            self._order_anew(queue, now_s)

    def _answered(self, queue: Queue, answered: int, now_s: float) -> None:
        if answered <= queue.answered:
            return
        queue.on_answered(answered)
        released: list[str] = []
        while queue.tickets and queue.tickets[0] <= answered:
            ticket = queue.pop_first()
            if queue.sent:
                queue.sent -= 1
            if queue.credited:
                queue.credited -= 1
                self.credit.give_back(self._partition(queue))
            self._forget_unit(ticket)
            released += self._waiters.pop(ticket, ())
        if not queue.tickets and not queue.key.startswith("pod."):
            self._idle[queue.key] = None
        queue.slow = False
        queue.resend_s = self.limits.resend_s
        queue.due_s = now_s + queue.resend_s
        for key in released:
            waiting = self.queues.get(key)
            if waiting is not None:
                self._pump(waiting, now_s)

    # --- steering: acted on when read, answered in its turn (DESIGN section 4) -----------------------------------

    def _steer(self, queue: Queue, pending: Pending, now_s: float) -> None:
        unit = pending.unit
        assert unit is not None, "only a valid unit steers"
        ticket = pending.ticket
        match unit.operation:
            case "cancel" if unit.ticket is not None:
                reason = f"by ticket {ticket}" + (f": {why}" if (why := said_by(unit)) else "")
                self._mark(queue, unit.ticket, Mark(outcome=Outcome.CANCELLED, reason=reason), now_s)
            case "amend" if unit.ticket is not None and self.unanswered.get(unit.ticket) == queue.key:
                self._amendments.add(ticket, unit)
                self._deadline_of.pop(unit.ticket, None)
                if unit.ticket in self.bodies:
                    self._keep(self.bodies[unit.ticket])
                mark = self.marks.get(unit.ticket)
                valid = mark is None or mark.outcome is not Outcome.REJECTED  # what never happens supersedes nothing
                if valid and (unit.spec or {}).get("order") is not None:
                    self._supersede(queue, unit.ticket, now_s)
                self._begin_again(queue, now_s)
            case "pause":
                queue.on_pause(ticket)
            case "resume":
                queue.resume_ticket = max(queue.resume_ticket, ticket)
                self._resume_branch(queue, now_s)
            case "release":
                queue.released = max(queue.released, ticket)
                self._unsend(queue)
            case "retry":
                self._begin_again(queue, now_s)
        if pending.supersedes:
            self._supersede(queue, ticket, now_s)

    def _supersede(self, queue: Queue, ticket: int, now_s: float) -> None:
        """A unit supersedes by its own word, which also means what a policy has spared."""
        first = queue.superseding_before(ticket, self.superseding)
        self.superseding.discard(ticket)
        queue.on_supersede(ticket)
        self._send_marks(queue, first, ticket - 1, now_s)

    # --- conflict policies: of the resource, else of its pod, else of the zone ------------------------------------

    def order_zone(self, order: str | None, now_s: float) -> None:
        """The zone's conflict policy, for every resource whose nearer branches say nothing."""
        if order != self.zone_order:
            self.zone_order = order
            for queue in list(self.queues.values()):
                self._order_anew(queue, now_s)

    def _order_of(self, queue: Queue) -> str | None:
        """None as well while it is not known: whatever has to be read for that comes by again."""
        if queue.position < 0 or queue.order is not None:
            return queue.order
        pod = self.queues.get(f"pod.{queue.pod}") if queue.pod is not None else None
        if pod is not None and (pod.position < 0 or pod.order is not None):
            return pod.order
        return self.zone_order

    def _order_anew(self, queue: Queue, now_s: float) -> None:
        """Its policy is another, or has only now been read: what waits already stands under it as well."""
        kind, _, name = queue.key.partition(".")
        below = [other for other in self.queues.values() if other.pod == name] if kind == "pod" else []
        for each in (queue, *below):
            if self._order_of(each) is not None:
                for pending in [self.bodies[ticket] for ticket in each.tickets if ticket in self.bodies]:
                    self._supersede_by_policy(each, pending, now_s)

    def _supersede_by_policy(self, queue: Queue, pending: Pending, now_s: float) -> None:
        order = self._order_of(queue)
        if order is None or pending.supersedes or not pending.supersedes_under(order):
            return
        ticket = pending.ticket
        self.superseding.add(ticket)
        first = queue.superseding_before(ticket)
        queue.on_supersede(ticket)
        self._send_marks(queue, first, ticket - 1, now_s)

    def _resume_branch(self, queue: Queue, now_s: float) -> None:
        kind, _, name = queue.key.partition(".")
        if kind == "pod":
            for other in list(self.queues.values()):
                if other.pod == name:
                    self._pump(other, now_s)
