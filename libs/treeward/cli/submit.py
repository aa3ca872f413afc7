"""`treeward submit`: one unit from the command line, or many from a file."""

import os
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from treeward.bus.interface import Bus, BusError, Receipt
from treeward.cli.connection import connected, run, sentence_of
from treeward.cli.lines import line_of
from treeward.cli.options import Json, Server
from treeward.cli.outcomes import Outcomes
from treeward.cli.output import (
    FINE,
    NO,
    UNAVAILABLE,
    CommandError,
    console,
    error_console,
    fail,
    say,
    say_json,
    table,
)  # fmt: skip
from treeward.cli.pipeline import Draft, Pipeline
from treeward.cli.prepare import Prepared, address_of, deadline_of, json_argument, labels_of, prepare, read_lines
from treeward.schemas import subjects
from treeward.schemas.events import EventType
from treeward.schemas.specs import OnFailure
from treeward.schemas.units import Order

_TRACE = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


def command(
    address: Annotated[str | None, typer.Argument(metavar="ZONE.KIND.ID", show_default=False)] = None,
    operation: Annotated[str | None, typer.Argument(metavar="OPERATION", show_default=False)] = None,
    spec: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="what the operation needs")] = None,
    on_failure: Annotated[OnFailure | None, typer.Option(help="what becomes of it if its process crashes")] = None,
    attempts_max: Annotated[int | None, typer.Option(metavar="N", help="lives in which it may be tried")] = None,
    deadline: Annotated[str | None, typer.Option(metavar="RFC3339|+30s", help="bounds the start")] = None,
    order: Annotated[Order | None, typer.Option(help="`supersede` what has not started")] = None,
    after: Annotated[
        list[int] | None, typer.Option(metavar="TICKET", help="wait until it is settled; repeatable")
    ] = None,
    ticket: Annotated[int | None, typer.Option(metavar="TICKET", help="cancel and retry: the unit they mean")] = None,
    reason: Annotated[str | None, typer.Option(help="goes on record with it")] = None,
    tenant: Annotated[str | None, typer.Option(help="on whose behalf")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="repeatable")] = None,
    message_id: Annotated[str | None, typer.Option("--id", help="makes a repeat harmless (within 2 minutes)")] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE|-", help="many units, JSON lines, instead of one")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="wait for the outcome; exit 1 if it is not completed")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="how long --wait waits")] = 60.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Submit a unit of work and print its ticket.

    With --file, each line is a unit with its address: {"address": "zone-a.vm.web-1", "operation": "create"}.
    Everything is checked before anything is sent.
    """
    fields: dict[str, Any] = {
        "on_failure": on_failure, "attempts_max": attempts_max, "order": order, "after": after or None,
        "ticket": ticket, "reason": reason, "tenant": tenant,
    }  # fmt: skip
    fields = {name: value for name, value in fields.items() if value is not None}
    try:
        if file is not None:
            if address or operation or fields or spec or deadline or label:
                raise CommandError("--file has everything in its lines; leave address, operation and their options out")
            run(_submit_file(server, _read(file, message_id), wait=wait, timeout_s=timeout, as_json=as_json))
        if address is None or operation is None:
            raise CommandError("say what to do: treeward submit ZONE.KIND.ID OPERATION, or --file")
        now = datetime.now(UTC)
        fields = {"operation": operation, **fields}
        if spec is not None:
            fields["spec"] = json_argument(spec, "--spec")
        if deadline is not None:
            fields["deadline"] = deadline_of(deadline, now)
        if label:
            fields["labels"] = labels_of(label)
        unit = prepare(address_of(address), fields, now=now, message_id=message_id)
    except CommandError as error:
        fail(error)
    run(submit_one(server, unit, wait=wait, timeout_s=timeout, as_json=as_json))


def _read(file: Path, id_prefix: str | None) -> list[Prepared]:
    try:
        body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: cannot be read ({error.strerror})") from None
    return read_lines("standard input" if str(file) == "-" else str(file), body.splitlines(), id_prefix=id_prefix)


def _headers() -> dict[str, str] | None:
    """The caller's trace, as other programs hand it down."""
    trace = os.environ.get("TRACEPARENT", "")
    return {"traceparent": trace} if _TRACE.fullmatch(trace) else None


async def submit_one(server: str | None, unit: Prepared, *, wait: bool, timeout_s: float, as_json: bool) -> int:
    """Connect, submit one unit, print its ticket or (with `wait`) its outcome, and return the exit code."""
    async with connected(server) as bus:
        return await submit_prepared(bus, unit, wait=wait, timeout_s=timeout_s, as_json=as_json)


async def submit_prepared(bus: Bus, unit: Prepared, *, wait: bool, timeout_s: float, as_json: bool) -> int:
    """The same on a connection that is there."""
    zone, key = unit.address.zone, unit.address.key
    outcomes = Outcomes(bus)
    if wait:
        # A repeat under an id may have been answered long ago, so its log is read from the beginning.
        await outcomes.follow(zone, key=key, since=1 if unit.message_id else None)
    receipt = await bus.submit(
        subjects.work(zone, key), unit.body, headers=_headers(), message_id=unit.message_id, timeout_s=10.0
    )
    answer = {"zone": zone, "ticket": receipt.ticket, "duplicate": receipt.duplicate}
    if not wait:
        if as_json:
            say_json(answer)
        else:
            typer.echo(receipt.ticket)
        return FINE
    event = await outcomes.answer_of(zone, receipt.ticket, timeout_s=timeout_s)
    await outcomes.close()
    if event is None:
        where = f"`treeward explain {zone}:{receipt.ticket}` says why"
        raise CommandError(f"ticket {receipt.ticket} has no outcome after {timeout_s:g} s; {where}", NO)
    if as_json:
        say_json({**answer, "outcome": event.type, "event": event.model_dump(mode="json")})
    else:
        console().print(line_of(event, None))
    return FINE if event.type is EventType.COMPLETED else NO


async def _submit_file(
    server: str | None, units: list[Prepared], *, wait: bool, timeout_s: float, as_json: bool
) -> int:
    async with connected(server) as bus:
        outcomes = Outcomes(bus)
        if wait:
            for zone in sorted({unit.address.zone for unit in units}):
                await outcomes.follow(zone)
        tickets, problems = await _send_all(bus, units)
        if not as_json:
            say(f"{len(tickets)} of {len(units)} units accepted")
        for sentence in sorted(problems)[:10]:
            say(f"error: {sentence}")
        if not wait:
            if as_json:
                say_json({"accepted": len(tickets), "refused": dict(problems)})
            return _exit(problems)
        events = await outcomes.answers_of(tickets, quiet_s=timeout_s)
        await outcomes.close()
    counts = Counter("unanswered" if event is None else str(event.type) for event in events)
    if as_json:
        say_json({"accepted": len(tickets), "refused": dict(problems), "outcomes": dict(counts)})
    else:
        shown = table("outcome", "units>")
        for outcome, count in counts.most_common():
            shown.add_row(outcome, str(count))
        console().print(shown)
    return _exit(problems) or (FINE if set(counts) <= {"completed"} else NO)


def _exit(problems: Counter[str]) -> int:
    if not problems:
        return FINE
    return UNAVAILABLE if any("no receipt" in sentence for sentence in problems) else NO


async def _send_all(bus: Bus, units: list[Prepared]) -> tuple[list[tuple[str, int]], Counter[str]]:
    """Submit in order; the tickets, and the errors with how often each."""
    from rich.progress import Progress

    tickets: list[tuple[str, int]] = []
    problems: Counter[str] = Counter()
    with Progress(console=error_console(), transient=True) as progress:
        bar = progress.add_task("submitting", total=len(units))

        def done(draft: Draft, result: Receipt | BusError) -> None:
            progress.advance(bar)
            if isinstance(result, Receipt):
                tickets.append((draft.zone, result.ticket))
            else:
                problems[str(sentence_of(result))] += 1

        headers = _headers()
        async with Pipeline(bus, done) as pipeline:
            for unit in units:
                await pipeline.send(Draft(unit.address.zone, unit.address.key, unit.body, unit.message_id, headers))
    return tickets, problems
