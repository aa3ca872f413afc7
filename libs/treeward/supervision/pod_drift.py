"""What the owner of a pod does about devices that others change: looks, makes sure, says so, and what policy wants.

To look is cheap and changes nothing, neither here nor there: the last event of a resource is read, and its device is
asked to `observe`. Only what looks different gets a row, and its device is asked to accept the life, as for any unit:
from then on nothing of an earlier life can explain the difference, nor undo what is decided because of it. To put
something back in order is a unit of work, which the zone's owner submits when it reads the event (ADR 11).
"""

from typing import NamedTuple

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Drift, Event
from treeward.supervision.alarms import Alarms
from treeward.supervision.device_memory import learn
from treeward.supervision.drift import (
    Accept,
    Desired,
    Found,
    Report,
    decide_drift,
    desired_by,
    find_drift,
    policy_of,
    standing_drift,
)
from treeward.supervision.effects import Abandon, Fetch, Observe, Synchronize
from treeward.supervision.idle_rows import IdleRows
from treeward.supervision.isolation import knows_record
from treeward.supervision.knowledge import pod_of
from treeward.supervision.pod_log import PodLog
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.row import Phase, Row

HOST_LOOK_S = 5.0
"""A host is looked after so often at most, however much on it is found to be fenced."""


class Look(NamedTuple):
    """A device was asked what exists."""

    desired: Desired
    known: Drift | None
    isolated: bool


class PodDrift:
    """The looks of one pod that are under way, and the rows that something looked wrong of."""

    def __init__(
        self,
        log: PodLog,
        policies: PodPolicies,
        alarms: Alarms,
        rows: dict[str, Row],
        resting: IdleRows,
    ) -> None:
        self.suspects: set[str] = set()
        """What is to be brought before its device although no unit asks for it."""
        self.asked: dict[int, Look] = {}
        """Token of an observation -> what it is compared with."""
        self._fetching: set[str] = set()
        self._look_again_s: dict[str, float] = {}
        """Host on which something was fenced -> when it may be looked after again; so many as the pod has hosts."""
        self._emptied: dict[str, int] = {}
        """What is accepted to be gone, and the life in which its device was told so."""
        self._log = log
        self._policies = policies
        self._alarms = alarms
        self._rows = rows
        self._resting = resting

    @property
    def looks(self) -> int:
        """How many are under way."""
        return len(self._fetching) + len(self.asked)

    # --- looking -------------------------------------------------------------------------------------------------

    def look(self, key: str) -> None:
        """Begin to look after a resource; one that is at work is left alone."""
        row = self._rows.get(key)
        if (row is None or row.idle) and key not in self._fetching:
            self._fetching.add(key)
            self._log.effects.append(Fetch(key, self._log.stored_up_to))

    def on_fetched(self, key: str, event: Event | None, now_s: float) -> None:
        """What the log says of it last: if that is settled, the device is asked."""
        if key not in self._fetching:
            return
        self._fetching.discard(key)
        if event is None or pod_of(event) != self._log.pod:
            return
        desired = desired_by(event)
        if desired is not None:
            token = self._alarms.expect(key, now_s)
            self.asked[token] = Look(desired, standing_drift(event), event.isolated)
            self._log.effects.append(Observe(key, token))

    def on_observed(self, key: str, token: int, answer: Answer, now_s: float) -> Row | None:
        """The device has told what exists. Returns the row that is to be brought before it, if that looks wrong."""
        look = self.asked.pop(token)
        row = self._rows.get(key)
        wrong = find_drift(look.desired, answer) is not None
        mended = look.known is not None and answer.status is Status.OK and not wrong
        fenced = _is_isolated(key, answer) and not look.isolated
        if not (wrong or mended or fenced) or (row is not None and not row.idle):
            return None
        self.suspects.add(key)
        row = row or self._resting.wake(key, self._rows)
        if row is None:
            row = self._rows[key] = Row(key, 0)
            row.used_s = now_s
            row.token = self._log.stored_up_to
            self._log.effects.append(Fetch(key, row.token))
            return None
        row.used_s = now_s
        row.phase = Phase.INITIALIZED
        return row

    def on_silence(self, token: int) -> None:
        """The device did not tell in time: it is looked after in the next round."""
        if self.asked.pop(token, None) is not None:
            self._log.effects.append(Abandon(token))

    def on_isolated(self, row: Row, now_s: float) -> None:
        """Its device has fenced the host that it is on. The log is to say so too, or more would be placed there."""
        if row.host is not None and now_s >= self._look_again_s.get(row.host, 0.0):
            self._look_again_s[row.host] = now_s + HOST_LOOK_S
            self.look(f"host.{row.host}")

    # --- what a device says of a row -----------------------------------------------------------------------------

    def remember(self, key: str, event: Event) -> None:
        """What the last event says of a row that begins."""
        drift = standing_drift(event)
        if drift is not None:
            self._log.drifts[key] = drift
        elif self._log.drifts:
            self._log.drifts.pop(key, None)

    def learn(self, row: Row, answer: Answer, now_s: float) -> Found | None:
        """The device has accepted the life: take over what it tells, but keep what is desired where others changed it.

        What is about to be made again, or to move, has no drift: what the device has of it then is taken as it is.
        """
        desired = Desired(None if row.make else row.definition, row.answered)
        learn(row, answer)
        found = find_drift(desired, answer)
        if found is not None:
            row.definition = desired.definition
        self._learn_isolation(row, answer, now_s)
        return found

    def turned_away(self, row: Row, answer: Answer, now_s: float) -> None:
        """Its device could not take it: a mere look waits for its next round. A host that is off may be fenced too."""
        self.suspects.discard(row.key)
        if knows_record(answer, row.life):
            self._learn_isolation(row, answer, now_s)

    def _learn_isolation(self, row: Row, answer: Answer, now_s: float) -> None:
        """A host that its device has isolated, and no unit: the log says so from now on, and nothing waits for that."""
        by_unit = row.hand is not None and row.hand.operation == "isolate"  # its outcome will say so
        if _is_isolated(row.key, answer) and not row.isolated and not by_unit:
            row.isolated = row.draining = True
            self._log.found_isolated(row, now_s)

    def settle(self, row: Row, found: Found | None, now_s: float) -> None:
        """Say what is to be said of it. Nothing in hand waits for that; a row with nothing in hand does."""
        self.suspects.discard(row.key)
        drifts, busy = self._log.drifts, row.hand is not None or bool(row.queue)
        known = drifts.get(row.key)
        if found is None:
            if known is not None:
                del drifts[row.key]
                if not busy:
                    self._log.drifted(row, now_s, "its device agrees again")
            return
        policy = policy_of(row.key.partition(".")[0], self._policies.chain(row))
        match decide_drift(found, known, policy, answered=row.answered, busy=busy, now_s=now_s):
            case Report(drift):
                drifts[row.key] = drift
                self._log.drifted(row, now_s, _sentence(found))
            case Accept(drift) if not drift.exists and self._emptied.pop(row.key, 0) != row.life:
                self._empty(row, now_s)
            case Accept(drift):
                drifts[row.key] = drift
                row.definition = drift.definition
                self._log.drifted(row, now_s, f"{_sentence(found)}; that is accepted")
                del drifts[row.key]

    def _empty(self, row: Row, now_s: float) -> None:
        """Before its address is given back: no late copy of a request of this life may make it again (DeviceRecord)."""
        self._emptied[row.key] = row.life
        self._alarms.request(row, Phase.SYNCHRONIZING, now_s)
        self._log.effects.append(Synchronize(row.key, row.token, row.life, row.host, None, absent=True))

    def on_called(self, row: Row, answer: Answer) -> None:
        """A unit was applied or refused. What it has made of a changed object is desired; a refusal changes nothing."""
        desired = row.definition
        learn(row, answer)
        if row.key in self._log.drifts:
            unit = row.hand
            assert unit is not None, "it was called"
            restores = unit.operation == "restore"
            if answer.status is Status.REFUSED and (answer.exists or restores):
                row.definition = desired
            else:
                del self._log.drifts[row.key]


def _is_isolated(key: str, answer: Answer) -> bool:
    """Whether a device tells of a host that it is isolated; of what is on one it tells the same of that."""
    return answer.isolated and key.startswith("host.")


def _sentence(found: Found) -> str:
    return "others have changed it" if found.exists else "others have removed it"
