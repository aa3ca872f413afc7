"""What a pod's owner does to let something go elsewhere, one step after the other (PROTOCOL S7, ADR 8).

First a place: nothing is let go that has nowhere to go. Then, if the place is another device, the intention, in the
log: whoever comes next, at any of these steps, makes again here what the old device may not hold any more. Then the old
device is emptied, in a life in which nothing was called; and only then `handed_off`.
"""

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Outcome, Verdict
from treeward.schemas.places import PlaceAsked, PlaceSaid
from treeward.supervision.alarms import Alarms
from treeward.supervision.device_memory import learn
from treeward.supervision.effects import Abandon, AskPlace, Synchronize
from treeward.supervision.isolation import behind, find_doubt, is_late
from treeward.supervision.limits import Limits
from treeward.supervision.move import Move
from treeward.supervision.obeying import obey
from treeward.supervision.pod_log import PodLog
from treeward.supervision.restart import doubled
from treeward.supervision.row import Phase, Row


class PodMoves:
    """The steps of moves off one pod."""

    def __init__(self, limits: Limits, log: PodLog, alarms: Alarms, *, fenced_at: int, ahead: int) -> None:
        """`fenced_at`: nothing of the pod that was submitted after this ticket was called before it was isolated.

        `ahead`: so many units of one resource may have been called there, by any owner, and not been stored.
        """
        self._ahead = ahead
        self._fenced_at = fenced_at
        self._limits = limits
        self._log = log
        self._alarms = alarms

    def ask(self, row: Row, host: str | None, now_s: float) -> None:
        """Ask the zone's owner for a place."""
        assert row.hand is not None, "something is in hand"
        self._alarms.request(row, Phase.ASKING, now_s)
        asked = PlaceAsked(
            key=row.key, ticket=row.hand.ticket, leaves=row.host, host=host,
            definition=row.definition or row.reserves, tried=row.tried,
        )  # fmt: skip
        self._log.effects.append(AskPlace(row.key, row.token, asked))

    def flee(self, row: Row, now_s: float) -> bool:
        """Let go what was placed on a host that cannot be reached and never called there: that needs no device.

        DESIGN section 6: only a life that began with `placed` and in which nothing was called. A unit that is marked is
        answered where it goes. False: it stays; without a place elsewhere it asks again when this device has failed it
        once more.
        """
        unit = row.hand
        assert unit is not None, "something is in hand"
        if row.accepted or row.key.startswith("host."):
            return False
        if unit.mark is not None:
            self._log.hand_off(row, now_s, f"its device does not answer, and was never called: {row.reason}")
            return True
        if not unit.reallocate or row.moved == unit.ticket:
            return False
        if row.move is None:
            self.ask(row, None, now_s)
            return True
        if row.move.said.host is None:
            row.move = None
            return False
        self._log.hand_off(row, now_s, f"was never called here, and its policy is to go elsewhere: {row.reason}")
        return True

    def on_place(self, row: Row, said: PlaceSaid | None, now_s: float) -> None:
        """The zone's owner has answered; None, or neither a place nor a reason: ask again."""
        assert row.hand is not None, "it has asked for this unit"
        row.phase = _phase_before(row)
        if said is None or (said.host is None and said.reason is None):
            self._retry(row, "waits for the zone supervisor to find a place", now_s)
            return
        row.move = Move(row.hand.ticket, said)
        if row.accepted:  # else it is the device that it has tried so often
            row.retries, row.reason = 0, None

    def leave(self, row: Row, reason: str, now_s: float) -> None:
        """Say in the log that it is about to be taken off its device: who comes next makes it again here."""
        assert row.move is not None, "it has a place"
        row.make = True
        row.move.leaving, row.move.reason = True, reason
        self._log.leave(row, now_s, reason, row.move.said.host)

    def empty(self, row: Row, now_s: float) -> None:
        """Make sure that the old device holds nothing of it. To ask again is always safe."""
        self._alarms.request(row, Phase.EMPTYING, now_s)
        self._log.effects.append(Synchronize(row.key, row.token, row.life, row.host, None, absent=True))

    def on_emptied(self, row: Row, answer: Answer, now_s: float) -> None:
        """The old device has answered."""
        assert row.move is not None, "it has a place"
        row.phase = Phase.READY
        fenced_off = answer.status is Status.UNREACHABLE and answer.isolated
        if fenced_off or (answer.status is Status.OK and not answer.exists):
            row.move.emptied = True
            return
        still = "its device still holds it" if answer.status is Status.OK else answer.status.value
        self._retry(row, answer.reason or still, now_s)

    def let_go(self, row: Row, reason: str, answer: Answer | None, now_s: float, fenced_at: int = 0) -> None:
        """Its place was isolated: it leaves without it. What the log says of it is all that can be known.

        `answer`: what the device side remembers, if it does and has accepted this life.
        `fenced_at`: what was submitted after this ticket was not called there; 0: that is not known.
        """
        unit = row.hand
        assert unit is not None, "something is in hand"
        doubt = find_doubt(unit, answer, self._ahead, fenced_at)
        if answer is not None and not row.make:
            learn(row, answer)
        else:
            row.exists = row.make or row.definition is not None
        if doubt.units and row.remembered(unit.ticket) is None:
            row.verdict = Verdict.MAYBE_STARTED
        self._log.hand_off(row, now_s, reason, doubt=doubt, emptied=True)  # what is fenced holds nothing

    def pause(self, row: Row, now_s: float) -> None:
        """It is back where it was let go of, since there is no other place: that is not tried without a pause."""
        row.not_before_s = now_s + self._limits.busy_retry_max_s
        row.reason = f"host {row.host} was isolated, and there was no other place"

    def abandon(self, row: Row, now_s: float) -> None:
        """Its pod was isolated: nothing there acts again, and nobody can be asked any more (ADR 14).

        What is to be destroyed is gone with that. A host can be nowhere else; all other things go on elsewhere.
        """
        unit = row.hand
        assert unit is not None, "something is in hand"
        reason = f"pod {self._log.pod} is isolated"
        doubt = find_doubt(unit, None, self._ahead, self._fenced_at)
        if unit.operation == "destroy" and unit.mark is None and not is_late(unit, now_s):
            obey(row, unit)
            row.definition, row.exists, row.make = None, False, False
            self._log.drifts.pop(row.key, None)
            left = f"{reason}: what is left of it there never acts again"
            self._log.answer(row, Outcome.COMPLETED, left, now_s, doubt=behind(unit, doubt))
        elif row.key.startswith("host."):
            row.exists = row.definition is not None
            if doubt.units:
                row.verdict = Verdict.MAYBE_STARTED
            self._log.answer(row, Outcome.FAILED, reason, now_s, doubt=behind(unit, doubt))
        else:
            self.let_go(row, reason, None, now_s, self._fenced_at)

    def on_silence(self, row: Row, now_s: float) -> None:
        """Nobody answered in time."""
        asking = row.phase is Phase.ASKING
        self._log.effects.append(Abandon(row.token))
        row.phase = _phase_before(row)
        self._retry(row, "the zone supervisor does not answer" if asking else "its device does not answer", now_s)

    def _retry(self, row: Row, reason: str, now_s: float) -> None:
        row.reason = reason
        row.not_before_s = now_s + doubled(self._limits.busy_retry_min_s, self._limits.busy_retry_max_s, row.retries)
        row.retries += 1


def _phase_before(row: Row) -> Phase:
    """Where a row stood that asked for a place: mostly READY, but what flees was never accepted, nor made."""
    leaving = row.move is not None and row.move.leaving
    return Phase.READY if row.accepted or leaving else Phase.INITIALIZED
