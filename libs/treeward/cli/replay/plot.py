"""Draws a replay: what was asked for and what ran, what waited for room, and how full the hosts were."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from treeward.cli.output import CommandError
from treeward.cli.replay.books import DeviceBooks
from treeward.cli.replay.records import Records
from treeward.cli.replay.verdict import first_calls

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = (".svg", ".png", ".pdf")
CPU, MEMORY, GPU = 0, 1, 2

Steps = list[tuple[float, float]]
"""(time, value from then on)"""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Wall time as the time that the plot shows: of the trace where it was paced, else since the beginning."""

    begun_s: float
    trace_begins_s: float
    speed: float | None

    def at(self, wall_s: float) -> float:
        """Seconds on the x axis."""
        elapsed_s = wall_s - self.begun_s
        return elapsed_s if self.speed is None else self.trace_begins_s + elapsed_s * self.speed

    @property
    def label(self) -> str:
        """What the x axis is."""
        return "seconds since the beginning" if self.speed is None else "seconds of the trace"


def check_path(path: Path) -> None:
    """Raises CommandError if nothing can be drawn into such a file."""
    if path.suffix not in FORMATS:
        raise CommandError(f"--plot {path}: must end with {', '.join(FORMATS)}")
    if find_spec("matplotlib") is None:
        raise CommandError("--plot needs matplotlib: pip install 'treeward[plot]'")


def accumulate(changes: Iterable[tuple[float, float]]) -> Steps:
    """The running sum of (time, difference), in order of time."""
    total = 0.0
    steps: Steps = []
    for at_s, difference in sorted(changes):
        total += difference
        steps.append((at_s, total))
    return steps


def submitted(records: Records) -> Steps:
    """VMs asked for and not yet asked to go."""
    return accumulate(
        (unit.sent_s, 1 if unit.action == "create" else -1) for unit in records.units if unit.ticket is not None
    )


def running(books: DeviceBooks) -> Steps:
    """VMs that the device has."""
    differences = {"create": 1, "destroy": -1}
    return accumulate(
        (call.ended_s or call.started_s, differences[call.operation])
        for call in books.calls
        if call.effect and call.operation in differences and call.key.startswith("vm.")
    )


def waiting(records: Records, books: DeviceBooks) -> Steps:
    """Creates that were submitted and not yet called, nor answered without a call."""
    first = first_calls(books)
    changes = []
    for name, unit in records.by_ticket.items():
        if unit.action != "create":
            continue
        changes.append((unit.sent_s, 1.0))
        if name in first:
            changes.append((max(first[name].started_s, unit.sent_s), -1.0))
        elif unit.answer is not None:
            changes.append((max(unit.answer.stored_s, unit.sent_s), -1.0))
    return accumulate(changes)


def utilisation(books: DeviceBooks, size: int) -> Steps:
    """The part of all hosts' capacity that is taken, from 0 to 1, where there is any."""
    have = taken = 0
    steps: Steps = []
    for change in sorted(books.changes, key=lambda change: change.at_s):
        if change.is_capacity:
            have += change.sizes[size]
        else:
            taken += change.sizes[size]
        if have > 0:
            steps.append((change.at_s, taken / have))
    return steps


def draw(path: Path, records: Records, books: DeviceBooks | None, timeline: Timeline) -> None:
    """Write the plot; raises CommandError if the file cannot be written."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "treeward"  # the same run draws the same file
    from matplotlib import pyplot as plt

    figure, (load, queue, use) = plt.subplots(3, 1, figsize=(10, 9), sharex=True, layout="constrained")
    _steps(load, submitted(records), timeline, "submitted")
    load.set_ylabel("VMs")
    load.set_title("load")
    queue.set_ylabel("creates")
    queue.set_title("creates that wait")
    use.set_ylabel("taken of all hosts")
    use.set_title("utilisation")
    use.set_xlabel(timeline.label)
    if books is not None:
        _steps(load, running(books), timeline, "running")
        _steps(queue, waiting(records, books), timeline, "waiting")
        for name, size in (("cpu", CPU), ("memory", MEMORY), ("gpu", GPU)):
            _steps(use, utilisation(books, size), timeline, name)
        use.set_ylim(0, 1.05)
    for axes in (load, use):
        if axes.get_lines():
            axes.legend()
    use.set_xlim(left=timeline.at(timeline.begun_s))
    try:
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise CommandError(f"--plot {path}: cannot be written ({error.strerror})") from None
    finally:
        plt.close(figure)


def _steps(axes: "Axes", steps: Steps, timeline: Timeline, label: str) -> None:
    if not steps:
        return
    # What was there before the replay began is drawn from its beginning on.
    times = [timeline.at(max(at_s, timeline.begun_s)) for at_s, _ in steps]
    axes.step(times, [value for _, value in steps], where="post", label=label, linewidth=1.2)
