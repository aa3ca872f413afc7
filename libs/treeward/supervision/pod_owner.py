"""The owner of a pod: its processes as rows, from the first message to the outcome (PROTOCOL table 3).

Two rules carry everything else. *Take rule*: a message is taken only if it names this owner's epoch, the row's life,
and no unanswered ticket is missing before it. *Fence first, answer second*: a unit is answered by what the device says
to its call or remembers of it; any other answer needs a life that the device has accepted and in which it was not
called.
"""

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceSaid
from treeward.schemas.specs import readable_definition
from treeward.supervision.alarms import Alarms
from treeward.supervision.effects import Effect, Fetch, GiveUp
from treeward.supervision.idle_rows import IdleRows
from treeward.supervision.knowledge import pod_of
from treeward.supervision.limits import Limits
from treeward.supervision.pod_drift import PodDrift
from treeward.supervision.pod_log import PodLog
from treeward.supervision.pod_moves import PodMoves
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.pod_processes import PodProcesses
from treeward.supervision.pod_recovery import PodRecovery
from treeward.supervision.pod_refusals import PodRefusals
from treeward.supervision.policies import Said
from treeward.supervision.row import Phase, Row, early_of
from treeward.supervision.self_suspicion import Escalation


class PodOwner:
    """The fold of one pod in one epoch. Inputs are methods; effects gather in `effects` until the caller takes them."""

    def __init__(
        self,
        zone: str,
        pod: str,
        epoch: int,
        limits: Limits,
        *,
        isolated: bool = False,
        answered: int = 0,
        ahead: int = 1,
        policies: Said = None,
    ) -> None:
        """`isolated`, `answered`, `ahead`, `policies`: what its claim says of the pod."""
        self.zone = zone
        self.pod = pod
        self.epoch = epoch
        self.limits = limits
        self.rows: dict[str, Row] = {}  # those at work; the others rest
        self.dropped = 0
        """Messages that the take rule refused."""
        self._log = PodLog(zone, pod, epoch)
        self.policies = PodPolicies(limits, policies)
        self._recovery = PodRecovery(limits, self.rows, self._log, self.policies)
        self._alarms = Alarms(self._log.token, limits.call_timeout_s)
        self._moves = PodMoves(limits, self._log, self._alarms, fenced_at=answered, ahead=ahead)
        self._idle = IdleRows(limits)
        self.drift = PodDrift(self._log, self.policies, self._alarms, self.rows, self._idle)
        refusals = PodRefusals(self.policies, self._moves, self._log, self._alarms)
        self._processes = PodProcesses(
            epoch, limits, self._log, self._alarms, self.policies, self._recovery, self._moves, refusals, self.drift,
            isolated=isolated, ahead=ahead,
        )  # fmt: skip

    @property
    def effects(self) -> list[Effect]:
        """What was decided and not taken yet, in order."""
        return self._log.effects

    @effects.setter
    def effects(self, effects: list[Effect]) -> None:
        self._log.effects = effects

    @property
    def stopping(self) -> bool:
        """Whether it takes no further unit."""
        return self._processes.stopping

    # --- inputs --------------------------------------------------------------------------------------------------

    def on_message(self, key: str, message: Message, now_s: float) -> None:
        """A message came out of the mailbox: it may be lost, doubled, late, or meant for another."""
        if message.epoch != self.epoch:
            self.dropped += 1
            return
        row = self.rows.get(key) or self._idle.wake(key, self.rows)
        if row is None:
            row = self.rows[key] = Row(key, message.life)
            row.early.append(message)
            row.used_s = now_s
            self._fetch(row, max(message.life, message.seen, self._log.stored_up_to))
            return
        row.used_s = now_s
        if row.phase is Phase.FETCHING or (row.phase is Phase.COMMITTING and message.life > row.life):
            if len(row.early) < 2 * self.limits.window:
                row.early.append(message)
            return
        if message.life == row.life and message.released > row.released:
            self._recovery.hear_release(row, message.released, now_s)
        if not row.may_keep(message):
            self.dropped += 1
            return
        row.put(message, self.limits.window)
        self._processes.advance(row, now_s)

    def on_fetched(self, key: str, position: int, event: Event | None, now_s: float) -> None:
        """The last event of a resource: whether it is ours, and what its process was."""
        if key.startswith("host.") and event is not None:
            self.policies.learn_host(key.removeprefix("host."), event.policies)
        self.drift.on_fetched(key, event, now_s)
        row = self.rows.get(key)
        if row is None or row.phase is not Phase.FETCHING:
            return
        newest = max((message.seen for message in row.early), default=0)
        if position < newest and row.token < newest:  # a dispatcher has read more than this replica had
            self._fetch(row, newest)
            return
        early, row.early = row.early, []
        if event is None or pod_of(event) != self.pod:
            self.dropped += len(early)
            del self.rows[key]
            return
        row.remember(event, position, self.epoch)
        if event.type is EventType.PLACED and event.left is not None:
            self._moves.pause(row, now_s)
        self.drift.remember(key, event)
        for message in early_of(early, row.life):
            if message.released > row.released:
                self._recovery.hear_release(row, message.released, now_s)
            if row.may_keep(message):
                row.put(message, self.limits.window)
        self._processes.advance(row, now_s)

    def _fetch(self, row: Row, at_least: int) -> None:
        row.token = at_least
        self.effects.append(Fetch(row.key, at_least))

    def on_answer(self, key: str, token: int, answer: Answer, now_s: float) -> None:
        """The device answered a request."""
        self._alarms.heard(token)
        row = self.rows.get(key)
        if row is None or answer.definition != row.definition:  # else it was read before
            answer.definition = readable_definition(key.partition(".")[0], answer.definition)
        if token in self.drift.asked:
            row = self.drift.on_observed(key, token, answer, now_s)
            if row is not None:
                self._processes.advance(row, now_s)
            return
        if row is None or row.token != token:
            return
        if answer.status is Status.FENCED:
            self.give_up(
                f"the device refused life {row.life} of {self.zone}.{key}: it accepted {answer.high} of {answer.owner}",
                fenced=True,
            )
        elif row.phase is Phase.SYNCHRONIZING:
            self._processes.on_synchronized(row, answer, now_s)
        elif row.phase is Phase.EMPTYING:
            self._moves.on_emptied(row, answer, now_s)
            self._processes.advance(row, now_s)
        elif row.phase is Phase.CALLED:
            self._processes.on_called(row, answer, now_s)

    def on_place(self, key: str, token: int, said: PlaceSaid | None, now_s: float) -> None:
        """The zone's owner said where something could go; None: it could not be asked."""
        row = self.rows.get(key)
        if row is not None and row.phase is Phase.ASKING and row.token == token:
            self._moves.on_place(row, said, now_s)
            self._processes.advance(row, now_s)

    def on_appended(self, token: int, position: int, now_s: float) -> None:
        """An append is in the log; `position` is that of its last event."""
        waiting = self._log.stored(token, position)
        row = self.rows.get(waiting[0]) if waiting is not None else None
        if waiting is not None and waiting[1] == "ahead" and row is not None:
            row.ahead -= 1
            self._processes.advance(row, now_s)
            return
        if waiting is None or row is None or row.phase is not Phase.COMMITTING or row.token != token:
            return
        match waiting[1]:
            case "answered" | "called":
                self._on_answered(row, Phase.READY, now_s)
            case "isolated":  # the host is brought before its device anew
                self._on_answered(row, Phase.INITIALIZED, now_s)
            case "gone":
                self._on_gone(row, now_s)
            case "leaving" | "drifted" | "made":
                row.phase = Phase.READY
                self._processes.advance(row, now_s)
            case "crashed":
                self._recovery.on_crashed(row, position, now_s)
                self._processes.advance(row, now_s)
            case "quarantined" | "released":
                row.phase = Phase.QUARANTINED if waiting[1] == "quarantined" else Phase.INITIALIZED
                released = max((message.released for message in row.queue), default=0)
                if released > row.released:
                    self._recovery.hear_release(row, released, now_s)
                self._processes.advance(row, now_s)

    def tick(self, now_s: float) -> None:
        """Time has passed: back-offs end, calls without an answer crash their process, idle rows are forgotten."""
        held_up = self._recovery.tick(now_s)
        for key in self._alarms.rows_due(now_s):
            row = self.rows.get(key)
            if row is not None:
                self._processes.advance(row, now_s)
        for key in self._recovery.called(now_s):
            row = self.rows.get(key)
            if row is not None:
                self._processes.advance(row, now_s)
            if row is None or row.phase is not Phase.SYNCHRONIZING:
                self._recovery.line.ended(key)  # there is nothing left for it to do
        if not held_up:  # else the answers wait to be read: they come first
            for key, token in self._alarms.silent(now_s):
                self.drift.on_silence(token)
                row = self.rows.get(key)
                if row is not None and row.token == token:
                    self._processes.on_silence(row, now_s)
        self._idle.sweep(self.rows, now_s)

    def stop_taking(self) -> None:
        """Take no further unit: what is in hand ends, then `drained` is true (planned hand-off)."""
        self._processes.stopping = True

    @property
    def drained(self) -> bool:
        """Whether no device call and no append is on its way."""
        return all(row.phase not in (Phase.EMPTYING, Phase.CALLED, Phase.COMMITTING) for row in self.rows.values())

    @property
    def in_use(self) -> int:
        """How many processes are in use, at work or at rest."""
        return len(self.rows) + len(self._idle)

    def give_up(self, reason: str, *, fenced: bool) -> None:
        """Stop with nothing owned: replaced, or in doubt."""
        self.rows.clear()
        self._idle.clear()
        self.effects.append(GiveUp(reason, fenced))

    def describe(self, key: str, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for `explain`; phase `absent`: the resource is not in use here."""
        row = self.rows.get(key) or self._idle.look(key)
        said: dict[str, object] = row.describe(now_s) if row is not None else {"phase": "absent"}
        told: dict[str, object] = {"epoch": self.epoch, "stopping": self.stopping}
        return told | self._recovery.describe(row, now_s) | said

    @property
    def escalation(self) -> Escalation | None:
        """What this owner asks of its parent, if nothing helps; it goes on meanwhile."""
        return self._recovery.suspicion.escalation

    # --- what was appended ---------------------------------------------------------------------------------------

    def _on_answered(self, row: Row, phase: Phase, now_s: float) -> None:
        assert row.ahead == 0, "what was said before it is stored before it"
        row.become_answered()
        row.phase = phase
        self._processes.advance(row, now_s)

    def _on_gone(self, row: Row, now_s: float) -> None:
        """The address has left: what is queued here is dropped, and sent again elsewhere."""
        del self.rows[row.key]
        self._recovery.line.ended(row.key)  # it restarts elsewhere, if at all
        for message in row.early:
            self.on_message(row.key, message, now_s)
