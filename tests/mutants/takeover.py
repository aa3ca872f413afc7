"""The safety lines of isolation, of suspicion by report, and of what addresses carry with them when they leave."""

from tests.mutants.table import CHILDREN, GUARDS, POD, POD_UNIT, TAKES, UNPLACED, ZONE_UNIT, Mutant, R, S

ISOLATION = "tests/unit/test_supervision_isolation.py"
TABLE = "tests/integration/test_device_table.py"
CLOSED = "tests/integration/test_closed_connections.py"
CUT_OFF = "tests/scenarios/test_cut_off_supervisor.py"
MOVES = "tests/unit/test_supervision_moves.py"
ENGINE = "services/device-simulator/treeward/device_simulator/engine.py"

TAKEOVER = (
    # isolation (section 6)
    Mutant(
        "what may have begun is tried again",
        "6.isolated",
        S + "isolation.py",
        "    return answer is None or answer.last < unit.ticket <= answer.begun\n",
        "    return False\n",
        (ISOLATION,),
    ),
    Mutant(
        "an old record is believed",
        "6.isolated",
        S + "isolation.py",
        "return answer.high == life",
        "return True",
        (ISOLATION,),
    ),
    Mutant(
        "a unit in doubt is not answered",
        "6.isolated",
        S + "unplaced_step.py",
        "came is not None and came.last_unknown and came.ticket == unit.ticket",
        "False",
        (ISOLATION,),
    ),
    Mutant(
        "a doubt is not said",
        "6.isolated 6.verdict",
        S + "zone_owner.py",
        "            event.verdict = Verdict.MAYBE_STARTED\n",
        "            pass\n",
        (ISOLATION,),
    ),
    Mutant(
        "what was isolated is resumed",
        "6.isolated",
        S + "process_step.py",
        'if unit.operation == "resume" and row.isolated:',
        "if False:",
        (ISOLATION,),
    ),
    Mutant(
        "nobody tells a pod's owner",
        "6.isolated",
        S + "children.py",
        '        if branch.isolate:\n            return Cause.RENEWED, "it was isolated"\n',
        "",
        (ISOLATION,),
    ),
    Mutant(
        "an isolated pod's device is asked",
        "6.isolated",
        S + "pod_owner.py",
        "        elif self.isolated:\n",
        "        elif False:\n",
        (ISOLATION,),
    ),
    Mutant(
        "an isolated host accepts no life",
        "6.isolated",
        ENGINE,
        "        if unreachable is not None and not isolated:\n",
        "        if unreachable is not None:\n",
        (TABLE,),
    ),
    # suspicion by report (section 4)
    Mutant(
        "a reconnect is taken for a death",
        "4.suspicion",
        S + "children.py",
        "(instance.closed_s is None or now_s - instance.closed_s <= self.limits.heartbeat_s)",
        "instance.closed_s is None",
        (CHILDREN,),
    ),
    Mutant(
        "a closed connection is nobody's death",
        "4.suspicion",
        S + "children.py",
        "(instance.closed_s is None or now_s - instance.closed_s <= self.limits.heartbeat_s)",
        "True",
        (CHILDREN,),
    ),
    Mutant(
        "a server's end is everybody's death",
        "4.suspicion",
        R + "codec.py",
        " if report.reason != SERVER_ENDS else None",
        "",
        (CLOSED,),
    ),
    Mutant(
        "who is cut off claims",
        "4.itself",
        R + "child_watch.py",
        "        if not asking.result():\n",
        "        if False:\n",
        (CUT_OFF,),
    ),
    Mutant(
        "who asks takes itself to be away",
        "4.itself",
        R + "child_watch.py",
        "await asyncio.wait({asking}, timeout=context.limits.heartbeat_s)",
        "await asyncio.wait({asking})",
        (CUT_OFF,),
    ),
    Mutant(
        "who is cut off claims root",
        "4.itself",
        "services/orchestrator/treeward/orchestrator/orchestrator.py",
        "            if await can_claim(self.context, ROOT):\n",
        "            if True:\n",
        (CUT_OFF,),
    ),
    Mutant(
        "a pod that nobody can take stays nobody's",
        "4.orphan",
        S + "children.py",
        "        return self.last_resort if now_s - branch.orphaned_since_s >= self.limits.orphan_s else None\n",
        "        return None\n",
        (CHILDREN,),
    ),
    Mutant(
        "what may have been called flees",
        "S7.called",
        S + "row.py",
        "self.untouched = event.type is EventType.PLACED and self.life == position and not event.existed",
        "self.untouched = True",
        (POD_UNIT,),
    ),
    Mutant(
        "what has crashed flees",
        "S7.called",
        S + "row.py",
        "        self.ready_said = self.untouched = False\n",
        "        self.ready_said = False\n",
        (TAKES,),
    ),
    # what PROTOCOL's table of breakages names beside the rows above
    Mutant(
        "`placed` begins no life",
        "S1.placed",
        S + "knowledge.py",
        "if event.type in (EventType.PLACED, EventType.CRASHED):",
        "if event.type is EventType.CRASHED:",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "a zone forgets what was answered",
        "S3.last",
        S + "waiting_units.py",
        "        self.answered = event.answered\n",
        "        self.answered = 0\n",
        (ZONE_UNIT, UNPLACED),
    ),
    Mutant(
        "`removed` although more was answered",
        "S2.removed",
        S + "pod_log.py",
        "removed = not row.exists and row.device_last <= ticket",
        "removed = not row.exists",
        (TAKES, POD_UNIT, POD),
    ),
    Mutant(
        "the ticket of `handed_off` is not used",
        "S7.ticket",
        S + "unplaced_step.py",
        "came is not None and came.last is not None and came.last.ticket == unit.ticket",
        "False",
        (UNPLACED, MOVES),
    ),
    Mutant(
        "two events of a resource in flight",
        "H16",
        R + "owner_loop.py",
        "        if key in self._uncommitted:\n            self._uncommitted[key].append(effect)\n            return\n",
        "        if key in self._uncommitted:\n            self._send_append(key, effect)\n            return\n",
        (GUARDS,),
    ),
    Mutant(
        "the device forgets with the object",
        "memory",
        "libs/treeward/simulation/device.py",
        '        if operation == "destroy":\n            del self.things[key]\n',
        '        if operation == "destroy":\n            del self.things[key]\n'
        "            self.records[key] = DeviceRecord()\n",
        (GUARDS,),
    ),
)
