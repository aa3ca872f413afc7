"""The rules that rows are for: PROTOCOL's table of what breaks without each, and DESIGN sections 3 to 6, line by line.

Each rule has rows, or says why no line can be taken out for it. A row names its rules by their ids.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tests.mutants.table import Mutant


class Rule(NamedTuple):
    """One sentence that must hold; `none`: why it has no row."""

    id: str
    says: str
    none: str = ""


PROTOCOL = (
    Rule("S1.placed", "`placed` begins a life"),
    Rule("S1.crashed", "`crashed` begins a life, and what was sent to the one before is void"),
    Rule("S2.owner", "an address has one owner: its pod's, or else its zone's"),
    Rule("S2.queue", "what leaves takes its mailbox with it"),
    Rule("S2.removed", "`removed` only if the device has answered nothing beyond, and nothing is in hand"),
    Rule("S3.last", "back at the zone, what was answered is known"),
    Rule("S3.gone", "no row is made for an address that has left, and no mark is taken for it"),
    Rule("S3.epoch", "a message is for one owner's epoch"),
    Rule("S3.mark", "a mark stays once it has arrived"),
    Rule("S4", "what lies below WORK's beginning counts as taken"),
    Rule("S5", "a refusal is remembered like what was applied"),
    Rule("S6.device", "the device's memory speaks before a mark"),
    Rule("S6.life", "what was called is answered by the device, or in a later life that it has accepted"),
    Rule("S7.ticket", "the last ticket of `handed_off` is used"),
    Rule("S7.called", "nothing is handed off in the life that called it, or before its device is fenced"),
    Rule("S7.place", "what moves has a place, says so, and is taken off its old device before it is let go (ADR 8)"),
    Rule("S7.refused", "what a new device refuses to make goes elsewhere, not at once, and with pauses (ADR 15)"),
    Rule("S8.answered", "an owner reads the last event before it says anything"),
    Rule("S8.fresh", "what is fetched is at least as new as what its sender had read"),
    Rule("S8.all", "each event says all that holds for its resource"),
    Rule("S9.ttl", "no event but `forgotten` has a TTL"),
    Rule("S9.work", "forgotten only when WORK begins above what was answered"),
    Rule("S11", "steering is acted on when it is read, and answered in its turn"),
    Rule("S12", "credit: what is not answered for long takes no room from others"),
    Rule("R3.life", "sent to a life only after the log was read up to its beginning (table 5: to E before sending)"),
    Rule("R3.newest", "an older event undoes nothing"),
    Rule("R4.gap", "a gap waits"),
    Rule("R4.duplicate", "what is answered or taken is not taken again"),
    Rule("R4.life", "a message is for one life"),
    Rule("R2.commit", "an outcome is committed before the next unit is taken"),
    Rule("T1.purge", "WORK is purged only where all is answered, and never beyond its history"),
    Rule("T5.order", "WORK is read after the end of the log was asked for and the claims are known"),
    Rule("T5.gap", "a reader that has lost something begins anew"),
    Rule("guard", "an owner's appends are refused once it is replaced, and it stops"),
    Rule("guard.claims", "a claim expects the one before it"),
    Rule("fence", "the device takes no lower life, nor an equal one of another owner"),
    Rule("busy", "a life does not rise under a call"),
    Rule("older", "the device refuses an older ticket"),
    Rule("memory", "the device answers its last ticket from memory, which outlives the object"),
    Rule("H10", "what is replaced while the bucket is read is read from the log"),
    Rule("H15", "what existed is made again where it arrives, once"),
    Rule("H16", "one event of a resource on its way at a time"),
    Rule("S13.memory", "a device that says so remembers its last W tickets, each with its outcome, beyond the object"),
    Rule("S13.uncommitted", "a call ahead makes the device forget nothing that is not stored: at most W"),
    Rule("S13.stop", "what is answered without a call is stored before anything is called"),
    Rule("S13.carries", "all W tickets go with what is handed off, until each is answered"),
    Rule("S13.removed", "nothing is called past what gives its address back"),
    Rule("S13.order", "appends of a resource are stored in their order, or not at all"),
    Rule(
        "S3.standstill",
        "a life begins at `removed` instead of S3",
        "another rule instead of this one, not a line: nothing here begins a life at `removed`",
    ),
)

DESIGN = (
    Rule("3.2.step", "check and act are one step at the device: no other request of that address comes in between"),
    Rule(
        "3.3.writer", "every outcome has one writer behind one guard", "no line: no other program may append; `guard`"
    ),
    Rule(
        "4.who",
        "a parent claims for its children; nobody for itself, but root's owner",
        "no line: only `claim_pod`, root's `_claim` and, for root itself, `_claim_root` append claims",
    ),
    Rule(
        "4.rights",
        "who may write what",
        "data, not a line: tests/integration/test_credentials_table.py tries each denial against a server",
    ),
    Rule("4.same", "the same message id is the same unit", "the server's work: tests/integration/test_bus_contract.py"),
    Rule(
        "4.two",
        "an operation on two resources checks the other in the same step",
        "the device's own step: tests/e2e/test_shared_resources.py tries it with the simulator",
    ),
    Rule("3.4.again", "what is not answered is sent again"),
    Rule("3.5.idle", "only a row that is idle is forgotten"),
    Rule("3.6", "an owner in doubt gives up"),
    Rule("3.told", "two owners that acted at once are counted and told; what is said to be done is stored"),
    Rule("4.never", "claims of zones and pods never expire"),
    Rule("4.suspicion", "silence, a lost connection or a missing epoch is suspected, a reconnect is not"),
    Rule("4.itself", "who slept suspects itself first (section 6)"),
    Rule("4.epoch", "an owner that does not act in its epoch is replaced, and has time to begin"),
    Rule("4.claims", "an older claim changes nothing"),
    Rule("4.adopt", "healthy pods are adopted"),
    Rule("4.orphan", "a pod that no instance can take is claimed by its zone supervisor"),
    Rule("4.fold", "only allocation waits for the fold of who is where"),
    Rule("4.capacity", "a place is given away once"),
    Rule("4.handed_off", "what was handed off is placed, whatever the unit"),
    Rule("4.door", "what is no unit is rejected at the door"),
    Rule("4.deadline", "a deadline bounds the start"),
    Rule("4.attempts", "`on_failure` and `attempts_max` end a unit after its crashes"),
    Rule("4.after", "`after` waits until its tickets are settled"),
    Rule("4.cancel", "a mark names a unit of the same resource, and the first stays"),
    Rule("4.pause", "nothing is sent from behind a pause, also of the pod or zone"),
    Rule("4.branch", "what holds for a zone is in its claim"),
    Rule("4.policies", "policies are found, kept and taken over (section 6, ADR 10)"),
    Rule("5.window", "a mailbox is bounded by window and credit"),
    Rule("6.crash", "a process that fails ends, and with a host's process those on it"),
    Rule("6.silent", "a request that is not answered is not waited for without end"),
    Rule("6.verdict", "an event says what may have begun"),
    Rule("6.rate", "restarts come at the rate of their domain (ADR 10)"),
    Rule("6.suspects", "when most fail at once nobody is blamed (ADR 10)"),
    Rule("6.quarantine", "what nobody can help stays quarantined until it is released"),
    Rule("6.isolated", "behind what is isolated nobody knows, and nothing goes on there"),
    Rule("6.drain", "who leaves takes nothing more, and ends what is in hand"),
    Rule("6.appeal", "a zone most of whose pods are beyond help asks root, once (ADR 12)"),
    Rule("4.apart", "members of a group are not where one of them does not allow it"),
    Rule("7.drift", "nothing is said of what others changed while a unit could explain it (ADR 11)"),
    Rule("7.gone", "what is accepted to be gone is gone at its device first (ADR 11)"),
    Rule("7.restore", "a restoration is asked for once, and void once anything was answered (ADR 11)"),
    Rule("6.clock", "a clock that is set does not stop time-outs"),
)

RULES = (*PROTOCOL, *DESIGN)


def rows_of(rule: Rule, mutants: Iterable[Mutant]) -> list[str]:
    """The names of the rows for a rule, in their order."""
    return [mutant.name for mutant in mutants if rule.id in mutant.rule.split()]
