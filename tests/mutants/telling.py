"""The lines by which people learn that two owners acted, and what was done of what they asked for."""

from tests.mutants.table import GUARDS, Mutant, R

REFUSED = "tests/integration/test_refused_owners.py"
BRANCHES = "tests/integration/test_branches.py"
STALE_ROOT = "tests/scenarios/test_stale_root.py"
HAND_OFF = "tests/scenarios/test_hand_off_root.py"
SUPERVISOR_ENDS = "tests/scenarios/test_supervisor_ends.py"
ORCHESTRATOR = "services/orchestrator/treeward/orchestrator/"

TELLING = (
    Mutant(
        "a refused append is not counted",
        "3.told",
        R + "owner_telemetry.py",
        "            self._context.metrics.counter(names.APPENDS_REFUSED, self._zone).inc()\n",
        "",
        (GUARDS, REFUSED),
    ),
    Mutant(
        "a refused append does not say of which life",
        "3.told",
        R + "owner_telemetry.py",
        "                **_fields(effect.events[-1]),\n",
        "",
        (GUARDS, REFUSED),
    ),
    Mutant(
        "what a device refuses is not counted",
        "3.told",
        R + "owner_telemetry.py",
        "            self._context.metrics.counter(names.DEVICE_FENCED, self._zone).inc()\n",
        "",
        (GUARDS, REFUSED),
    ),
    Mutant(
        "what a device refuses does not say who won",
        "3.told",
        R + "owner_telemetry.py",
        "                accepted_owner=answer.owner,\n",
        "",
        (GUARDS, REFUSED),
    ),
    Mutant(
        "a refused claim of a zone is not counted",
        "3.told",
        ORCHESTRATOR + "root.py",
        "            self.context.metrics.counter(names.APPENDS_REFUSED, ROOT).inc()\n",
        "            pass\n",
        (STALE_ROOT,),
    ),
    Mutant(
        "who gave up does not say by whom it was replaced",
        "3.told",
        R + "branches.py",
        "            self._given_up[claim.branch] = claim.epoch\n",
        "",
        (BRANCHES, REFUSED),
    ),
    Mutant(
        "who is replaced does not say so",
        "3.told",
        R + "branches.py",
        "        if epoch:  # it owns it still",
        "        if epoch < 0:  # it owns it still",
        (BRANCHES, REFUSED),
    ),
    Mutant(
        "a hand-off of root is done whatever its log says",
        "3.told",
        ORCHESTRATOR + "orchestrator.py",
        "        if isinstance(result, Refused):\n",
        "        if False:\n",
        (HAND_OFF,),
    ),
    Mutant(
        "a hand-off of root is done although nobody knows",
        "3.told",
        ORCHESTRATOR + "orchestrator.py",
        "        if isinstance(result, InDoubt):\n",
        "        if False:\n",
        (HAND_OFF,),
    ),
    Mutant(
        "a supervisor leaves before its pods have ended what they do",
        "6.drain",
        R + "branches.py",
        "            while not all(acting.drained for _, acting in held()):\n",
        "            while not all(acting.drained for _, (_, acting) in owned[0].held.items()):\n",
        (SUPERVISOR_ENDS,),
    ),
)
