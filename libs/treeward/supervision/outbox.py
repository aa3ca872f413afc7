"""What a dispatcher may send now: to which life, in which order, within window and credit, and with which mark.

Bodies are kept near the head of queues only, and read again once there is room to send them: what waits beyond, and
whatever waits for a pod that nobody answers for, is a bare number.
"""

from heapq import heapify, heappop, heappush

from treeward.schemas import address
from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Mark
from treeward.supervision.amendments import Amendments
from treeward.supervision.credit import Credit
from treeward.supervision.effects import Effect, ReadBody, Send
from treeward.supervision.limits import Limits
from treeward.supervision.pending import Pending, mark_after_crash, message_of
from treeward.supervision.resends import Resends
from treeward.supervision.resource_queue import Queue


class Outbox:
    """The queues of a zone and what of them is in mailboxes; effects gather in `effects`, in order."""

    def __init__(self, zone: str, limits: Limits) -> None:
        self.zone = zone
        self.limits = limits
        self.effects: list[Effect] = []
        self.zone_epoch = 0
        """Position of the zone's last claim; 0: none was read, nothing can be sent to its supervisor."""
        self.pod_epochs: dict[str, int] = {}
        self.zone_paused = False
        """The zone as a whole is held: nothing that has not been sent is, until it is resumed."""
        self.zone_order: str | None = None
        """The zone's conflict policy."""
        self.superseding: set[int] = set()
        """Unanswered tickets that supersede by policy, not by their own word: what steers is spared."""
        self.steering: set[int] = set()
        """Unanswered tickets of units that steer; remembered, since bodies are not."""
        self.queues: dict[str, Queue] = {}
        self.bodies: dict[int, Pending] = {}
        self.marks: dict[int, Mark] = {}
        self.unanswered: dict[int, str] = {}
        """Ticket -> key, of all that was read and has no outcome yet."""
        self.catching_up = False
        """WORK holds more that was accepted before we began: an `amend` may be in it."""
        self.credit = Credit(limits.credit)
        self._waiters: dict[int, dict[str, None]] = {}
        """Ticket -> the resources whose next unit waits for it, each once."""
        self._resends = Resends()
        self._deadlines: list[tuple[float, int]] = []
        self._deadline_of: dict[int, float] = {}
        """Which entry of `_deadlines` counts; others are void: it was amended."""
        self._reading: set[int] = set()
        self._amendments = Amendments()

    # --- where to ------------------------------------------------------------------------------------------------

    def _epoch(self, queue: Queue) -> int:
        return self.zone_epoch if queue.pod is None else self.pod_epochs.get(queue.pod, 0)

    def _life(self, queue: Queue) -> int:
        if queue.pod is None:
            return self.zone_epoch
        return max(queue.began, self.pod_epochs.get(queue.pod, 0))

    def _partition(self, queue: Queue) -> str:
        return queue.pod or address.ZONE_PARTITION

    def _held(self, queue: Queue, ticket: int) -> bool:
        if self.zone_paused or (queue.paused and ticket > queue.pause_ticket):
            return True
        branch = self.queues.get(f"pod.{queue.pod}") if queue.pod is not None else None
        if branch is None:
            return False
        return branch.position < 0 or (branch.paused and ticket > branch.pause_ticket)

    # --- what is sent --------------------------------------------------------------------------------------------

    def _pump(self, queue: Queue, now_s: float) -> None:
        """Send what may be sent: the first of the queue, within window and credit, in order."""
        if queue.position < 0 or not queue.tickets:
            return
        if self._epoch(queue) == 0:
            return
        window = min(1 if queue.slow else self.limits.window, len(queue.tickets))
        while queue.sent < window:
            ticket = queue.tickets[queue.sent]
            pending = self.bodies.get(ticket)
            mark = self.mark_of(queue, ticket)
            unsure = pending is None and ticket == queue.attempts_ticket  # its policy may be to fail
            if mark is None and not unsure and (self._held(queue, ticket) or self._waits(queue, pending)):
                self._return_surplus(queue)
                return
            if pending is None:
                self._read_bodies(queue, window)
                return
            if self.catching_up and pending.is_at_its_end(queue.attempts_ticket, now_s):
                return
            if not self._take_credit(queue, queue.sent):
                return
            self._send_next(queue, pending, mark, now_s)

    def _send_next(self, queue: Queue, pending: Pending, mark: Mark | None, now_s: float) -> None:
        previous = queue.tickets[queue.sent - 1] if queue.sent else 0
        if not queue.sent:
            self._arm(queue, now_s)
        queue.sent += 1
        self._send(queue, pending, previous, mark, now_s)
        if queue.slow and self._is_full:
            self.bodies.pop(pending.ticket, None)  # it is read again when it is sent again, which is rare

    def _waits(self, queue: Queue, pending: Pending | None) -> bool:
        """Whether a unit waits for others to be settled; it is called when the first of them is."""
        open_after = next((other for other in pending.after if other in self.unanswered), None) if pending else None
        if open_after is None:
            return False
        self._waiters.setdefault(open_after, {})[queue.key] = None
        return True

    def _take_credit(self, queue: Queue, index: int) -> bool:
        """A place in the pod for the unit at `index`; those that are slow need none, and hold none."""
        if queue.slow or queue.credited > index:
            return True
        if not self.credit.take(self._partition(queue), queue.key):
            return False
        queue.credited += 1
        return True

    def _return_surplus(self, queue: Queue) -> None:
        if queue.credited > queue.sent:
            self.credit.give_back(self._partition(queue), queue.credited - queue.sent)
            queue.credited = queue.sent

    def _read_bodies(self, queue: Queue, window: int) -> None:
        """Ask at once for all bodies that the window wants next and that there is credit for."""
        for index in range(queue.sent, window):
            if not self._take_credit(queue, index):
                return
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

    def _unsend(self, queue: Queue) -> None:
        queue.sent = 0
        if queue.credited:
            self.credit.give_back(self._partition(queue), queue.credited)
            queue.credited = 0

    def _begin_again(self, queue: Queue, now_s: float) -> None:
        """A new life: what was sent to an earlier one is void, whoever has it."""
        self._unsend(queue)
        queue.slow = False
        queue.resend_s = self.limits.resend_s
        self._pump(queue, now_s)

    def _serve_lines(self, now_s: float) -> None:
        for key in self.credit.called():
            queue = self.queues.get(key)
            if queue is not None:
                self._pump(queue, now_s)

    # --- when it is sent again -----------------------------------------------------------------------------------

    def _arm(self, queue: Queue, now_s: float) -> None:
        if queue.resend_s == 0.0:
            queue.resend_s = self.limits.resend_s
        queue.due_s = now_s + queue.resend_s
        self._resends.arm(queue.key, queue.due_s)

    def _resend_due(self, now_s: float) -> None:
        """What was not answered within its time is sent one by one, and holds no credit and, in the end, no bodies."""
        for key in self._resends.due(now_s):
            queue = self.queues.get(key)
            if queue is None or not queue.sent:
                continue
            if queue.due_s > now_s:
                self._resends.arm(key, queue.due_s)
                continue
            before, queue.slow = queue.slow, True
            queue.resend_s = min(self.limits.resend_max_s, queue.resend_s * 2)
            self._unsend(queue)
            self._pump(queue, now_s)
            if not before and self._is_full:
                for ticket in queue.tickets:
                    self.bodies.pop(ticket, None)

    # --- bodies and marks ----------------------------------------------------------------------------------------

    @property
    def _is_full(self) -> bool:
        """Whether bodies are kept only where they are needed soon."""
        return len(self.bodies) > self.limits.bodies_max // 2

    def _keep(self, pending: Pending) -> None:
        pending = self.bodies[pending.ticket] = self._amendments.apply(pending)
        ticket, deadline_s = pending.ticket, pending.deadline_s
        if deadline_s is None:
            self._deadline_of.pop(ticket, None)
        elif self._deadline_of.get(ticket) != deadline_s:
            self._deadline_of[ticket] = deadline_s
            heappush(self._deadlines, (deadline_s, ticket))

    def _expire(self, now_s: float) -> None:
        """Mark what was not started before its deadline."""
        while self._deadlines and self._deadlines[0][0] <= now_s and not self.catching_up:
            at_s, ticket = heappop(self._deadlines)
            key = self.unanswered.get(ticket)
            if key is not None and self._deadline_of.get(ticket) == at_s:
                mark = Mark(outcome=Outcome.EXPIRED, reason="its deadline passed before it was started")
                self._mark(self.queues[key], ticket, mark, now_s)

    def _forget_unit(self, ticket: int) -> None:
        self.unanswered.pop(ticket, None)
        self.bodies.pop(ticket, None)
        self.marks.pop(ticket, None)
        if self._deadline_of.pop(ticket, None) is not None and len(self._deadlines) > 2 * len(self._deadline_of) + 100:
            self._deadlines = [(at_s, each) for each, at_s in self._deadline_of.items()]
            heapify(self._deadlines)  # else each would be kept until its deadline, however far that is
        self._amendments.drop(ticket)
        self.superseding.discard(ticket)
        self.steering.discard(ticket)

    def _mark(self, queue: Queue, ticket: int, mark: Mark, now_s: float) -> None:
        """Say what a unit is to be answered with, if it has not been started: the first mark stays."""
        known = ticket in self.marks or self._superseded_by(queue, ticket) is not None
        if known or self.unanswered.get(ticket) != queue.key:
            return
        self.marks[ticket] = mark
        self._send_marks(queue, ticket, ticket, now_s)

    def _send_marks(self, queue: Queue, first: int, last: int, now_s: float) -> None:
        """Units of these tickets have just been marked: those that are in the mailbox are sent again."""
        for index in range(queue.sent):
            ticket = queue.tickets[index]
            if not first <= ticket <= last or (first != last and ticket in self.marks):
                continue
            pending, mark = self.bodies.get(ticket), self.mark_of(queue, ticket)
            if pending is None:
                self._unsend(queue)  # its body is not kept: all of it is sent again
                break
            self._send(queue, pending, queue.tickets[index - 1] if index else 0, mark, now_s)
        self._pump(queue, now_s)

    def _superseded_by(self, queue: Queue, ticket: int) -> int | None:
        """The first unit behind it that supersedes it: what steers is superseded by a unit's own word only."""
        behind = queue.superseding_behind(ticket)
        return next((by for by in behind if by not in self.superseding or ticket not in self.steering), None)

    def mark_of(self, queue: Queue, ticket: int) -> Mark | None:
        """What a unit is to be answered with if it has not been started; None: nothing stands against it."""
        mark = self.marks.get(ticket)
        if mark is not None:
            return mark
        by = self._superseded_by(queue, ticket)
        if by is not None:
            return Mark(outcome=Outcome.SUPERSEDED, reason=f"by ticket {by}")
        pending = self.bodies.get(ticket) if queue.attempts_ticket == ticket else None
        if pending is None or self.catching_up:
            return None
        mark = mark_after_crash(pending, queue.attempts)
        if mark is not None:
            self.marks[ticket] = mark
        return mark
