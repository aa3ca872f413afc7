"""The safety lines of what is known: of an isolation, of places that are kept, of units whose bodies are not."""

from tests.mutants.table import Mutant, S

ISOLATION = "tests/unit/test_supervision_isolation_known.py"
PLACES = "tests/unit/test_supervision_places_kept.py"
UNKEPT = "tests/unit/test_supervision_unkept_bodies.py"

KNOWN = (
    # isolation
    Mutant(
        "a remembered isolation is believed without its fence",
        "6.isolated",
        S + "device_memory.py",
        '    if unit.operation == "isolate" and answer.last == unit.ticket and not answer.isolated:',
        "    if False:",
        (ISOLATION,),
    ),
    Mutant(
        "a fence is believed of who has not accepted the life",
        "6.isolated",
        S + "pod_drift.py",
        "        if knows_record(answer, row.life):\n            self._learn",
        "        if True:\n            self._learn",
        (ISOLATION,),
    ),
    Mutant(
        "a unit that isolates is said to be nobody's",
        "6.isolated",
        S + "pod_drift.py",
        " and not row.isolated and not by_unit:",
        " and not row.isolated:",
        (ISOLATION,),
    ),
    Mutant(
        "what others removed stays isolated",
        "6.isolated 7.gone",
        S + "pod_log.py",
        "            event.isolated = event.draining = False  # what is made again under that name is another\n",
        "",
        (ISOLATION,),
    ),
    Mutant(
        "a late destroy in an isolated pod is completed",
        "6.isolated 4.deadline",
        S + "pod_moves.py",
        "unit.mark is None and not is_late(unit, now_s):",
        "unit.mark is None:",
        (ISOLATION,),
    ),
    Mutant(
        "what was learned before an isolation is believed after it",
        "6.isolated",
        S + "pod_owner.py",
        "self._on_answered(row, Phase.INITIALIZED, now_s)",
        "self._on_answered(row, Phase.READY, now_s)",
        (ISOLATION,),
    ),
    Mutant(
        "what fits nowhere goes back to an isolated host",
        "6.isolated",
        S + "placing.py",
        "before is not None and not before.isolated and not self",
        "before is not None and not self",
        (PLACES,),
    ),
    Mutant(
        "what fits nowhere goes back to an isolated pod",
        "6.isolated",
        S + "placing.py",
        "not before.isolated and not self.pods.is_isolated(before.pod):",
        "not before.isolated:",
        (PLACES,),
    ),
    # places
    Mutant(
        "where a move has been is said of the next unit",
        "S7.refused S8.all",
        S + "zone_log.py",
        "event.tried = came.tried if came is not None and came.ticket == unit.ticket else ()",
        "event.tried = came.tried if came is not None else ()",
        (PLACES,),
    ),
    Mutant(
        "where a move has been is shut to the next unit",
        "S7.refused",
        S + "placing.py",
        "tried = set(came.tried) if came is not None and came.ticket == unit.ticket else set()",
        "tried = set(came.tried) if came is not None else set()",
        (PLACES,),
    ),
    Mutant(
        "a place is kept for what stands somewhere",
        "4.capacity",
        S + "who_is_where.py",
        '        if standing.kind == "host" or key in self._reserved:',
        '        if standing.kind == "host":',
        (PLACES,),
    ),
    Mutant(
        "what was refused in one life counts in the next",
        "S7.refused",
        S + "row.py",
        "        self.retries = self.refusals = 0\n        self.queue",
        "        self.retries = 0\n        self.queue",
        ("tests/unit/test_supervision_refusals_of_a_life.py",),
    ),
    # units whose bodies are not kept
    Mutant(
        "what steers is only known by its body",
        "4.policies 4.cancel",
        S + "outbox.py",
        "ticket not in self.steering), None)",
        "not (ticket in self.bodies and ticket in self.steering)), None)",
        (UNKEPT, "tests/property/test_marks.py"),
    ),
    Mutant(
        "what is no unit supersedes by an amend",
        "4.door S11",
        S + "dispatch.py",
        '                if valid and (unit.spec or {}).get("order")',
        '                if (unit.spec or {}).get("order")',
        (UNKEPT,),
    ),
    Mutant(
        "an amend is forgotten when its body is read again",
        "4.policies S11",
        S + "dispatch.py",
        "self._supersede_by_policy(self.queues[key], self.bodies[ticket], now_s)",
        "self._supersede_by_policy(self.queues[key], pending, now_s)",
        (UNKEPT,),
    ),
)
