"""One line for a person from an event."""

from typing import TYPE_CHECKING

from treeward.cli.output import clean
from treeward.schemas.events import Event, EventType

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {
    EventType.CLAIMED: "cyan",
    EventType.PLACED: "blue",
    EventType.READY: "dim",
    EventType.CRASHED: "bold red",
    EventType.QUARANTINED: "bold magenta",
    EventType.RELEASED: "cyan",
    EventType.HANDED_OFF: "blue",
    EventType.FORGOTTEN: "dim",
    EventType.DRIFTED: "magenta",
    EventType.COMPLETED: "green",
    EventType.FAILED: "bold red",
    EventType.CANCELLED: "yellow",
    EventType.EXPIRED: "yellow",
    EventType.SUPERSEDED: "yellow",
    EventType.REJECTED: "red",
}


def line_of(event: Event, position: int | None) -> "Text":
    """Time, position, address, what happened, to which unit, where and why."""
    from rich.text import Text

    line = Text()
    line.append(event.at.astimezone().strftime("%H:%M:%S.%f")[:-3], style="dim")
    line.append(f" {'' if position is None else position:>7} ", style="dim")
    line.append(clean(f"{event.zone}.{event.key}"), style="bold")
    line.append(f" {event.type}", style=STYLES.get(event.type, ""))
    if event.ticket is not None:
        line.append(f" #{event.ticket}")
    if event.operation:
        line.append(f" {clean(event.operation)}")
    for name, value in _details(event):
        line.append(f" {name}=", style="dim")
        line.append(clean(value))
    if event.reason:
        line.append(f"  {clean(event.reason)}", style="italic")
    return line


def _details(event: Event) -> list[tuple[str, object]]:
    details: list[tuple[str, object]] = []
    if event.owner:
        details.append(("owner", event.owner))
    if event.host or event.pod:
        details.append(("at", f"{event.pod or '?'}/{event.host or '-'}"))
    if event.verdict:
        details.append(("verdict", event.verdict))
    if event.attempts:
        details.append(("attempts", event.attempts))
    if event.flushed:
        details.append(("flushed", len(event.flushed)))
    if event.removed:
        details.append(("removed", "yes"))
    return details
