"""The safety lines: each with what is written instead, and the tests that should notice.

`rule` names the rule of PROTOCOL or DESIGN that the line keeps. A row whose text is not in its file any more is an
error: whoever changes a safety line renews its row.
"""

from typing import NamedTuple

S = "libs/treeward/supervision/"
R = "libs/treeward/runtime/"
D = "services/orchestrator/treeward/orchestrator/dispatching.py"
TAKE = "tests/property/test_take_rule.py"
POD = "tests/property/test_fold_pod_owner.py"
TAKES = "tests/unit/test_supervision_take_rule.py"
POD_UNIT = "tests/unit/test_supervision_pod_owner.py"
ZONE = "tests/property/test_fold_zone_owner.py"
UNPLACED = "tests/unit/test_supervision_unplaced.py"
ZONE_UNIT = "tests/unit/test_supervision_zone_owner.py"
DISPATCH_UNIT = "tests/unit/test_supervision_dispatch.py"
CHILDREN = "tests/unit/test_supervision_children.py"
RECORD = "tests/property/test_device_record.py"
RECORD_UNIT = "tests/unit/test_device_record.py"
GUARDS = "tests/scenarios/test_guards.py"


class Mutant(NamedTuple):
    """One line taken out."""

    name: str
    rule: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    # the take rule (R4, S3)
    Mutant(
        "process takes any epoch",
        "S3.epoch",
        S + "pod_owner.py",
        "        if message.epoch != self.epoch:\n            self.dropped += 1\n            return\n",
        "",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "process takes any life",
        "R4.life",
        S + "row.py",
        "message.life == self.life and message.ticket > self.answered",
        "message.ticket > self.answered",
        (TAKES, TAKE),
    ),
    Mutant(
        "process takes what is answered",
        "R4.duplicate",
        S + "row.py",
        "return message.life == self.life and message.ticket > self.answered",
        "return message.life == self.life",
        (TAKES, TAKE),
    ),
    Mutant(
        "process passes over a gap",
        "R4.gap",
        S + "waiting_units.py",
        "message.previous <= self.answered < message.ticket",
        "self.answered < message.ticket",
        (TAKES, TAKE),
    ),
    Mutant(
        "a mark does not stay",
        "S3.mark",
        S + "waiting_units.py",
        "                message.mark = waiting.mark or message.mark\n                message.amend(waiting)\n",
        "",
        (TAKES, TAKE),
    ),
    Mutant(
        "a mark in hand is lost",
        "S3.mark",
        S + "waiting_units.py",
        "            hand.amend(message)\n",
        "",
        (TAKES, TAKE),
    ),
    Mutant(
        "a mailbox without bound",
        "5.window",
        S + "waiting_units.py",
        "if len(self.queue) >= 2 * window:",
        "if False:",
        (TAKES, TAKE),
    ),
    Mutant(
        "zone takes any epoch",
        "S3.epoch",
        S + "zone_owner.py",
        "if message.epoch != self.epoch or message.life != self.epoch:",
        "if False:",
        (ZONE_UNIT, UNPLACED),
    ),
    Mutant(
        "zone takes what is answered",
        "R4.duplicate",
        S + "zone_owner.py",
        "        if message.ticket <= row.answered:\n            self.dropped += 1\n            return\n",
        "",
        (UNPLACED, ZONE_UNIT, ZONE),
    ),
    Mutant(
        "zone ignores WORK's beginning",
        "S4",
        S + "zone_owner.py",
        "        row.answered = max(row.answered, self.work_first - 1)\n",
        "",
        (ZONE_UNIT, UNPLACED),
    ),
    # who owns an address (S2), what its events say (S8)
    Mutant(
        "a row is made for another's",
        "S3.gone S2.owner",
        S + "pod_owner.py",
        "if event is None or pod_of(event) != self.pod:",
        "if event is None:",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "answered is not fetched",
        "S8.answered",
        S + "waiting_units.py",
        "        self.answered = event.answered\n",
        "        self.answered = 0\n",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "a pod's fetch may be old",
        "S8.fresh",
        S + "pod_owner.py",
        "self._fetch(row, max(message.life, message.seen, self._log.stored_up_to))",
        "self._fetch(row, 0)",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "a zone's fetch may be old",
        "S8.fresh",
        S + "zone_owner.py",
        "self._fetch(row, max(message.seen, self._log.stored_up_to))",
        "self._fetch(row, 0)",
        (ZONE_UNIT, UNPLACED),
    ),
    Mutant(
        "zone answers what is placed",
        "S2.owner",
        S + "zone_owner.py",
        "        if event is not None and pod_of(event) is not None:\n            row.away = position",
        "        if False:\n            row.away = position",
        (UNPLACED, ZONE_UNIT, ZONE),
    ),
    Mutant(
        "what leaves keeps its mailbox",
        "S2.queue",
        S + "pod_owner.py",
        "        del self.rows[row.key]\n        self._recovery.line.ended(row.key)",
        "        row.phase = Phase.READY\n        row.answered = row.hand.ticket if row.hand else row.answered\n"
        "        row.hand = None\n        self._advance(row, now_s)\n        self._recovery.line.ended(row.key)",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "forgotten before WORK is past",
        "S9.work",
        S + "gone.py",
        "self._order[0][0] < work_first",
        "True",
        (ZONE_UNIT, UNPLACED),
    ),
    Mutant(
        "forgotten by an older word",
        "S9.work",
        S + "gone.py",
        "            if self._answered.get(key) == answered:\n                del self._answered[key]\n",
        "            if self._answered.pop(key, None) or True:\n",
        (ZONE_UNIT, UNPLACED),
    ),
    # fence first, answer second (R5, S6)
    Mutant(
        "a mark before the device",
        "S6.device",
        S + "process_step.py",
        "    if known is not None:\n",
        "    if unit.mark is not None:\n        return Conclude(unit.mark.outcome, unit.mark.reason)\n"
        "    if known is not None:\n",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "the device's memory is not used",
        "S6.device memory",
        S + "process_step.py",
        "    if known is not None:\n",
        "    if False:\n",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "no synchronize",
        "S6.life",
        S + "row.py",
        "Phase.QUARANTINED if event.quarantined else Phase.INITIALIZED",
        "Phase.QUARANTINED if event.quarantined else Phase.READY",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "the next before the outcome is in",
        "R2.commit",
        S + "pod_processes.py",
        "            self._log.answer(row, outcome, reason, now_s, called=True)\n"
        "            self._go_ahead(row, now_s)\n            return\n",
        "            self._log.answer(row, outcome, reason, now_s)\n            row.become_answered()\n"
        "            row.phase = Phase.READY\n            self.advance(row, now_s)\n            return\n",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "a crash begins no life",
        "S1.crashed",
        S + "pod_recovery.py",
        "row.become_living(position)",
        "row.phase, row.hand, row.queue = Phase.READY, None, []",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "a silent synchronize is waited for",
        "6.silent",
        S + "pod_processes.py",
        "        elif row.phase is Phase.SYNCHRONIZING:\n            self._log.effects.append(Abandon(row.token))",
        "        elif False:\n            self._log.effects.append(Abandon(row.token))",
        (TAKES, POD_UNIT, POD),
    ),
    # the log is the lock
    Mutant(
        "owners append without a guard",
        "guard",
        R + "owner_loop.py",
        "Guard(claim_subject, owner.epoch)",
        "Guard(claim_subject + '.none', 0)",
        (GUARDS,),
    ),
    Mutant(
        "an owner in doubt goes on",
        "3.6",
        R + "owner_loop.py",
        "            elif isinstance(result, InDoubt):\n",
        "            elif isinstance(result, InDoubt):\n                return\n"
        "            elif isinstance(result, InDoubt):\n",
        (GUARDS,),
    ),
    Mutant(
        "a fenced owner goes on",
        "fence",
        S + "pod_owner.py",
        "if answer.status is Status.FENCED:",
        "if False:",
        (POD_UNIT, TAKES),
    ),
    # the device (table 4)
    Mutant(
        "the device has no fence",
        "fence",
        R + "device_record.py",
        "        if life < self.high:\n            return True\n",
        "",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "a life rises under a call",
        "busy",
        R + "device_record.py",
        "return self.in_progress is not None and life > self.high",
        "return False",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "the device takes older tickets",
        "older",
        R + "device_record.py",
        "        if ticket < self.last:\n            return Decision.OLDER\n",
        "",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "a refusal is not remembered",
        "S5",
        R + "device_record.py",
        "        self.last = self.in_progress\n",
        "        self.last = self.in_progress if applied else self.last\n",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "a late copy makes it again",
        "H15",
        R + "device_record.py",
        "return self.called_in < life",
        "return True",
        (RECORD_UNIT,),
    ),
)
