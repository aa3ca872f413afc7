"""`treeward apply`: makes what a topology file names, and changes what differs."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from treeward.bus.interface import Bus, BusError, Receipt
from treeward.cli.connection import connected, run, sentence_of
from treeward.cli.existing import definitions
from treeward.cli.options import Json, Server
from treeward.cli.outcomes import Outcomes
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
from treeward.cli.pipeline import Draft, Pipeline
from treeward.cli.topology_file import read_topology
from treeward.cli.topology_plan import Step, plan_zone, plan_zones
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.events import EventType
from treeward.schemas.topology import Topology

POLL_S = 0.1


class Done(NamedTuple):
    """A step and what came of it: an outcome, `unanswered`, or `refused`."""

    step: Step
    ticket: int | None
    result: str
    reason: str | None


class Report(NamedTuple):
    """What applying a topology came to."""

    done: list[Done]
    unchanged: int
    differences: list[str]

    @property
    def fine(self) -> bool:
        """Whether everything is as the file says."""
        return not self.differences and all(row.result == EventType.COMPLETED for row in self.done)


def command(
    file: Annotated[Path, typer.Argument(metavar="TOPOLOGY.yaml")],
    prune: Annotated[bool, typer.Option("--prune", help="destroy pods and hosts that the file does not name")] = False,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="give up when nothing is answered")] = 60.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Create the zones, pods and hosts of a topology file, and resize hosts that differ.

    Only what is new or changed is submitted. Zones that the file does not name are left alone. Exit 1 if a unit is
    not completed, or if something differs that no operation can change.
    """
    try:
        topology = read_topology(file)
    except CommandError as error:
        fail(error)
    run(_apply(server, topology, prune=prune, quiet_s=timeout, as_json=as_json))


async def _apply(server: str | None, topology: Topology, *, prune: bool, quiet_s: float, as_json: bool) -> int:
    async with connected(server) as bus:
        report = await apply_topology(bus, topology, prune=prune, quiet_s=quiet_s)
    _show(report, as_json=as_json)
    return FINE if report.fine else NO


async def apply_topology(bus: Bus, topology: Topology, *, prune: bool = False, quiet_s: float = 60.0) -> Report:
    """Submit what is new or changed and wait for the outcomes, as long as one comes within `quiet_s` seconds.

    Cancelled, it leaves what was submitted so far; applying again goes on from there.
    """
    outcomes = Outcomes(bus)
    try:
        zones = plan_zones(topology, await definitions(bus, ROOT, ("zone",)))
        done = await _carry_out(bus, outcomes, zones.steps, quiet_s)
        report = Report(done, zones.unchanged, zones.differences)
        failed = {row.step.key for row in done if row.result != EventType.COMPLETED}
        for name, zone in topology.zones.items():
            if f"zone.{name}" in failed:
                continue
            await _wait_for_streams(bus, name, quiet_s)
            plan = plan_zone(name, zone, await definitions(bus, name, ("pod", "host")), prune=prune)
            for steps in (plan.steps, plan.last):
                done += await _carry_out(bus, outcomes, steps, quiet_s)
            report.differences.extend(plan.differences)
            report = report._replace(unchanged=report.unchanged + plan.unchanged)
    finally:
        await outcomes.close()
    return report


async def _wait_for_streams(bus: Bus, zone: str, quiet_s: float) -> None:
    """A zone can be worked with when the last of its streams is there."""
    try:
        async with asyncio.timeout(quiet_s):
            while await bus.state(streams.state(zone)) is None:
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        text = f"zone {zone} is defined, but its streams are not there after {quiet_s:g} s; is an orchestrator running?"
        raise CommandError(text, UNAVAILABLE) from None


async def _carry_out(bus: Bus, outcomes: Outcomes, steps: Sequence[Step], quiet_s: float) -> list[Done]:
    from rich.progress import Progress

    if not steps:
        return []
    zone = steps[0].zone
    await outcomes.follow(zone)
    tickets: dict[str, int] = {}
    refused: dict[str, str] = {}

    def receive(draft: Draft, result: Receipt | BusError) -> None:
        if isinstance(result, Receipt):
            tickets[draft.key] = result.ticket
        else:
            refused[draft.key] = str(sentence_of(result))

    with Progress(console=error_console(), transient=True) as progress:
        bar = progress.add_task(f"zone {zone}", total=len(steps))
        async with Pipeline(bus, receive) as pipeline:
            for step in steps:
                if step.after is not None:
                    await pipeline.receipts_of(zone, step.after)
                await pipeline.send(Draft(zone, step.key, _body(step, tickets)))
        for step in steps:
            if step.key in tickets:
                await outcomes.answers_of([(zone, tickets[step.key])], quiet_s=quiet_s)
            progress.advance(bar)
    rows = []
    for step in steps:
        ticket = tickets.get(step.key)
        if ticket is None:
            rows.append(Done(step, None, "refused", refused[step.key]))
            continue
        event = outcomes.answers[zone].get(ticket)
        rows.append(
            Done(step, ticket, "unanswered" if event is None else event.type, None if event is None else event.reason)
        )
    return rows


def _body(step: Step, tickets: dict[str, int]) -> bytes:
    unit: dict[str, object] = {"operation": step.operation, "reason": f"apply: {step.why}"}
    if step.spec is not None:
        unit["spec"] = step.spec
    if step.after is not None and step.after in tickets:
        unit["after"] = [tickets[step.after]]
    return json.dumps(unit).encode()


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        for row in report.done:
            step = row.step
            say_json(
                {
                    "address": f"{step.zone}.{step.key}", "operation": step.operation, "why": step.why,
                    "ticket": row.ticket, "result": row.result, "reason": row.reason,
                }
            )  # fmt: skip
        say_json({"submitted": len(report.done), "unchanged": report.unchanged, "differences": report.differences})
        return
    if report.done:
        shown = table("address", "operation", "why", "ticket>", "result", "reason")
        for row in report.done:
            step = row.step
            address = f"{step.zone}.{step.key}"
            shown.add_row(
                address, step.operation, step.why, str(row.ticket or "-"), row.result, clean(row.reason or "")
            )
        console().print(shown)
    for difference in report.differences:
        say(f"differs: {clean(difference)}")
    typer.echo(f"{len(report.done)} submitted, {report.unchanged} unchanged, {len(report.differences)} differ")
