"""The owner of a zone: answers for every address that is not placed, and places what is to exist (PROTOCOL table 2).

Its device is its children. It alone allocates, so allocation needs no lock; only allocation waits for the fold of who
is where, everything else is useful at once after a takeover.
"""

from typing import Any

from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.units import complete_spec
from treeward.supervision import events
from treeward.supervision.draining import Draining
from treeward.supervision.effects import Append, Effect, Fetch, GiveUp, Work
from treeward.supervision.gone import Gone
from treeward.supervision.homeless import Homeless, Waiting
from treeward.supervision.knowledge import pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.placement import Placed, decide_placement, demand_of, fits_nowhere
from treeward.supervision.pod_book import PodBook
from treeward.supervision.process_step import Conclude
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.unplaced_step import Place, Supervise, decide_unplaced
from treeward.supervision.who_is_where import WhoIsWhere

SWEEP_EVERY_S = 1.0
TRIED_AT_ONCE = 16
TRIED_PER_TICK = 100
"""Placements that are tried again at one event, and in one tick, so that a long line does not hold up the loop."""


class ZoneOwner:
    """The fold of a zone's unplaced addresses in one epoch; its life is the epoch."""

    def __init__(self, zone: str, epoch: int, limits: Limits) -> None:
        self.zone = zone
        self.epoch = epoch
        self.limits = limits
        self.effects: list[Effect] = []
        self.rows: dict[str, Unplaced] = {}
        self.where = WhoIsWhere()
        self.pods = PodBook(epoch)
        self.fold_complete = False
        self.stopping = False
        self.dropped = 0
        self._tokens = 0
        self._appended_up_to = epoch
        self._waiting: dict[int, tuple[str, str]] = {}
        self._homeless = Homeless()
        self.work_first = 0
        self._gone = Gone()
        self._draining = Draining(zone, epoch)
        self._swept_s = 0.0
        self._now_s = 0.0

    # --- the fold of who is where --------------------------------------------------------------------------------

    def on_event(self, position: int, event: Event, now_s: float) -> None:
        """An event of the zone was read, from bucket or log; what is older than what is known changes nothing."""
        if event.kind == "pod":
            self.pods.on_event(position, event)
        elif event.kind != "zone":
            self._gone.on_event(event)
            row = self.rows.get(event.key)
            if row is not None and 0 < row.away < position and pod_of(event) is None:
                self.on_fetched(event.key, position, event, now_s)
            room = self.where.on_event(position, event)
            if room is not None:
                self._now_s = now_s
                self._fill(room)

    def on_fold_complete(self, now_s: float) -> None:
        """Everything up to the claim has been folded: places can be given away."""
        self.fold_complete = True
        self._now_s = now_s
        self._homeless.try_all()

    # --- units ---------------------------------------------------------------------------------------------------

    def on_work_first(self, first: int, now_s: float) -> None:
        """WORK begins at this ticket: everything below it is answered, and what is gone below it can be forgotten.

        A message for a lower ticket may still come, from a dispatcher that is far behind, and find nothing of its
        address any more: so the mark is kept, and counts as taken (PROTOCOL S4, S9).
        """
        self.work_first = max(self.work_first, first)
        for key, answered in self._gone.below(self.work_first):
            row = self.rows.get(key)
            if row is not None:
                if row.fetching or row.hand or row.queue:
                    continue  # it comes back; its next outcome is remembered anew
                del self.rows[key]
            event = events.forgotten(self.zone, key, self.epoch, answered, now_s)
            self._tokens += 1
            self.effects.append(Append((event,), self._tokens))

    def on_message(self, key: str, message: Message, now_s: float) -> None:
        """A message came out of the zone's own partition."""
        if message.epoch != self.epoch or message.life != self.epoch:
            self.dropped += 1
            return
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Unplaced(key)
            row.early.append(message)
            row.used_s = now_s
            self._fetch(row, max(message.seen, self._appended_up_to))
            return
        row.used_s = now_s
        if row.fetching:
            if len(row.early) < 2 * self.limits.window:
                row.early.append(message)
            return
        if message.ticket <= row.answered:
            self.dropped += 1
            return
        self._put(row, message)
        self._advance(row, now_s)

    def on_fetched(self, key: str, position: int, event: Event | None, now_s: float) -> None:
        """The last event of an address: whether it is here, and how it came."""
        row = self.rows.get(key)
        if row is None or not row.fetching:
            return
        newest = max((message.seen for message in row.early), default=0)
        if position < newest and row.token < newest:  # a dispatcher has read more than this replica had
            self._fetch(row, newest)
            return
        if event is not None and pod_of(event) is not None:
            row.away = position  # whoever sent it may have read further: it waits for the event that brings it back
            return
        row.fetching, row.away = False, 0
        early, row.early = row.early, []
        if event is not None:
            if event.kind not in SUPERVISED_KINDS:
                room = self.where.on_fetched(position, event)
                if room is not None:
                    self._now_s = now_s
                    self._fill(room)
            row.answered = event.answered
            row.definition = event.definition
            row.paused = event.paused
            row.draining = event.draining
            row.released = event.released
            row.came = event if event.type is EventType.HANDED_OFF or event.existed else None
        row.answered = max(row.answered, self.work_first - 1)
        for message in early:
            if message.ticket > row.answered:
                self._put(row, message)
        self._advance(row, now_s)

    def _fetch(self, row: Unplaced, at_least: int) -> None:
        row.token = at_least
        self.effects.append(Fetch(row.key, at_least))

    def on_appended(self, token: int, position: int, now_s: float) -> None:
        """An append is in the log."""
        self._appended_up_to = max(self._appended_up_to, position)
        key, then = self._waiting.pop(token, ("", ""))
        if then == "claimed":
            return  # the log reader will tell
        row = self.rows.get(key)
        if row is None or row.token != token:
            return
        row.committing = False
        if then == "placed":
            del self.rows[key]
            return
        assert row.hand is not None, "its outcome was just committed"
        row.answered = row.hand.ticket
        row.hand = None
        row.queue = [message for message in row.queue if message.ticket > row.answered]
        self._advance(row, now_s)

    def claim_pod(self, pod: str, instance: str, reason: str, now_s: float) -> None:
        """Name the next owner of a pod; the event says all else that its last one said (PROTOCOL S8, H11)."""
        event = self.pods.claim(pod, instance, reason, now_s)
        self._tokens += 1
        self._waiting[self._tokens] = (pod, "claimed")
        self.effects.append(Append((event,), self._tokens))

    def tick(self, now_s: float) -> None:
        """Time has passed: waiting creates may have missed their deadline, idle rows are forgotten."""
        self._now_s = now_s
        for one in self._homeless.next_to_try(TRIED_PER_TICK):
            self._try_again(one)
        if now_s - self._swept_s >= SWEEP_EVERY_S:
            self._swept_s = now_s
            if self.fold_complete:
                self.effects += self._draining.decide(self.where.places, self.pods.open())
            self._forget_idle(now_s)
            self._expire_homeless(now_s)

    def _expire_homeless(self, now_s: float) -> None:
        for key in self._homeless.resources():
            row = self.rows.get(key)
            if (
                row is not None
                and row.hand is not None
                and row.hand.deadline_s is not None
                and row.hand.deadline_s <= now_s
            ):
                self._advance(row, now_s)

    def _forget_idle(self, now_s: float) -> None:
        idle = [
            key
            for key, row in self.rows.items()
            if (row.away or not row.fetching)
            and not row.committing
            and row.hand is None
            and not row.queue
            and now_s - row.used_s > self.limits.idle_row_s
        ]
        for key in idle:
            del self.rows[key]

    def stop_taking(self) -> None:
        """Take no further unit."""
        self.stopping = True

    @property
    def drained(self) -> bool:
        """Whether no append is on its way."""
        return not any(row.committing for row in self.rows.values())

    def give_up(self, reason: str, *, fenced: bool) -> None:
        """Stop with nothing owned: replaced, or in doubt."""
        self.rows.clear()
        self.effects.append(GiveUp(reason, fenced))

    def describe(self, key: str, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for `explain`; phase `absent`: the address is not in use here."""
        row = self.rows.get(key)
        said: dict[str, object] = row.describe(now_s) if row is not None else {"phase": "absent"}
        homeless = row is not None and row.hand is not None and row.hand.ticket in self._homeless
        told: dict[str, object] = {"epoch": self.epoch, "life": self.epoch, "stopping": self.stopping}
        return told | {"homeless": homeless, "fold_complete": self.fold_complete} | said

    # --- inside --------------------------------------------------------------------------------------------------

    def _put(self, row: Unplaced, message: Message) -> None:
        if row.hand is not None and row.hand.ticket == message.ticket:
            row.hand.mark = row.hand.mark or message.mark
            return
        for index, waiting in enumerate(row.queue):
            if waiting.ticket == message.ticket:
                message.mark = waiting.mark or message.mark
                row.queue[index] = message
                return
        if len(row.queue) < 2 * self.limits.window:
            row.queue.append(message)
            row.queue.sort(key=lambda waiting: waiting.ticket)

    def _advance(self, row: Unplaced, now_s: float) -> None:
        if row.committing:
            return
        if row.hand is None:
            if self.stopping or not row.queue or not row.queue[0].previous <= row.answered < row.queue[0].ticket:
                return
            row.hand = row.queue.pop(0)
            row.taken_s = now_s
        self._decide(row, row.hand, now_s)

    def _decide(self, row: Unplaced, unit: Message, now_s: float) -> None:
        match decide_unplaced(row, unit, zone=self.zone, now_s=now_s):
            case Conclude(outcome, reason):
                if unit.mark is None and outcome is Outcome.COMPLETED:
                    row.paused = {"pause": True, "resume": False}.get(unit.operation, row.paused)
                    row.draining = {"drain": True, "resume": False}.get(unit.operation, row.draining)
                self._answer(row, outcome, reason, now_s)
            case Supervise():
                self._supervise(row, unit, now_s)
            case Place(definition) if row.key.startswith("host."):
                self._place_host(row, unit, definition, now_s)
            case Place(definition):
                self._place(row, unit, definition, now_s)

    def _supervise(self, row: Unplaced, unit: Message, now_s: float) -> None:
        """A definition of a pod is a unit of work to its supervisor."""
        name = row.key.partition(".")[2]
        if unit.operation == "create":
            if row.definition is not None:
                self._answer(row, Outcome.FAILED, f"pod {name} is defined already", now_s)
            else:
                row.definition = complete_spec("pod", "create", unit.spec)
                self._answer(row, Outcome.COMPLETED, None, now_s)
        elif row.definition is None:
            self._answer(row, Outcome.REJECTED, f"no pod {name} is defined in {self.zone}", now_s)
        elif any(host.pod == name for host in self.where.places.hosts.values()):
            self._answer(row, Outcome.FAILED, f"pod {name} still has hosts", now_s)
        else:
            row.definition = None
            self._answer(row, Outcome.COMPLETED, None, now_s)

    def _place_host(self, row: Unplaced, unit: Message, definition: dict[str, Any], now_s: float) -> None:
        """A host is placed in the pod that its definition names."""
        pod = str(definition.get("pod"))
        if self.pods.is_defined(pod):
            self._append_placed(row, unit, pod, row.key.partition(".")[2], definition, now_s)
            return
        sentence = f"spec.pod: no pod {pod!r} is defined in {self.zone}; create it first, or name its ticket in `after`"
        self._answer(row, Outcome.REJECTED, sentence, now_s)

    def _place(self, row: Unplaced, unit: Message, definition: dict[str, Any], now_s: float) -> None:
        """By free capacity, labels and spread; what fits nowhere waits in its hand."""
        came = row.came
        kind = row.key.partition(".")[0]
        if not self.fold_complete:
            row.reason = "the zone supervisor is still reading who is where"
            self._homeless.put(unit.ticket, row.key, None)
            return
        demand = demand_of(kind, definition)
        requires = definition.get("requires") or {}
        spread = definition.get("spread")
        moving = came is not None and unit.operation == "migrate"
        named = (unit.spec or {}).get("host") if moving else None
        avoid = came.left if came is not None else None
        pods = self.pods.open()
        host = decide_placement(
            self.where.places, demand, requires=requires, spread=spread, named=named, avoid=avoid, pods=pods
        )
        reason = None
        if host is None and came is not None:
            host = decide_placement(self.where.places, demand, requires=requires, spread=spread, pods=pods)
            reason = f"host {named} could not take it" if named is not None else None
        if host is None:
            row.reason = fits_nowhere(self.where.places, demand, requires)
            self._homeless.put(unit.ticket, row.key, demand)
            return
        self.where.places.put(row.key, Placed(host.pod, host.name, demand, spread))
        self._append_placed(row, unit, host.pod, host.name, definition, now_s, reason=reason)

    def _append_placed(
        self,
        row: Unplaced,
        unit: Message,
        pod: str,
        host: str,
        definition: dict[str, Any],
        now_s: float,
        reason: str | None = None,
    ) -> None:
        came = row.came
        existed = came is not None and came.existed
        event = self._event(row, EventType.PLACED, now_s, pod=pod, host=host, existed=existed, reason=reason)
        event.definition, event.reserves = (definition, None) if existed else (None, definition)
        event.moved = unit.ticket if came is not None else 0
        self._commit(row, event, "placed", Work(unit, row.taken_s, 0.0, now_s))

    def _fill(self, host_name: str) -> None:
        """Room has come on a host: in ticket order, whatever fits now goes somewhere."""
        host = self.where.places.hosts.get(host_name)
        if host is None or not self.fold_complete or not self._homeless:
            return
        candidates = self._homeless.that_fit(host.free)
        for one in candidates[:TRIED_AT_ONCE]:
            self._try_again(one)
        if len(candidates) > TRIED_AT_ONCE:
            self._homeless.try_all()

    def _try_again(self, one: Waiting) -> None:
        row = self.rows.get(one.key)
        if row is None or row.hand is None or row.hand.ticket != one.ticket:
            self._homeless.drop(one.ticket)
        else:
            self._advance(row, self._now_s)

    def _answer(self, row: Unplaced, outcome: Outcome, reason: str | None, now_s: float) -> None:
        unit = row.hand
        assert unit is not None, "something is in hand"
        event = self._event(row, EventType(outcome.value), now_s, reason=reason, definition=row.definition)
        event.answered = unit.ticket
        if event.kind == "pod":
            self.pods.note(event)
            self._homeless.try_all()  # it may be open for what waits now
        came = row.came
        if came is not None:  # it is still handed off, and the next reader must know how
            event = event.model_copy(update={"existed": came.existed, "last": came.last})
        self._commit(row, event, "answered", Work(unit, row.taken_s, 0.0, now_s))

    def _commit(self, row: Unplaced, event: Event, then: str, work: Work | None) -> None:
        assert row.hand is not None, "only a unit in hand makes this owner append"
        self._homeless.drop(row.hand.ticket)
        if row.key.partition(".")[0] not in SUPERVISED_KINDS:  # those are never forgotten
            self._gone.keep(row.key, row.hand.ticket)
        row.reason = None
        row.committing = True
        self._tokens += 1
        row.token = self._tokens
        self._waiting[row.token] = (row.key, then)
        self.effects.append(Append((event,), row.token, work))

    def _event(self, row: Unplaced, type_: EventType, now_s: float, **changes: object) -> Event:
        unit = row.hand
        assert unit is not None, "something is in hand"
        kind, _, id_ = row.key.partition(".")
        fields: dict[str, Any] = {
            "type": type_,
            "zone": self.zone,
            "kind": kind,
            "id": id_,
            "life": self.epoch,
            "answered": row.answered,
            "at": events.at(now_s),
            "ticket": unit.ticket,
            "operation": unit.operation or None,
            "flushed": [],
            "paused": row.paused,
            "draining": row.draining,
            "released": row.released,
        } | changes
        return Event.model_construct(**fields)
