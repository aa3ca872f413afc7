"""Tells a failing run to a person: what was there, what was asked and what went wrong, then what happened."""

from dataclasses import asdict

from treeward.simulation.plan import Plan
from treeward.simulation.run import Verdict
from treeward.simulation.trace import Line

ALWAYS = frozenset(
    {
        "VIOLATION",
        "fault",
        "healed",
        "starts",
        "killed",
        "frozen",
        "thawed",
        "crashes",
        "ends",
        "told to stop",
        "refused",
        "purged",
    }
)


def tell(plan: Plan, verdict: Verdict) -> str:
    """The story of one run, as short as what it is about allows."""
    wishes = [wish for wish in plan.wishes if not wish.is_set_up]
    about = {f"{wish.zone}.{wish.key}" for wish in wishes}
    shape = ", ".join(f"{name} {value}" for name, value in asdict(plan.shape).items())
    lines = [f"seed {plan.seed}, faults end at {plan.faults_end_s:g} s; {shape}"]
    lines += [str(fault) for fault in plan.faults]
    lines += [str(wish) for wish in wishes]
    lines.append("")
    lines += [str(line) for line in verdict.trace.details or verdict.trace.lines if _matters(line, about)]
    return "\n".join(lines)


def _matters(line: Line, about: set[str]) -> bool:
    if line.what in ALWAYS:
        return True
    if line.what == "log":
        return any(word in line.words[0] for word in ("owner", "claims", "replaced", "gives", "begins anew", "suspect"))
    text = " ".join(line.words)
    if line.what == "event" and " claimed " in text:
        return True
    return any(address in text or address.replace("zone-", "", 1) in text for address in about) or (
        line.what == "mailbox" and any(address.partition(".")[2] in line.words[0] for address in about)
    )
