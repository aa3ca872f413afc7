"""The safety lines of what is decided for an operator: drift (ADR 11), a zone's request to root (ADR 12), groups."""

from tests.mutants.table import Mutant, S

DRIFT = "tests/property/test_drift.py"
DRIFT_UNIT = "tests/unit/test_supervision_drift.py"
RESTORING = "tests/unit/test_supervision_restoring.py"
APPEAL = "tests/unit/test_supervision_appeal.py"
APART = "tests/property/test_anti_affinity.py"

CHOOSING = (
    # drift
    Mutant(
        "drift while a unit is in doubt",
        "7.drift",
        S + "drift.py",
        "    if answer.last > desired.answered or answer.begun > desired.answered:\n        return None\n",
        "",
        (DRIFT_UNIT, DRIFT),
    ),
    Mutant(
        "drift of what is not settled",
        "7.drift",
        S + "drift.py",
        "    if not settled or event.existed",
        "    if event.existed",
        (DRIFT_UNIT, DRIFT),
    ),
    Mutant(
        "accepted while a unit waits",
        "7.drift",
        S + "drift.py",
        "    done = OnDrift.REPORT if busy else policy\n",
        "    done = policy\n",
        (DRIFT_UNIT, DRIFT),
    ),
    Mutant(
        "given back before its device is emptied",
        "7.gone",
        S + "pod_drift.py",
        "            case Accept(drift) if not drift.exists and self._emptied.pop(row.key, 0) != row.life:\n"
        "                self._empty(row, now_s)\n",
        "",
        (DRIFT_UNIT,),
    ),
    Mutant(
        "a late restoration acts",
        "7.restore",
        S + "process_step.py",
        '    if unit.operation == "restore" and row.answered != (unit.spec or {}).get("answered", row.answered):\n',
        "    if False:\n",
        (DRIFT_UNIT,),
    ),
    Mutant(
        "a restoration is asked for too late",
        "7.restore",
        S + "restoring.py",
        " or event.answered != drift.answered:",
        ":",
        (RESTORING,),
    ),
    Mutant(
        "a restoration is asked for again and again",
        "7.restore",
        S + "restoring.py",
        "        elif self._asked.get(event.key) != self._message_id(event.key, drift):\n",
        "        else:\n",
        (RESTORING,),
    ),
    # a zone asks root
    Mutant(
        "a zone asks root for ever",
        "6.appeal",
        S + "appeal.py",
        " or self._asked_before:",
        ":",
        (APPEAL,),
    ),
    Mutant(
        "a zone asks root for one pod",
        "6.appeal",
        S + "appeal.py",
        "troubled < PODS_MIN or 2 * troubled <= pods or ",
        "",
        (APPEAL,),
    ),
    Mutant(
        "pods that failed together must ask together",
        "6.appeal",
        S + "escalations.py",
        "branch in self._troubles or now_s - asked_s <= WELL_PERIODS * self._policy(branch).period_s",
        "branch in self._troubles",
        (APPEAL,),
    ),
    Mutant(
        "who is named once more may ask root once more",
        "6.appeal",
        S + "children.py",
        "asked = branch.asked if same else cause",
        "asked = cause",
        (APPEAL,),
    ),
    # groups
    Mutant(
        "a group shares what it must not",
        "4.apart",
        S + "anti_affinity.py",
        "        if apart.required and (apart.group, apart.domain, name) in self._there:\n            return False\n",
        "",
        (APART,),
    ),
    Mutant(
        "who insists is not asked",
        "4.apart",
        S + "anti_affinity.py",
        '        return (apart.group, "pod", pod) not in self._strict and '
        '(apart.group, "host", host) not in self._strict\n',
        "        return True\n",
        (APART,),
    ),
)
