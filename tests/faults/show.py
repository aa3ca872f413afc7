"""The report of a run as tables."""

from collections import Counter

from rich.console import Console
from rich.table import Table
from tests.faults.recovery import percentiles
from tests.faults.run import Report


def show(report: Report, console: Console) -> None:
    """Faults, units, recovery, promises; then every violation."""
    judgement = report.judgement
    struck = Counter(fault.planned.kind.value for fault in report.injected if fault.target is not None)
    missed = Counter(fault.planned.kind.value for fault in report.injected if fault.target is None)
    faults = _table("fault", "injected>", "nobody to strike>")
    for kind in sorted(struck | missed):
        faults.add_row(kind, str(struck[kind]), str(missed[kind] or ""))
    faults.add_row("all", str(struck.total()), str(missed.total() or ""), style="bold")
    console.print(faults)

    units = _table("units", ">")
    for name, count in (
        ("submitted", judgement.submitted), ("receipts of clients", report.receipts),
        ("handed in more than once", report.resubmitted), *sorted(judgement.outcomes.items()),
        ("calls that the device began", judgement.calls), ("effects", judgement.effects),
        ("answered from the device's memory", judgement.remembered),
        ("stale requests that the device refused", judgement.stale), ("takeovers", len(judgement.takeovers)),
        ("releases of quarantined resources", report.released),
    ):  # fmt: skip
        units.add_row(name, str(count))
    console.print(units)

    recovery = _table(
        "recovery after", "resources>", "p50 s>", "p99 s>", "highest s>", "no completed unit>", "in a call>"
    )
    for kind, each in report.recovery.items():
        found = percentiles(each.waited_s)
        figures = ["-"] * 3 if found is None else [f"{value:.2f}" for value in found]
        left_out = (str(each.uncompleted or ""), str(each.at_device or ""))
        recovery.add_row(kind.value, str(len(each.waited_s)), *figures, *left_out)
    console.print(recovery)

    promises = _table("promise", "broken>")
    for promise, count in report.promises.items():
        promises.add_row(promise, str(count), style="bold red" if count else "green")
    console.print(promises)
    for broken in report.broken[:20]:
        console.print(f"{broken.rule}: {broken.zone}.{broken.key} ticket {broken.ticket}: {broken.what}", style="red")
    for at_s, name, code in report.ended:
        console.print(f"{name} ended by itself with code {code} at {at_s:.3f}", style="red")
    console.print(f"seed {report.seed}, {report.lasted_s:.0f} s; settled {report.settled_s:.1f} s after the last fault")


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        if column.endswith(">"):
            table.add_column(column.removesuffix(">"), justify="right")
        else:
            table.add_column(column, no_wrap=True)  # a name is told whole, whatever is narrow
    return table
