"""The safety lines of those who decide for others: dispatchers, supervisors, and who gives away places."""

from tests.mutants.table import CHILDREN, DISPATCH_UNIT, GUARDS, D, Mutant, R, S

DISPATCH = "tests/property/test_fold_dispatch.py"
PLACEMENT = "tests/property/test_placement.py"

DECIDING = (
    # the dispatcher (R3, table 5)
    Mutant(
        "sent before it is known where to",
        "R3.life",
        S + "outbox.py",
        "        if queue.position < 0 or not queue.tickets:\n",
        "        if not queue.tickets:\n",
        (DISPATCH_UNIT, DISPATCH),
    ),
    Mutant(
        "no previous",
        "R4.gap",
        S + "outbox.py",
        "previous = queue.tickets[queue.sent - 1] if queue.sent else 0\n",
        "previous = 0\n",
        (DISPATCH_UNIT, DISPATCH),
    ),
    Mutant(
        "a dispatcher's fetch may be old",
        "R3.life S8.fresh",
        S + "dispatch.py",
        "Fetch(key, self.log_read_up_to)",
        "Fetch(key, 0)",
        (DISPATCH_UNIT, DISPATCH),
    ),
    Mutant(
        "an older event undoes a newer",
        "R3.newest",
        S + "dispatch.py",
        "        if position <= queue.position:\n            return\n",
        "",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "a claim changes nothing",
        "3.4.again",
        S + "dispatch.py",
        "            self.pod_epochs[event.id] = position\n",
        "            self.pod_epochs.setdefault(event.id, position)\n",
        (DISPATCH_UNIT, DISPATCH),
    ),
    Mutant(
        "a second pause moves the hold",
        "S11 4.pause",
        S + "resource_queue.py",
        "min(self.pause_ticket, ticket) if self.paused else ticket",
        "max(self.pause_ticket, ticket)",
        (DISPATCH_UNIT,),
    ),
    Mutant(
        "purge beyond what is answered",
        "T1.purge",
        D,
        "below = min(below, history.last + 1 if history is not None else 0)",
        "below += 1",
        (GUARDS,),
    ),
    Mutant(
        "purge beyond the history",
        "T1.purge",
        D,
        "below = min(below, history.last + 1 if history is not None else 0)",
        "pass",
        (GUARDS,),
    ),
    # supervision
    Mutant(
        "a supervisor never suspects",
        "4.suspicion",
        S + "children.py",
        "            and now_s - instance.seen_s <= self.limits.suspicion_s\n",
        "",
        (CHILDREN,),
    ),
    Mutant(
        "no suspicion of oneself",
        "4.itself",
        S + "children.py",
        "if before_s is not None and now_s - before_s > self.limits.suspicion_s / 2:",
        "if False:",
        (CHILDREN,),
    ),
    Mutant(
        "no epoch grace",
        "4.epoch",
        S + "children.py",
        "> max(grace_s, self.limits.epoch_grace_s)",
        "> 0.0",
        (CHILDREN,),
    ),
    Mutant(
        "an older claim counts",
        "4.claims",
        S + "children.py",
        "if known is None or epoch > known.epoch:",
        "if True:",
        (CHILDREN,),
    ),
    Mutant(
        "a clock may go back",
        "6.clock",
        R + "clock.py",
        "self._now_s = max(self._clock.now_s(), self._now_s + SLOWEST * (monotonic_s - self._monotonic_s))",
        "self._now_s = self._clock.now_s()",
        ("tests/property/test_clock.py",),
    ),
    # placement
    Mutant(
        "a full host is taken",
        "4.capacity",
        S + "placement.py",
        "return not host.closed and need.demand.fits(host.free) and (",
        "return not host.closed and (",
        (PLACEMENT,),
    ),
    Mutant("room is not given back", "4.capacity", S + "places.py", "        self._use(place, -1)\n", "", (PLACEMENT,)),
)
