"""The safety lines of a device that remembers more than the last ticket (S13)."""

from tests.mutants.table import RECORD, RECORD_UNIT, Mutant, R

SIMULATOR = "services/device-simulator/treeward/device_simulator/"
REMEMBERED = "tests/integration/test_device_table.py::test_it_remembers_as_many_tickets_as_it_was_told"
REMEMBERED_AFTER_KILL = (
    "tests/integration/test_device_restart.py::"
    "test_all_that_was_remembered_survives_kill_9_and_is_never_fewer_than_was_told"
)

REMEMBERING = (
    Mutant(
        "all but the last ticket is forgotten",
        "S13.memory",
        R + "device_record.py",
        "            self.recent = known[max(0, len(known) - (self.remembers - 1)) :]\n",
        "            self.recent = ()\n",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "more tickets are forgotten than was told",
        "S13.memory",
        R + "device_record.py",
        "known[max(0, len(known) - (self.remembers - 1)) :]",
        "known[max(0, len(known) - (self.remembers - 2)) :]",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "a remembered ticket runs again",
        "S13.memory",
        R + "device_record.py",
        "        if any(each.ticket == ticket for each in self.recent):\n            return Decision.REMEMBERED\n"
        "        if ticket < self.last:\n            return Decision.OLDER\n",
        "        if ticket < self.last and all(each.ticket != ticket for each in self.recent):\n"
        "            return Decision.OLDER\n",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "a remembered ticket is taken for an older one",
        "S13.memory",
        R + "device_record.py",
        "        if any(each.ticket == ticket for each in self.recent):\n            return Decision.REMEMBERED\n",
        "",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "a ticket is answered what the oldest remembered one was",
        "S13.memory",
        R + "device_record.py",
        "        return next(each for each in self.recent if each.ticket == ticket)\n",
        "        return self.recent[0]\n",
        (RECORD_UNIT, RECORD),
    ),
    Mutant(
        "the simulator answers every remembered ticket as the last",
        "S13.memory",
        SIMULATOR + "calls.py",
        "                known = record.recall(call.ticket)\n",
        "                known = record.recall(record.last)\n",
        (REMEMBERED,),
    ),
    Mutant(
        "the simulator tells fewer tickets after a restart",
        "S13.memory",
        SIMULATOR + "journal.py",
        "            record.remembers = max(before, remembers)\n",
        "",
        (REMEMBERED_AFTER_KILL,),
    ),
    Mutant(
        "the simulator keeps only the last ticket over a restart",
        "S13.memory",
        SIMULATOR + "journal.py",
        "            record.recent = _RECENT.validate_json(recent)\n",
        "",
        (REMEMBERED_AFTER_KILL,),
    ),
    Mutant(
        "what is remembered goes with the object",
        "S13.memory",
        SIMULATOR + "calls.py",
        "            record.become_answered(applied=status is Status.APPLIED, reason=reason)\n",
        "            record.become_answered(applied=status is Status.APPLIED, reason=reason)\n"
        '            record.recent = () if progress.call.operation == "destroy" else record.recent\n',
        ("tests/integration/test_device_table.py::test_memory_outlives_the_object",),
    ),
    Mutant(
        "a simulated device answers every remembered ticket as the last",
        "S13.memory",
        "libs/treeward/simulation/device.py",
        '                known = record.recall(fields["ticket"])\n',
        "                known = record.recall(record.last)\n",
        ("tests/unit/test_simulated_device_link.py",),
    ),
    Mutant(
        "the judge is blind to what a device forgets",
        "S13.memory",
        "libs/treeward/simulation/judge.py",
        "        self._check_ahead(zone, entry)\n",
        "",
        ("tests/unit/test_simulation_judge.py",),
    ),
)
