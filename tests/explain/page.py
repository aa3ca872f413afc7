"""docs/explain.md, made of what the services say: each reason with the sentence that tells it."""

import re

from tests.explain.reasons import reasons

HEAD = """# Reasons to wait

Every reason for which a unit may wait, and the words in which it is told.

`treeward explain ZONE:TICKET` says why a unit is not answered yet, `treeward explain ZONE.KIND.ID` why its resource
stands where it stands: of the first unit that waits. The answer fits a screen. It names what is ahead, who holds it
and with which `--reason`, the process and the instance that supervises it, what is left of its restarts, since when,
and what has to happen next. The same is in `--json` and in the answer of [`tw.api.explain`](api.md) as fields:

| field | says |
| --- | --- |
| `waits_for` | one word for programs, as below |
| `since` | since when it waits for that |
| `next`, `next_at` | what has to happen before it goes on; when, if anybody knows |
| `behind` | the unanswered tickets before it |
| `steered` | the pauses and drains that hold it: of what, which ticket, since when, why and by whom |
| `state`, `unit` | the process, its place and its life; the unit, its attempts and its deadline |
| `owner` | the supervisor that answers for it, and whether it is heard |
| `budget` | crashes within the period and how many are allowed, the place in the line of its pod, and the pod's rate |
| `help` | which supervisors above it have asked theirs for help, why, and when they are claimed anew or quarantined |
| `owner_says`, `silent` | what its owner has in hand; who did not answer |

If nothing waits, `explain` says what is there: of a pod or zone (`root.zone.ZONE`) also who owns it, since when and
why, whether that instance is heard, and what its supervisor does if it is not.

Each row below was brought about by the services themselves in virtual time, and asked both ways; the page is made of
the answers (`python -m tests.explain > docs/explain.md`), and a test compares them, up to numbers.

| reason | what is said of it | `waits_for` | `next` |
| --- | --- | --- | --- |
"""
TAIL = """
Not in the table, since only unit tests bring them about: a link to a device that is down, and a zone supervisor that is
still reading who is where.
"""


def page() -> str:
    """The whole page."""
    rows = []
    for each in reasons():
        answer = each.bring_about().by_ticket
        then = answer.next or "-"
        rows.append(f"| {each.title} | {each.sentence(answer)} | `{answer.waits_for.value}` | {then} |\n")
    return HEAD + "".join(rows) + TAIL


def masked(text: str) -> str:
    """Without numbers: by how much something had progressed may change with any change of the services."""
    return re.sub(r"\d+(\.\d+)?", "N", text)
