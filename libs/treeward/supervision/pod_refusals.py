"""What a pod's owner does with what it is to make and its device refuses to make (ADR 15).

What existed elsewhere is made by the first synchronize here. If the device refuses that, it is asked again after a
back-off, as often as a process may be restarted; then the resource goes elsewhere, like anything that moves: a place
first, then the intention in the log, then its device is emptied, so that no late copy of a request makes it after all.
Nothing was called in this life, so no unit is in doubt. Who finds no place stays, and begins anew after a while.
"""

from treeward.schemas.device import Answer
from treeward.supervision.alarms import Alarms
from treeward.supervision.device_memory import learn_record
from treeward.supervision.pod_log import PodLog
from treeward.supervision.pod_moves import PodMoves
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.restart import DOUBLED_MAX, back_off, jitter_of
from treeward.supervision.row import Row


class PodRefusals:
    """Rows whose device refuses to make them."""

    def __init__(self, policies: PodPolicies, moves: PodMoves, log: PodLog, alarms: Alarms) -> None:
        self._policies = policies
        self._moves = moves
        self._log = log
        self._alarms = alarms

    def on_refused(self, row: Row, answer: Answer, now_s: float) -> None:
        """The device has accepted the life, and made nothing. What it remembers goes with the resource."""
        row.refusals += 1
        row.refusal = row.reason
        learn_record(row, answer)
        row.not_before_s = now_s
        if row.refusals <= self._policies.restart_of(row).restarts_max:
            row.not_before_s += self._back_off_s(row)

    def go_elsewhere(self, row: Row, now_s: float) -> bool:
        """The next step away from a device that has refused too often. False: it is asked once more."""
        restarts_max = self._policies.restart_of(row).restarts_max
        if row.refusals <= restarts_max:
            return False
        move = row.move
        if move is None:
            self._moves.ask(row, None, now_s)
        elif move.said.host is None:
            row.move = None
            row.refusals = restarts_max  # the next refusal asks for a place again
            self._wait(row, self._back_off_s(row), move.said.reason or "nobody knows another place", now_s)
        elif move.said.again and not move.waited:
            move.waited = True
            longest_s = back_off(self._policies.restart_of(row), DOUBLED_MAX, self._jitter(row))
            self._wait(row, longest_s, f"all others that have room were tried; host {move.said.host} is next", now_s)
        elif move.said.empties:
            self._moves.leave(row, self._why(row), now_s)
        else:
            self._log.hand_off(row, now_s, self._why(row))
        return True

    def _wait(self, row: Row, wait_s: float, why: str, now_s: float) -> None:
        row.reason = why
        row.not_before_s = now_s + wait_s
        self._alarms.wake(row.key, row.not_before_s)

    def _back_off_s(self, row: Row) -> float:
        return back_off(self._policies.restart_of(row), row.retries - 1, self._jitter(row))

    def _jitter(self, row: Row) -> float:
        return jitter_of(row.key, row.life + row.retries)

    def _why(self, row: Row) -> str:
        return f"host {row.host} has refused to make it {row.refusals} times: {row.refusal}"
