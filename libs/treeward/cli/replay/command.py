"""`treeward replay openb`: the command around it."""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from treeward.bus.interface import Bus
from treeward.cli.apply import apply_topology
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server
from treeward.cli.output import (
    FINE,
    NO,
    UNAVAILABLE,
    CommandError,
    clean,
    console,
    error_console,
    fail,
    say,
    say_json,
    table,
)
from treeward.cli.replay import invent as inventing
from treeward.cli.replay import plot as plotting
from treeward.cli.replay.books import DeviceBooks, read_device_books
from treeward.cli.replay.run import Progress, Replay
from treeward.cli.replay.schedule import Schedule, build_schedule
from treeward.cli.replay.trace import Trace, read_trace
from treeward.cli.replay.unanswered import tell_unanswered
from treeward.cli.replay.verdict import Verdict, decide_verdict
from treeward.runtime.books import BooksError, read_books

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Replay a recorded workload and judge the result."""


@app.command()
def openb(
    nodes: Annotated[Path, typer.Option(metavar="CSV", help="the cluster's nodes")],
    workloads: Annotated[Path, typer.Option(metavar="CSV", help="its workloads")],
    nodes_max: Annotated[int | None, typer.Option(min=1, metavar="N", help="that many, every n-th of the file")] = None,
    workloads_max: Annotated[int | None, typer.Option(min=1, metavar="N", help="the first N")] = None,
    speed: Annotated[
        float | None, typer.Option(min=0.001, metavar="FACTOR", help="seconds of the trace in one second")
    ] = None,
    as_fast_as_possible: Annotated[bool, typer.Option("--as-fast-as-possible", help="the default")] = False,
    zones: Annotated[int, typer.Option(min=1, max=1000, metavar="N")] = 2,
    pods_per_zone: Annotated[int, typer.Option(min=1, max=1000, metavar="N")] = 2,
    device: Annotated[str | None, typer.Option(metavar="ADDRESS", help="device of the pods made")] = None,
    device_data: Annotated[
        list[Path] | None, typer.Option(metavar="SQLITE", help="the simulator's books, to judge by; repeatable")
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="JSON", help="write the judgement there")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="SVG|PNG", help="draw load, queue and utilisation")] = None,
    patience: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="give up when nothing is answered")] = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Replay openb's workloads as VMs, and judge the result by the device's books.

    Nodes become hosts, dealt to zones and pods; each workload is a VM that is created and destroyed when the trace
    says so. Exit 1 if a ticket stays unanswered, or anything took effect twice, out of order or where no room was.
    """
    try:
        if speed is not None and as_fast_as_possible:
            raise CommandError("--speed and --as-fast-as-possible: say one of them")
        if plot is not None:
            plotting.check_path(plot)
        trace = read_trace(nodes, workloads, nodes_max=nodes_max, workloads_max=workloads_max)
        schedule = build_schedule(
            trace, zones=zones, pods_per_zone=pods_per_zone, run=secrets.token_hex(6), device=device
        )
    except CommandError as error:
        fail(error)
    _announce(trace, schedule)
    run(_replay(server, trace, schedule, speed, device_data or [], report, plot, patience_s=patience, as_json=as_json))


@app.command()
def invent(
    directory: Annotated[Path, typer.Argument(metavar="DIRECTORY")],
    nodes: Annotated[int, typer.Option(min=1)] = 24,
    workloads: Annotated[int, typer.Option(min=1)] = 400,
    seed: Annotated[int, typer.Option()] = 1,
) -> None:
    """Write two files in openb's format with invented numbers, to try a replay with."""
    try:
        paths = inventing.write(directory, nodes=nodes, workloads=workloads, seed=seed)
    except OSError as error:
        fail(CommandError(f"{directory}: cannot be written ({error.strerror})"))
    for path in paths:
        typer.echo(path)


def _announce(trace: Trace, schedule: Schedule) -> None:
    say(f"{len(trace.nodes)} hosts, {len(trace.workloads)} VMs, {schedule.count} units in {len(schedule.units)} zones")
    for note, count in sorted(trace.notes.items()):
        say(f"{count} {note}")
    if schedule.impossible:
        names = ", ".join(workload.name for workload in schedule.impossible[:5])
        say(f"{len(schedule.impossible)} are larger than every host and will be cancelled: {names} ...")


async def _replay(
    server: str | None,
    trace: Trace,
    schedule: Schedule,
    speed: float | None,
    device_data: list[Path],
    report: Path | None,
    plot: Path | None,
    *,
    patience_s: float,
    as_json: bool,
) -> int:
    async with connected(server) as bus:
        read_device_books(device_data, schedule.units)  # whether they can be read, before anything is submitted
        applied = await apply_topology(bus, schedule.topology)
        if not applied.fine:
            raise CommandError("the hosts of the trace could not be made; `treeward apply` shows such things", NO)
        with _progress(schedule.count) as progress:
            replay = Replay(bus, schedule, speed, patience_s, progress)
            await replay.run()
        if replay.records.open:
            await tell_unanswered(bus, replay.records)
        verdict, device = await _judge(bus, replay, device_data)
    summary = _summary(trace, schedule, replay, verdict, judged=device is not None)
    _tell(verdict, replay, as_json=as_json, summary=summary)
    if report is not None:
        _write(report, summary)
    if plot is not None:
        timeline = plotting.Timeline(replay.begun_s, schedule.begins_s, speed)
        plotting.draw(plot, replay.records, device, timeline)
    return FINE if verdict.fine else NO


async def _judge(bus: Bus, replay: Replay, device_data: list[Path]) -> tuple[Verdict, DeviceBooks | None]:
    try:
        books = await read_books(bus, replay.schedule.units, device_data)
    except BooksError as error:
        raise CommandError(f"cannot be judged: {error}", UNAVAILABLE) from None
    device = read_device_books(device_data, replay.schedule.units) if device_data else None
    zones = set(replay.schedule.units)
    calls = [call for call in books.calls if call.zone in zones]
    resources = [resource for resource in books.resources if resource.zone in zones]
    books = replace(books, calls=calls, resources=resources)
    return decide_verdict(replay.records, books, device), device


def _summary(trace: Trace, schedule: Schedule, replay: Replay, verdict: Verdict, *, judged: bool) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(replay.begun_s)),
        "hosts": len(trace.nodes),
        "workloads": len(trace.workloads),
        "zones": len(schedule.units),
        "units": len(replay.records.units),
        "notes": dict(trace.notes),
        "larger_than_every_host": [workload.name for workload in schedule.impossible],
        "creates_cancelled_at_the_end": replay.cancelled_waiting,
        "judged_by_the_device": judged,
        **verdict.by_name(),
    }


def _write(path: Path, summary: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--report {path}: cannot be written ({error.strerror})") from None


def _tell(verdict: Verdict, replay: Replay, *, as_json: bool, summary: dict[str, Any]) -> None:
    if as_json:
        say_json(summary)
        return
    out = console()
    shown = table("action", "outcome", "units>")
    for action, counts in verdict.outcomes.items():
        for outcome, count in counts.most_common():
            shown.add_row(action, outcome, str(count))
    out.print(shown)
    shown = table("seconds", "action", "p50>", "p99>", "max>", "units>")
    for name, figures in (("submit to first call", verdict.queue_s), ("submit to outcome", verdict.completion_s)):
        for action, row in figures.items():
            shown.add_row(name, action, *(f"{row[key]:.3f}" for key in ("p50", "p99", "max")), str(row["count"]))
    out.print(shown)
    shown = table("must be 0", "count>")
    for name, count in verdict.violations.items():
        shown.add_row(name.replace("_", " "), str(count), style="bold red" if count else None)
    out.print(shown)
    typer.echo(f"{replay.records.answered} answered in {verdict.seconds:.1f} s, {verdict.units_per_s:.0f} units/s")
    if replay.cancelled_waiting:
        typer.echo(f"{replay.cancelled_waiting} creates found no room to the end and were cancelled")
    if not summary["judged_by_the_device"]:
        say("not judged by the device's books: name them with --device-data")
    for violation in verdict.found[:10]:
        about = f"{violation.zone}.{violation.key} #{violation.ticket or '-'}"
        say(f"{violation.rule.value}: {about} {clean(violation.what)}")
    for error in sorted({unit.error for unit in replay.records.units if unit.error})[:5]:
        say(f"not accepted: {clean(error)}")


@contextlib.contextmanager
def _progress(units: int) -> Iterator[Progress]:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=error_console(), transient=True) as bars:
        sent = bars.add_task("submitted", total=units)
        answered = bars.add_task("answered", total=units)

        def told(sent_units: int, answered_units: int) -> None:
            bars.update(sent, completed=sent_units)
            bars.update(answered, completed=answered_units)

        yield told
