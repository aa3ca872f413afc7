"""The safety lines of dispatchers and of what they read: what is held, marked, bounded, sent again, and purged."""

from tests.mutants.table import DISPATCH_UNIT, GUARDS, RECORD_UNIT, D, Mutant, R, S

HELD = "tests/unit/test_supervision_held.py"
AMENDED = "tests/unit/test_supervision_amended.py"
PAUSE = "tests/unit/test_supervision_pause.py"
WHAT_IS_READ = "tests/scenarios/test_what_is_read.py"
STEERING = "tests/scenarios/test_zone_steering.py"
LOW_WATER = "tests/property/test_low_water.py"
BUS_READER = "tests/integration/test_bus_reader.py::test_"
REPLACED = "tests/integration/test_bus_appender.py::test_a_replaced_owner_is_refused_and_nothing_of_it_is_stored"
DRAFTS = "tests/unit/test_drafts.py"
READER = "libs/treeward/bus/reader.py"
SHIPMENT = "libs/treeward/bus/shipment.py"
ROOT_OWNER = "services/orchestrator/treeward/orchestrator/root.py"
ROOT_STREAMS = "services/orchestrator/treeward/orchestrator/zone_streams.py"
ZONE_STREAMS = "tests/scenarios/test_zone_streams.py::"
ZONE_OWNER = "services/zone-supervisor/treeward/zone_supervisor/zone.py"
EXEC = "services/device-guard/treeward/device_guard/adapters/exec.py"
GUARD_TESTS = "tests/integration/test_device_guard.py::"
ENDED_WAITING = GUARD_TESTS + "test_a_run_that_is_ended_while_it_waits_for_its_turn_starts_no_program"
ENDED_STARTING = GUARD_TESTS + "test_a_run_that_is_ended_while_its_program_starts_is_not_told_what_to_do"
LEFT_RUNNING = GUARD_TESTS + "test_what_a_killed_guard_left_running_is_over_before_the_next_life_is_accepted"

SENDING = (
    # what is held
    Mutant(
        "what is behind a pause is sent",
        "4.pause S11",
        S + "outbox.py",
        "if self.zone_paused or (queue.paused and ticket > queue.pause_ticket):",
        "if self.zone_paused:",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "what is in a paused pod is sent",
        "4.pause",
        S + "outbox.py",
        "return branch.position < 0 or (branch.paused and ticket > branch.pause_ticket)",
        "return branch.position < 0",
        (HELD,),
    ),
    Mutant(
        "it is sent before its pod's pause is known",
        "4.pause R3.life",
        S + "outbox.py",
        "return branch.position < 0 or (branch.paused and ticket > branch.pause_ticket)",
        "return branch.paused and ticket > branch.pause_ticket",
        (PAUSE,),
    ),
    Mutant(
        "a zone's claim does not hold it",
        "4.branch 4.pause",
        S + "dispatch.py",
        "            self.hold_zone(event.paused, now_s)\n",
        "",
        (STEERING,),
    ),
    Mutant(
        "what is in a paused zone is sent",
        "4.branch 4.pause",
        S + "outbox.py",
        "if self.zone_paused or (queue.paused and ticket > queue.pause_ticket):",
        "if queue.paused and ticket > queue.pause_ticket:",
        (STEERING,),
    ),
    Mutant(
        "a zone that is resumed stays held",
        "4.branch 4.pause",
        S + "dispatch.py",
        "        resumed, self.zone_paused = self.zone_paused and not paused, paused\n",
        "        resumed, self.zone_paused = False, paused\n",
        (STEERING,),
    ),
    Mutant(
        "a drained zone is open",
        "4.branch",
        ZONE_OWNER,
        "        self.owner.pods.zone_closed = claim.event.draining\n",
        "",
        (STEERING,),
    ),
    Mutant(
        "what is drained is open",
        "4.branch",
        S + "pod_book.py",
        "        if self.zone_closed:\n            return []\n",
        "",
        ("tests/unit/test_supervision_unplaced.py", STEERING),
    ),
    Mutant(
        "a claim that is out of date stays",
        "4.branch",
        ROOT_OWNER,
        '            branch.renew = "it was paused, drained, resumed or configured" if changed else None\n',
        "            branch.renew = None\n",
        (STEERING,),
    ),
    Mutant(
        "a claim does not say what holds",
        "4.branch S8.all",
        ROOT_OWNER,
        "            **said,\n",
        "",
        (STEERING,),
    ),
    # mailboxes that are lost
    Mutant(
        "a mailbox made anew is taken for the old one",
        "3.4.again",
        D,
        "anew = state.last < last or created_s not in (None, state.created_s)",
        "anew = state.last < last",
        (ZONE_STREAMS + "test_an_owner_of_root_that_was_replaced_and_makes_mailboxes_anew_harms_nobody",),
    ),
    Mutant(
        "a mailbox is made anew though the log has no leader either",
        "3.4.again",
        ROOT_STREAMS,
        "if not await can_claim(self.context, zone):",
        "if False:",
        (ZONE_STREAMS + "test_a_mailbox_is_left_alone_while_the_log_has_no_leader_either",),
    ),
    Mutant(
        "a mailbox without leader stays so",
        "3.4.again",
        ROOT_STREAMS,
        "                    await self._make_anew(zone)\n",
        "                    return\n",
        (ZONE_STREAMS + "test_a_mailbox_without_leader_is_made_anew_once_the_patience_is_over",),
    ),
    Mutant(
        "nobody waits for `after`",
        "4.after",
        S + "outbox.py",
        "        if open_after is None:\n            return False\n",
        "        if True:\n            return False\n",
        (DISPATCH_UNIT,),
    ),
    # marks
    Mutant(
        "a mark hits another's unit",
        "4.cancel",
        S + "outbox.py",
        "if known or self.unanswered.get(ticket) != queue.key:",
        "if known:",
        (DISPATCH_UNIT, HELD),
    ),
    Mutant(
        "a later mark wins",
        "4.cancel",
        S + "outbox.py",
        "known = ticket in self.marks or self._superseded_by(queue, ticket) is not None",
        "known = False",
        (HELD,),
    ),
    Mutant(
        "a deadline marks nothing",
        "4.deadline",
        S + "outbox.py",
        "                self._mark(self.queues[key], ticket, mark, now_s)\n",
        "                pass\n",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "policies end it before amends are read",
        "4.deadline 4.attempts",
        S + "outbox.py",
        "            if self.catching_up and pending.is_at_its_end(queue.attempts_ticket, now_s):\n",
        "            if False:\n",
        (AMENDED,),
    ),
    Mutant(
        "a unit is tried without end",
        "4.attempts",
        S + "pending.py",
        "    if attempts == 0 or (not pending.fails and attempts < pending.attempts_max):\n",
        "    if True:\n",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "what is no unit is sent unmarked",
        "4.door",
        S + "dispatch.py",
        "        if pending.problem is not None:\n",
        "        if False:\n",
        (DISPATCH_UNIT,),
    ),
    # bounds, and sending again
    Mutant(
        "a window without bound",
        "5.window",
        S + "outbox.py",
        "window = min(1 if queue.slow else self.limits.window, len(queue.tickets))",
        "window = len(queue.tickets)",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "a credit without bound",
        "5.window S12",
        S + "credit.py",
        "        if used >= self._units_max:\n",
        "        if False:\n",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "what does not answer keeps its credit",
        "S12",
        S + "outbox.py",
        "before, queue.slow = queue.slow, True",
        "before = queue.slow",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "what is lost is not sent again",
        "3.4.again",
        S + "dispatch.py",
        "        self._resend_due(now_s)\n",
        "",
        (DISPATCH_UNIT,),
    ),
    # what is read, and in which order
    Mutant(
        "claims are not waited for",
        "R3.life T5.order",
        D,
        "        while self.fold.log_read_up_to < self.fold.newest_claim and not self._again.is_set():\n",
        "        while False:\n",
        (GUARDS,),
    ),
    Mutant(
        "WORK is read before the end of the log is asked for",
        "T5.order",
        D,
        "        self.fold.log_read_up_to = state.last\n",
        "        self.fold.log_read_up_to = 0\n",
        (WHAT_IS_READ,),
    ),
    Mutant(
        "a reader passes over a gap",
        "T5.gap",
        READER,
        "        if sequence != self._sequence + 1:\n            self._renew()\n            return\n",
        "",
        (BUS_READER + "a_message_lost_on_its_way_is_read_again_when_the_next_one_comes",),
    ),
    Mutant(
        "what has aged out is no gap",
        "T5.gap",
        READER,
        "        return anew or (state.first > self._covered + 1 and not self._purged_is_fine)\n",
        "        return anew\n",
        (BUS_READER + "a_reader_is_told_when_what_it_wanted_next_has_aged_out",),
    ),
    Mutant(
        "what is replaced in the bucket meanwhile is missed",
        "H10",
        ZONE_OWNER,
        "self._folded_up_to + 1, self._on_log, self._on_folded",
        "Start.NEW, self._on_log, self._on_folded",
        (WHAT_IS_READ,),
    ),
    # what is purged
    Mutant(
        "purge by resource takes what is open",
        "T1.purge",
        S + "low_water.py",
        "            if ticket <= up_to and ticket not in unanswered:\n",
        "            if ticket <= up_to:\n",
        (LOW_WATER,),
    ),
    Mutant(
        "purge by resource goes beyond the history",
        "T1.purge",
        S + "low_water.py",
        "            if ticket <= up_to and ticket not in unanswered:\n",
        "            if ticket not in unanswered:\n",
        (GUARDS,),
    ),
    # on the wire
    Mutant(
        "a single message has no guard",
        "guard guard.claims",
        SHIPMENT,
        "            yield self._command(shipment.drafts[0], shipment.first_id, self._guard_lines, reply)\n",
        '            yield self._command(shipment.drafts[0], shipment.first_id, "", reply)\n',
        (REPLACED,),
    ),
    Mutant(
        "a batch has no guard",
        "guard",
        SHIPMENT,
        "                lines += self._guard_lines\n",
        "                pass\n",
        (REPLACED,),
    ),
    Mutant(
        "a refused owner goes on",
        "guard",
        R + "owner_loop.py",
        "            if isinstance(result, Refused):\n",
        "            if isinstance(result, Refused):\n                return\n"
        "            if isinstance(result, Refused):\n",
        (GUARDS,),
    ),
    Mutant(
        "an outcome that ends something has a TTL",
        "S9.ttl",
        R + "codec.py",
        "    if event.type is EventType.FORGOTTEN:",
        "    if event.type is EventType.FORGOTTEN or event.removed:",
        (DRAFTS,),
    ),
    Mutant(
        "claims expire",
        "4.never",
        R + "codec.py",
        "kind in SUPERVISED_KINDS,",
        "kind in (),",
        (DRAFTS,),
    ),
    # the device's record
    Mutant(
        "another owner has the same life",
        "fence",
        R + "device_record.py",
        "        return life == self.high and self.owner is not None and owner != self.owner\n",
        "        return False\n",
        (RECORD_UNIT,),
    ),
    Mutant(
        "the last ticket runs again",
        "memory",
        R + "device_record.py",
        "        if ticket == self.last:\n            return Decision.REMEMBERED\n",
        "",
        (RECORD_UNIT,),
    ),
    Mutant(
        "two calls run side by side",
        "busy",
        R + "device_record.py",
        "        if self.in_progress is not None:\n            return Decision.BUSY\n        return Decision.RUN\n",
        "        return Decision.RUN\n",
        (RECORD_UNIT,),
    ),
    Mutant(
        "the simulator forgets its records when it ends",
        "memory",
        "services/device-simulator/treeward/device_simulator/journal.py",
        "        return world, records\n",
        "        return world, {}\n",
        ("tests/integration/test_device_restart.py::test_an_accepted_life_fences_after_kill_9_as_before",),
    ),
    Mutant(
        "what was ended before its turn is started",
        "6.isolated",
        EXEC,
        "        if errand.run in self._ended:  # while it waited for its turn\n"
        '            return None, b"", ENDED_BEFORE\n',
        "",
        (ENDED_WAITING,),
    ),
    Mutant(
        "what was ended before its turn was never begun",
        "6.isolated",
        EXEC,
        "        if errand.run in self._ended:  # while it waited for its turn\n"
        '            return None, b"", ENDED_BEFORE\n',
        "        if errand.run in self._ended:\n            raise OSError(0, ENDED_BEFORE)\n",
        (ENDED_WAITING,),
    ),
    Mutant(
        "what was ended while it started is told what to do",
        "6.isolated",
        EXEC,
        "            if errand.run in self._ended:\n"
        "                await self._kill(process, errand.run)\n"
        '                return None, b"", ENDED_BEFORE\n',
        "",
        (ENDED_STARTING,),
    ),
    Mutant(
        "the guard forgets its records when it ends",
        "memory",
        "services/device-guard/treeward/device_guard/record_file.py",
        "            records[address] = Kept(address, record, host, bool(existed), state, run)\n",
        "            records[address] = Kept(address, DeviceRecord(), host, bool(existed), state, run)\n",
        ("tests/integration/test_device_guard.py",),
    ),
    Mutant(
        "the guard takes requests side by side",
        "3.2.step",
        "services/device-guard/treeward/device_guard/guard.py",
        "        async with place.turn:\n            place.queued -= 1\n",
        "        if True:\n            place.queued -= 1\n",
        (LEFT_RUNNING,),
    ),
)
