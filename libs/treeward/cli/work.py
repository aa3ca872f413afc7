"""`treeward work`: the units that have no outcome yet, and what a person can still do about them.

Cancelling, superseding, changing policies and retrying are units of work like any other: each has a ticket, is on
record with who and why, and needs no orchestrator to be accepted. Only `list` asks one.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import typer

from treeward.bus.interface import Bus
from treeward.cli.ask import ask_pages, zone_and_key, zone_and_ticket
from treeward.cli.connection import connected, run
from treeward.cli.options import By, Json, Server, Timeout
from treeward.cli.output import FINE, NO, CommandError, clean, console, fail, say, say_json, table
from treeward.cli.prepare import deadline_of, json_argument, prepare
from treeward.cli.state import age
from treeward.cli.steering import Asking, Reason, Wait, WaitTimeout
from treeward.cli.submit import submit_prepared
from treeward.schemas import streams, subjects
from treeward.schemas.address import Address
from treeward.schemas.api.parts import RESOURCES_IN_ANSWER_MAX
from treeward.schemas.api.work import WorkAnswer, WorkRequest, WorkState, WorkUnit
from treeward.schemas.specs import OnFailure

app = typer.Typer(no_args_is_help=True)

TicketArgument = Annotated[str, typer.Argument(metavar="ZONE:TICKET")]


# --- list ------------------------------------------------------------------------------------------------------------


@app.command("list")
def list_(
    which: Annotated[str, typer.Argument(metavar="ZONE|ZONE.KIND.ID|ZONE.pod.ID|ZONE.host.ID")],
    state: Annotated[WorkState | None, typer.Option(help="only units in this state")] = None,
    timeout: Timeout = 5.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """The units without an outcome of a zone, pod, host or resource: waiting, running or in doubt, and since when.

    Of a pod or host: those of what is placed there.
    """
    try:
        zone, question = question_of(which, state)
    except CommandError as error:
        fail(error)
    run(_list(server, zone, question, timeout_s=timeout, as_json=as_json))


def question_of(which: str, state: WorkState | None) -> tuple[str, WorkRequest]:
    """What is asked of which zone; raises CommandError."""
    zone, key = zone_and_key(which)
    asked = WorkRequest(state=state, limit=RESOURCES_IN_ANSWER_MAX // 5)
    if key is None:
        return zone, asked
    kind, _, id_ = key.partition(".")
    place = {"pod": "pod", "host": "host"}.get(kind)
    return zone, asked.model_copy(update={place: id_} if place is not None else {"key": key})


async def _list(server: str | None, zone: str, question: WorkRequest, *, timeout_s: float, as_json: bool) -> int:
    found: list[WorkUnit] = []
    async with connected(server) as bus:
        now = datetime.now(UTC)
        async for page in ask_pages(bus, "work", zone, question, WorkAnswer, timeout_s=timeout_s):
            found += page.units
    if as_json:
        for unit in found:
            say_json({"zone": zone, **unit.model_dump(mode="json")})
        return FINE
    say(f"{len(found)} units; {page.units_in_all} of zone {zone} have no outcome")
    for who in page.silent:
        say(f"the {who} did not answer in time: what only it knows is missing")
    if found:
        console().print(_shown(found, now))
    return FINE


def _shown(found: list[WorkUnit], now: datetime) -> Any:
    shown = table("ticket>", "resource", "operation", "state", "since>", "pod/host", "tries>", "asked by")
    for unit in found:
        since_s = (now - unit.since).total_seconds() if unit.since is not None else None
        state = f"{unit.state} ({unit.mark} decided)" if unit.mark else str(unit.state)
        shown.add_row(
            str(unit.ticket),
            clean(f"{unit.kind}.{unit.id}"),
            clean(unit.operation or "?"),
            state,
            age(max(0.0, since_s) if since_s is not None else None),
            clean(f"{unit.pod or '-'}/{unit.host or '-'}"),
            str(unit.attempts),
            clean(unit.reason or unit.tenant or "-"),
        )
    return shown


# --- what can still be done ------------------------------------------------------------------------------------------


@app.command()
def cancel(
    which: TicketArgument,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Cancel a unit, if it has not been started when this is read; else it comes too late, and changes nothing."""
    _about("cancel", which, None, Asking(reason, by, wait, timeout, server, as_json))


@app.command()
def retry(
    which: TicketArgument,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Send a unit again now instead of when its turn to be repeated comes; nothing happens twice by that."""
    _about("retry", which, None, Asking(reason, by, wait, timeout, server, as_json))


@app.command()
def policy(
    which: TicketArgument,
    on_failure: Annotated[OnFailure | None, typer.Option(help="what becomes of it if its process crashes")] = None,
    attempts_max: Annotated[int | None, typer.Option(metavar="N", help="lives in which it may be tried")] = None,
    deadline: Annotated[
        str | None, typer.Option(metavar="RFC3339|+30s|none", help="bounds the start; `none` takes it away")
    ] = None,
    order: Annotated[
        Literal["supersede"] | None, typer.Option(help="it supersedes what has not started before it; no way back")
    ] = None,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Change the policies of a unit that waits: what is not named stays. What is decided already stays decided."""
    spec: dict[str, Any] = {"on_failure": on_failure, "attempts_max": attempts_max, "order": order}
    spec = {name: value for name, value in spec.items() if value is not None}
    try:
        if deadline is not None:
            spec["deadline"] = None if deadline == "none" else deadline_of(deadline, datetime.now(UTC))
        if not spec:
            raise CommandError("say what changes: --on-failure, --attempts-max, --deadline or --order")
    except CommandError as error:
        fail(error)
    _about("amend", which, spec, Asking(reason, by, wait, timeout, server, as_json))


@app.command()
def supersede(
    address: Annotated[str, typer.Argument(metavar="ZONE.KIND.ID")],
    operation: Annotated[str, typer.Argument(metavar="OPERATION")],
    spec: Annotated[str | None, typer.Option(metavar="JSON|@FILE", help="what the operation needs")] = None,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Submit a unit that supersedes everything of its resource that waits and has not been started."""
    try:
        needed = json_argument(spec, "--spec") if spec is not None else None
    except CommandError as error:
        fail(error)
    Asking(reason, by, wait, timeout, server, as_json).submit(address, operation, spec=needed, order="supersede")


def _about(operation: str, which: str, spec: dict[str, Any] | None, asking: Asking) -> None:
    named = zone_and_ticket(which)
    if named is None:
        fail(CommandError(f"{which!r}: must be a ticket of a zone, as ZONE:TICKET"))
    run(_submit_about(*named, asking, asking.fields(operation, ticket=named[1], spec=spec)))


async def _submit_about(zone: str, ticket: int, asking: Asking, fields: dict[str, Any]) -> int:
    async with connected(asking.server) as bus:
        unit = prepare(await _resource_of(bus, zone, ticket), fields, now=datetime.now(UTC))
        return await submit_prepared(bus, unit, wait=asking.wait, timeout_s=asking.timeout_s, as_json=asking.as_json)


async def _resource_of(bus: Bus, zone: str, ticket: int) -> Address:
    """The resource of an unanswered ticket, from WORK itself; raises CommandError."""
    stored = await bus.get(streams.work(zone), ticket)
    if stored is None:
        text = f"ticket {ticket} of zone {zone} does not wait: it was answered, or never accepted"
        raise CommandError(f"{text}; `treeward explain {zone}:{ticket}` tells", NO)
    kind, _, id_ = subjects.parse_work(stored.subject)[1].partition(".")
    return Address(zone, kind, id_)
