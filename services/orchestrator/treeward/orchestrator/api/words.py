"""Small parts of sentences for people."""

from collections.abc import Sequence

TICKETS_SHOWN_MAX = 5


def ago(seconds: float) -> str:
    """`3.2 s ago`, `5 min ago`."""
    return f"{span(seconds)} ago"


def span(seconds: float) -> str:
    """A length of time: `0.3 s`, `12 s`, `5 min`, `3 h`, `2 d`."""
    seconds = max(0.0, seconds)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def tickets(numbers: Sequence[int], count: int | None = None) -> str:
    """`ticket 3`, `tickets 3 and 4`, `tickets 3, 4, 5, 6, 7 and 12 more`; `count`: there are more than are named."""
    count = max(len(numbers), count or 0)
    if count == 1:
        return f"ticket {numbers[0]}"
    if count <= TICKETS_SHOWN_MAX:
        return f"tickets {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"
    shown = ", ".join(map(str, numbers[:TICKETS_SHOWN_MAX]))
    return f"tickets {shown} and {count - TICKETS_SHOWN_MAX} more"


def times(count: int) -> str:
    """`once`, `twice`, `5 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def because(reason: str | None) -> str:
    """A reason as the end of a sentence; nothing if there is none."""
    return f": {reason}" if reason else ""


def capital(text: str) -> str:
    """As the beginning of a sentence."""
    return text[:1].upper() + text[1:]
