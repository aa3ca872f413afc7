"""The owner of a zone: answers for every address that is not placed, and places what is to exist (PROTOCOL table 2).

Its device is its children. It alone allocates, so allocation needs no lock; only allocation waits for the fold of who
is where, everything else is useful at once after a takeover.
"""

from typing import Any

from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.events import Event, Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceAsked, PlaceSaid
from treeward.schemas.standing import Standing
from treeward.supervision import events
from treeward.supervision.draining import Draining
from treeward.supervision.effects import Effect, Fetch, GiveUp
from treeward.supervision.gone import Gone
from treeward.supervision.homeless import Waiting
from treeward.supervision.knowledge import pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.obeying import obey
from treeward.supervision.placing import Placing
from treeward.supervision.pod_book import PodBook
from treeward.supervision.pod_units import obey_pod_unit
from treeward.supervision.process_step import Conclude
from treeward.supervision.restoring import Restoring
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.unplaced_step import Place, Supervise, decide_unplaced
from treeward.supervision.who_is_where import WhoIsWhere
from treeward.supervision.zone_log import ZoneLog

SWEEP_EVERY_S = 1.0
SWEPT_PER_TICK = 2_000


class ZoneOwner:
    """The fold of a zone's unplaced addresses in one epoch; its life is the epoch."""

    def __init__(self, zone: str, epoch: int, limits: Limits) -> None:
        self.zone = zone
        self.epoch = epoch
        self.limits = limits
        self.rows: dict[str, Unplaced] = {}
        self.where = WhoIsWhere()
        self.pods = PodBook(epoch, limits.ahead_max)
        self._log = ZoneLog(zone, epoch, self.pods)
        self._placing = Placing(self.where, self.pods)
        self.stopping = False
        self.dropped = 0
        self.work_first = 0
        self._gone = Gone()
        self._draining = Draining(zone, epoch)
        self._restoring = Restoring(zone)
        self._swept_s = 0.0
        self._sweep: list[str] = []
        """Rows that this round of forgetting has still to look at."""

    @property
    def effects(self) -> list[Effect]:
        """What was decided and not taken yet, in order."""
        return self._log.effects

    @effects.setter
    def effects(self, effects: list[Effect]) -> None:
        self._log.effects = effects

    # --- the fold of who is where --------------------------------------------------------------------------------

    def on_event(self, position: int, event: Event, now_s: float) -> None:
        """An event of the zone was read, from bucket or log; what is older than what is known changes nothing."""
        if event.kind == "pod":
            self.pods.on_event(position, event)
        elif event.kind != "zone":
            self._gone.on_event(event)
            self._draining.on_event(event, now_s)
            self._restoring.on_event(event)
            row = self.rows.get(event.key)
            if row is not None and row.fetching and row.away == 0:
                row.read = (position, event)
            elif row is not None and 0 < row.away < position and pod_of(event) is None:
                self.on_fetched(event.key, position, event, now_s)
            room = self.where.on_event(position, event)
            self._fill(room, now_s)

    def on_standing(self, position: int, standing: Standing) -> bool:
        """The same, while the fold is not complete, of something that stands where it is; False: `on_event` is to know.

        Only what this owner remembers nothing of can be taken this way.
        """
        key = f"{standing.kind}.{standing.id}"
        if standing.kind in SUPERVISED_KINDS or self.fold_complete or key in self.rows:
            return False
        if key in self._gone or key in self._restoring:
            return False
        return self.where.on_standing(position, key, standing)

    def on_fold_complete(self) -> None:
        """Everything up to the claim has been folded: places can be given away."""
        self._placing.on_fold_complete()

    @property
    def fold_complete(self) -> bool:
        """Whether everything up to the claim has been folded."""
        return self._placing.fold_complete

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
            self._log.say(events.forgotten(self.zone, key, self.epoch, answered, now_s))

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
            self._fetch(row, max(message.seen, self._log.stored_up_to))
            return
        row.used_s = now_s
        if row.fetching:
            if len(row.early) < 2 * self.limits.window:
                row.early.append(message)
            return
        if message.ticket <= row.answered:
            self.dropped += 1
            return
        row.put(message, self.limits.window)
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
        if row.read is not None and row.read[0] > position:
            position, event = row.read
        row.read = None
        if event is not None and pod_of(event) is not None:
            row.away = position  # whoever sent it may have read further: it waits for the event that brings it back
            return
        row.fetching, row.away = False, 0
        early, row.early = row.early, []
        if event is not None:
            if event.kind not in SUPERVISED_KINDS:
                self._fill(self.where.on_fetched(position, event), now_s)
            row.remember(event)
        row.answered = max(row.answered, self.work_first - 1)
        for message in early:
            if message.ticket > row.answered:
                row.put(message, self.limits.window)
        self._advance(row, now_s)

    def _fetch(self, row: Unplaced, at_least: int) -> None:
        row.token = at_least
        self.effects.append(Fetch(row.key, at_least))

    def on_appended(self, token: int, position: int, now_s: float) -> None:
        """An append is in the log."""
        waiting = self._log.stored(token, position)
        row = self.rows.get(waiting[0]) if waiting is not None else None
        if waiting is None or row is None or row.token != token:
            return
        key, then = waiting
        row.committing = False
        if then == "placed":
            self.where.on_given(key, position)
            del self.rows[key]
            return
        assert row.hand is not None, "its outcome was just committed"
        row.answered = row.hand.ticket
        row.hand = None
        row.drop_answered()
        self._advance(row, now_s)

    def quarantine_pod(self, pod: str, reason: str, now_s: float) -> None:
        """Claims do not help: the pod is claimed for nobody until somebody submits `release` (ADR 10)."""
        self._log.say(self.pods.quarantine(pod, reason, now_s))
        self.claim_pod(pod, None, reason, now_s)

    def claim_pod(self, pod: str, instance: str | None, reason: str, now_s: float) -> None:
        """Name the next owner of a pod; the event says all else that its last one said (PROTOCOL S8, H11)."""
        self._log.say(self.pods.claim(pod, instance, reason, now_s))

    def find_place(self, asked: PlaceAsked, now_s: float) -> PlaceSaid:
        """A place for what a pod's owner is to let go, kept from now on; or why there is none."""
        return self._placing.find(asked, now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed: waiting creates may have missed their deadline, idle rows are forgotten."""
        for one in self._placing.next_to_try():
            self._try_again(one, now_s)
        for one in self._placing.homeless.expired(now_s):
            self._try_again(one, now_s)
        if now_s - self._swept_s >= SWEEP_EVERY_S:
            self._swept_s = now_s
            self._sweep = self._sweep or list(self.rows)
            if self.fold_complete:
                for host_name in self.where.expire_reservations(now_s):
                    self._fill(host_name, now_s)
                self.effects += self._draining.decide(self._placing, now_s)
                self.effects += self._restoring.decide()
        self._forget_idle(now_s)

    def _forget_idle(self, now_s: float) -> None:
        """Forget rows that nobody used for a while, a slice at a time: what they were is in the log."""
        slice_, self._sweep = self._sweep[:SWEPT_PER_TICK], self._sweep[SWEPT_PER_TICK:]
        for key in slice_:
            row = self.rows.get(key)
            if row is not None and row.idle and now_s - row.used_s > self.limits.idle_row_s:
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
        homeless = row is not None and row.hand is not None and row.hand.ticket in self._placing.homeless
        told: dict[str, object] = {"epoch": self.epoch, "life": self.epoch, "stopping": self.stopping}
        told |= {"homeless": homeless, "fold_complete": self.fold_complete}
        draining = self._draining.describe(self._placing, key)
        return told | ({"draining": draining} if draining is not None else {}) | said

    # --- inside --------------------------------------------------------------------------------------------------

    def _advance(self, row: Unplaced, now_s: float) -> None:
        if row.committing:
            return
        if row.hand is None and (self.stopping or not row.take_next(now_s)):
            return
        assert row.hand is not None, "just taken"
        self._decide(row, row.hand, now_s)

    def _decide(self, row: Unplaced, unit: Message, now_s: float) -> None:
        match decide_unplaced(row, unit, zone=self.zone, now_s=now_s):
            case Conclude(outcome, reason):
                if unit.mark is None and outcome is Outcome.COMPLETED:
                    obey(row, unit)
                self._answer(row, outcome, reason, now_s)
            case Supervise():
                self._supervise(row, unit, now_s)
            case Place(definition) if row.key.startswith("host."):
                self._place_host(row, definition, now_s)
            case Place(definition):
                self._place(row, unit, definition, now_s)

    def _supervise(self, row: Unplaced, unit: Message, now_s: float) -> None:
        """A definition of a pod is a unit of work to its supervisor."""
        where, complete = self.where, self.fold_complete
        said = obey_pod_unit(row, unit, zone=self.zone, where=where, fold_complete=complete)
        if said is None:
            self._placing.homeless.put(unit.ticket, row.key, None, unit.deadline_s)
        else:
            if said.outcome is Outcome.COMPLETED:
                obey(row, unit)
            self._answer(row, said.outcome, said.reason, now_s)

    def _place_host(self, row: Unplaced, definition: dict[str, Any], now_s: float) -> None:
        """A host is placed in the pod that its definition names."""
        pod = str(definition.get("pod"))
        if self.pods.is_defined(pod):
            name = row.key.partition(".")[2]
            self.where.give_host(name, pod)
            self._log.placed(row, pod, name, definition, now_s)
            self._on_said(row)
            return
        sentence = f"spec.pod: no pod {pod!r} is defined in {self.zone}; create it first, or name its ticket in `after`"
        self._answer(row, Outcome.REJECTED, sentence, now_s)

    def _place(self, row: Unplaced, unit: Message, definition: dict[str, Any], now_s: float) -> None:
        """By free capacity, labels and spread; what fits nowhere waits in its hand."""
        given = self._placing.give(row.key, unit, definition, row.came)
        if isinstance(given, str):
            row.reason = given
        else:
            self._log.placed(row, given.pod, given.host, definition, now_s, given.reason)
            self._on_said(row)

    def _fill(self, host_name: str | None, now_s: float) -> None:
        """Room has come on a host: in ticket order, whatever fits now goes somewhere."""
        for one in self._placing.that_fit(host_name):
            self._try_again(one, now_s)

    def _try_again(self, one: Waiting, now_s: float) -> None:
        row = self.rows.get(one.key)
        if row is None or row.hand is None or row.hand.ticket != one.ticket:
            self._placing.homeless.drop(one.ticket)
        else:
            self._advance(row, now_s)

    def _answer(self, row: Unplaced, outcome: Outcome, reason: str | None, now_s: float) -> None:
        self._log.answer(row, outcome, reason, now_s)
        if row.key.startswith("pod."):
            self._placing.homeless.try_all()  # it may be open for what waits now
        self._on_said(row)

    def _on_said(self, row: Unplaced) -> None:
        """What ends the unit in hand is on its way: it waits for no place any more, nor is its address forgotten."""
        assert row.hand is not None, "it is in hand until the log has it"
        self._placing.homeless.drop(row.hand.ticket)
        if row.key.partition(".")[0] not in SUPERVISED_KINDS:  # those are never forgotten
            self._gone.keep(row.key, row.hand.ticket)
