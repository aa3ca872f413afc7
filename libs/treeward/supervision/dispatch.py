"""The dispatcher of a zone: moves units from WORK into mailboxes and forgets those that are answered.

A pure fold over WORK and the log (PROTOCOL table 1). It decides what to send and never what happened: any number of
them, however stale, cost duplicates, which processes drop. Two rules make that true. It sends to a life only what it
has read the log for, up to the event that began that life (R3); and it names the highest lower ticket without an
outcome, so that a process can tell a gap.
"""

from collections import deque
from heapq import heappop, heappush

from treeward.schemas import address, subjects
from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Mark
from treeward.supervision.credit import Credit
from treeward.supervision.effects import Effect, Fetch, ReadBody, Send, Settled
from treeward.supervision.knowledge import began_at, pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.pending import Pending, mark_after_crash, message_of, read_pending
from treeward.supervision.resends import Resends
from treeward.supervision.resource_queue import Queue


class Dispatcher:
    """The fold of one zone. Inputs are methods; effects gather in `effects`, in order, until the caller takes them."""

    def __init__(self, zone: str, limits: Limits) -> None:
        self.zone = zone
        self.limits = limits
        self.effects: list[Effect] = []
        self.zone_epoch = 0
        """Position of the zone's last claim; 0: none was read, nothing can be sent to its supervisor."""
        self.pod_epochs: dict[str, int] = {}
        self.queues: dict[str, Queue] = {}
        self.bodies: dict[int, Pending] = {}
        self.marks: dict[int, Mark] = {}
        self.unanswered: dict[int, str] = {}
        """Ticket -> key, of all that was read and has no outcome yet."""
        self.read_up_to = 0
        self.newest_claim = 0
        """WORK must not be read before the log was read up to this: only then is known what its life began with."""
        self.log_read_up_to = 0
        """A fetch must be at least as new: what was read of the log before a resource was named is not kept."""
        self._order: deque[int] = deque()
        self._waiters: dict[int, dict[str, None]] = {}
        """Ticket -> the resources whose next unit waits for it, each once."""
        self.credit = Credit(limits.credit)
        self._resends = Resends()
        self._deadlines: list[tuple[float, int]] = []
        self._reading: set[int] = set()

    # --- what was read -------------------------------------------------------------------------------------------

    def on_work(self, ticket: int, subject: str, body: bytes, trace: str | None, stored_s: float, now_s: float) -> None:
        """A unit was read from WORK, in order."""
        self.read_up_to = max(self.read_up_to, ticket)
        key = subjects.parse_work(subject)[1]
        queue = self._queue(key)
        if queue.position >= 0 and ticket <= queue.answered:
            return
        pending = read_pending(self.zone, key, ticket, body, trace, stored_s)
        self.unanswered[ticket] = key
        self._order.append(ticket)
        queue.tickets.append(ticket)
        if pending.problem is not None:
            self.marks[ticket] = Mark(outcome=Outcome.REJECTED, reason=pending.problem)
        soon = len(queue.tickets) <= self.limits.window
        if len(self.bodies) < self.limits.bodies_max // (1 if soon else 2):
            self._keep(pending)
        if pending.steers_dispatch:
            self._steer(queue, pending, now_s)
        self._pump(queue, now_s)

    def on_body(
        self, ticket: int, body: bytes | None, subject: str, trace: str | None, stored_s: float, now_s: float
    ) -> None:
        """A body that was asked for. None: purged, hence answered; the log will say so."""
        self._reading.discard(ticket)
        key = self.unanswered.get(ticket)
        if key is None or body is None:
            return
        self._keep(read_pending(self.zone, key, ticket, body, trace, stored_s))
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
        for key in self._resends.due(now_s):
            queue = self.queues.get(key)
            if queue is None or not queue.sent:
                continue
            if queue.due_s > now_s:
                self._resends.arm(key, queue.due_s)
                continue
            queue.slow = True
            queue.resend_s = min(self.limits.resend_max_s, queue.resend_s * 2)
            self._unsend(queue)
            self._pump(queue, now_s)
        while self._deadlines and self._deadlines[0][0] <= now_s:
            _, ticket = heappop(self._deadlines)
            key_of = self.unanswered.get(ticket)
            if key_of is not None:
                self._mark(
                    self.queues[key_of],
                    ticket,
                    Mark(outcome=Outcome.EXPIRED, reason="its deadline passed before it was started"),
                    now_s,
                )
        self._serve_lines(now_s)

    def send_again(self, now_s: float) -> None:
        """The mailboxes may have lost what was sent to them: send it again, which is always safe."""
        for queue in list(self.queues.values()):
            if queue.sent:
                self._begin_again(queue, now_s)
        self._serve_lines(now_s)

    def low_water(self) -> int:
        """Everything below this ticket has been read and answered: WORK may be purged below it."""
        while self._order and self._order[0] not in self.unanswered:
            self._order.popleft()
        return self._order[0] if self._order else self.read_up_to + 1

    def forget_idle(self, keep_max: int) -> None:
        """Forget resources without unanswered units beyond `keep_max`; they are fetched again when WORK names them."""
        excess = len(self.queues) - keep_max
        if excess <= 0:
            return
        idle = [
            key
            for key, queue in self.queues.items()
            if not queue.tickets and not queue.fetching and not key.startswith("pod.")
        ]
        for key in idle[:excess]:
            del self.queues[key]

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
            self._forget_pause(queue, event.answered)
        queue.released = max(queue.released, event.released)
        if event.ticket is not None and not event.is_outcome:
            queue.attempts, queue.attempts_ticket = event.attempts, event.ticket
        self._answered(queue, event.answered, now_s)
        if known and self._life(queue) != life_before:
            self._begin_again(queue, now_s)
        else:
            self._pump(queue, now_s)
        if not known or (paused and not queue.paused):
            self._resume_branch(queue, now_s)

    def _answered(self, queue: Queue, answered: int, now_s: float) -> None:
        if answered <= queue.answered:
            return
        queue.answered = answered
        tickets = queue.tickets
        released: list[str] = []
        while tickets and tickets[0] <= answered:
            ticket = tickets.popleft()
            if queue.sent:
                queue.sent -= 1
            if queue.credited:
                queue.credited -= 1
                self.credit.give_back(self._partition(queue))
            self.unanswered.pop(ticket, None)
            self.bodies.pop(ticket, None)
            self.marks.pop(ticket, None)
            released += self._waiters.pop(ticket, ())
        queue.slow = False
        queue.resend_s = self.limits.resend_s
        queue.due_s = now_s + queue.resend_s
        for key in released:
            waiting = self.queues.get(key)
            if waiting is not None:
                self._pump(waiting, now_s)

    def _epoch(self, queue: Queue) -> int:
        return self.zone_epoch if queue.pod is None else self.pod_epochs.get(queue.pod, 0)

    def _life(self, queue: Queue) -> int:
        if queue.pod is None:
            return self.zone_epoch
        return max(queue.began, self.pod_epochs.get(queue.pod, 0))

    def _begin_again(self, queue: Queue, now_s: float) -> None:
        """A new life: what was sent to an earlier one is void, whoever has it."""
        self._unsend(queue)
        queue.slow = False
        queue.resend_s = self.limits.resend_s
        self._pump(queue, now_s)

    def _unsend(self, queue: Queue) -> None:
        queue.sent = 0
        if queue.credited:
            self.credit.give_back(self._partition(queue), queue.credited)
            queue.credited = 0

    def _partition(self, queue: Queue) -> str:
        return queue.pod or address.ZONE_PARTITION

    def _held(self, queue: Queue, ticket: int) -> bool:
        if queue.paused and ticket > queue.pause_ticket:
            return True
        branch = self.queues.get(f"pod.{queue.pod}") if queue.pod is not None else None
        if branch is None:
            return False
        return branch.position < 0 or (branch.paused and ticket > branch.pause_ticket)

    def _pump(self, queue: Queue, now_s: float) -> None:
        """Send what may be sent: the first of the queue, within window and credit, in order."""
        if queue.position < 0 or not queue.tickets:
            return
        if self._epoch(queue) == 0:
            return
        partition = self._partition(queue)
        window = 1 if queue.slow else self.limits.window
        while queue.sent < min(window, len(queue.tickets)):
            ticket = queue.tickets[queue.sent]
            pending = self.bodies.get(ticket)
            if pending is None:
                self._read_bodies(queue)
                return
            mark = self._mark_of(queue, pending)
            if mark is None:
                if self._held(queue, ticket):
                    return
                open_after = next((other for other in pending.after if other in self.unanswered), None)
                if open_after is not None:
                    self._waiters.setdefault(open_after, {})[queue.key] = None
                    return
            if not queue.slow:
                if not self.credit.take(partition, queue.key):
                    return
                queue.credited += 1
            previous = queue.tickets[queue.sent - 1] if queue.sent else 0
            if not queue.sent:
                self._arm(queue, now_s)
            queue.sent += 1
            self._send(queue, pending, previous, mark, now_s)

    def _read_bodies(self, queue: Queue) -> None:
        """Ask at once for all bodies that the window will want next."""
        for index in range(queue.sent, min(self.limits.window, len(queue.tickets))):
            ticket = queue.tickets[index]
            if ticket not in self.bodies and ticket not in self._reading:
                self._reading.add(ticket)
                self.effects.append(ReadBody(ticket))

    def _send(self, queue: Queue, pending: Pending, previous: int, mark: Mark | None, now_s: float) -> None:
        attempts = queue.attempts if queue.attempts_ticket == pending.ticket else 0
        message = message_of(
            pending, epoch=self._epoch(queue), life=self._life(queue), previous=previous, seen=queue.position,
            released=queue.released,
            attempts=attempts, mark=mark, now_s=now_s,
        )  # fmt: skip
        self.effects.append(Send(self._partition(queue), queue.key, message, pending.trace, pending.stored_s))

    def _arm(self, queue: Queue, now_s: float) -> None:
        if queue.resend_s == 0.0:
            queue.resend_s = self.limits.resend_s
        queue.due_s = now_s + queue.resend_s
        self._resends.arm(queue.key, queue.due_s)

    def _serve_lines(self, now_s: float) -> None:
        for key in self.credit.called():
            queue = self.queues.get(key)
            if queue is not None:
                self._pump(queue, now_s)

    def _keep(self, pending: Pending) -> None:
        self.bodies[pending.ticket] = pending
        if pending.deadline_s is not None and pending.ticket not in self.marks:
            heappush(self._deadlines, (pending.deadline_s, pending.ticket))

    # --- steering: acted on when read, answered in its turn (DESIGN section 4) -----------------------------------

    def _steer(self, queue: Queue, pending: Pending, now_s: float) -> None:
        unit = pending.unit
        assert unit is not None, "only a valid unit steers"
        ticket = pending.ticket
        match unit.operation:
            case "cancel" if unit.ticket is not None:
                self._mark(
                    queue,
                    unit.ticket,
                    Mark(
                        outcome=Outcome.CANCELLED,
                        reason=f"by ticket {ticket}" + (f": {unit.reason}" if unit.reason else ""),
                    ),
                    now_s,
                )
            case "pause":
                queue.hold_from(ticket)
            case "resume":
                queue.resume_ticket = max(queue.resume_ticket, ticket)
                self._resume_branch(queue, now_s)
            case "release":
                queue.released = max(queue.released, ticket)
                self._unsend(queue)
            case "retry":
                self._begin_again(queue, now_s)
        if pending.supersedes:
            for other in [other for other in queue.tickets if other < ticket]:
                self._mark(queue, other, Mark(outcome=Outcome.SUPERSEDED, reason=f"by ticket {ticket}"), now_s)

    def _forget_pause(self, queue: Queue, answered: int) -> None:
        """A pause was answered otherwise than completed (cancelled, superseded, expired): it holds nothing any more."""
        queue.pause_ticket = 0
        for ticket in queue.tickets:
            pending = self.bodies.get(ticket)
            if ticket > answered and pending is not None and pending.pauses:
                queue.hold_from(ticket)
                return

    def _resume_branch(self, queue: Queue, now_s: float) -> None:
        kind, _, name = queue.key.partition(".")
        if kind == "pod":
            for other in list(self.queues.values()):
                if other.pod == name:
                    self._pump(other, now_s)

    def _mark(self, queue: Queue, ticket: int, mark: Mark, now_s: float) -> None:
        """Say what a unit is to be answered with, if it has not been started: the first mark stays."""
        if self.unanswered.get(ticket) != queue.key or ticket in self.marks:
            return
        self.marks[ticket] = mark
        for index in range(queue.sent):
            if queue.tickets[index] == ticket and (pending := self.bodies.get(ticket)) is not None:
                self._send(queue, pending, queue.tickets[index - 1] if index else 0, mark, now_s)
                return
        self._pump(queue, now_s)

    def _mark_of(self, queue: Queue, pending: Pending) -> Mark | None:
        mark = self.marks.get(pending.ticket)
        if mark is None and queue.attempts_ticket == pending.ticket:
            mark = mark_after_crash(pending, queue.attempts)
            if mark is not None:
                self.marks[pending.ticket] = mark
        return mark
