"""The end of the demo: what the books say, as a table, as JSON, and as an exit code."""

from typing import TYPE_CHECKING, Any

from treeward.cli.output import clean, table
from treeward.runtime.judge import Judgement, Rule

if TYPE_CHECKING:
    from rich.console import Console

VIOLATIONS_SHOWN_MAX = 20

MUST_BE_ZERO = {
    Rule.ANSWERED_TWICE: ("answered more than once", "LOG"),
    Rule.UNANSWERED: ("unanswered", "LOG, WORK_HISTORY"),
    Rule.ANSWERED_UNKNOWN: ("answered for what was not submitted", "LOG, WORK_HISTORY"),
    Rule.ORDER: ("order violations of a resource", "LOG, journal"),
    Rule.DOUBLED_EFFECT: ("doubled effects", "journal"),
    Rule.OVERLAP: ("overlapping calls of a resource", "journal"),
    Rule.EFFECT_WITHOUT_COMPLETED: ("effects of units not completed", "LOG, journal"),
    Rule.COMPLETED_WITHOUT_EFFECT: ("completed without effect", "LOG, journal"),
    Rule.DANGLING: ("dangling (device and log differ)", "LOG, resources"),
}
"""What each figure is called, and from which books it was counted."""


def show(out: "Console", judgement: Judgement) -> None:
    """The table, and the offending rows if there are any."""
    shown = table("", "figure>", "counted from")
    shown.add_row("units submitted", str(judgement.submitted), "WORK_HISTORY")
    for outcome, count in sorted(judgement.outcomes.items()):
        shown.add_row(f"  {outcome}", str(count), "LOG")
    shown.add_row("device calls that began", str(judgement.calls), "journal")
    shown.add_row("  took effect", str(judgement.effects), "journal")
    shown.add_row("repeated calls answered from memory", str(judgement.remembered), "journal")
    shown.add_row("requests refused as stale", str(judgement.stale), "journal")
    shown.add_row("resources that exist", str(judgement.resources), "resources")
    shown.add_section()
    for rule, (name, books) in MUST_BE_ZERO.items():
        count = judgement.count(rule)
        shown.add_row(name, f"{count}{'' if count == 0 else '  MUST BE 0'}", books, style="bold red" if count else None)
    out.print(shown)
    for takeover in judgement.takeovers:
        ready = "" if takeover.ready_after_s is None else f", first process Ready after {takeover.ready_after_s:.2f} s"
        out.print(
            f"takeover of {takeover.branch} at {takeover.epoch}: {takeover.owner_before} -> {takeover.owner}"
            f" ({clean(takeover.reason or 'no reason given')}){ready}"
        )
    for violation in judgement.violations[:VIOLATIONS_SHOWN_MAX]:
        ticket = "" if violation.ticket is None else f" #{violation.ticket}"
        out.print(f"{violation.rule}: {violation.zone}.{violation.key}{ticket} {clean(violation.what)}", style="red")
    more = len(judgement.violations) - VIOLATIONS_SHOWN_MAX
    if more > 0:
        out.print(f"and {more} more", style="red")


def as_json(judgement: Judgement, *, seed: int, duration_s: float, kill: dict[str, Any]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "ok": not judgement.violations,
        "seed": seed,
        "duration_s": round(duration_s, 3),
        "submitted": judgement.submitted,
        "outcomes": judgement.outcomes,
        "calls": judgement.calls,
        "effects": judgement.effects,
        "remembered": judgement.remembered,
        "stale": judgement.stale,
        "resources": judgement.resources,
        "must_be_zero": {rule.value: judgement.count(rule) for rule in MUST_BE_ZERO},
        "takeovers": [takeover._asdict() for takeover in judgement.takeovers],
        "violations": [violation._asdict() for violation in judgement.violations],
        "kill": kill,
    }
