"""`treeward queued`: every unit of a zone that has no outcome yet, by resource."""

from typing import Annotated

import typer

from treeward.cli.ask import ask_pages, zone_and_key
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server, Timeout
from treeward.cli.output import FINE, CommandError, clean, console, fail, say, say_json, table
from treeward.schemas.api.parts import RESOURCES_IN_ANSWER_MAX
from treeward.schemas.api.queued import QueuedAnswer, QueuedRequest, ResourceQueue

UNITS_SHOWN_MAX = 5


def command(
    which: Annotated[str, typer.Argument(metavar="ZONE|ZONE.KIND.ID")],
    timeout: Timeout = 5.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """What has no outcome yet: tickets by resource, in order."""
    try:
        zone, key = zone_and_key(which)
    except CommandError as error:
        fail(error)
    run(
        _queued(server, zone, QueuedRequest(key=key, limit=RESOURCES_IN_ANSWER_MAX), timeout_s=timeout, as_json=as_json)
    )


async def _queued(server: str | None, zone: str, question: QueuedRequest, *, timeout_s: float, as_json: bool) -> int:
    found: list[ResourceQueue] = []
    async with connected(server) as bus:
        async for page in ask_pages(bus, "queued", zone, question, QueuedAnswer, timeout_s=timeout_s):
            found += page.resources
    if as_json:
        for queue in found:
            say_json({"zone": zone, **queue.model_dump(mode="json")})
        return FINE
    say(f"{page.units_in_all} units of zone {zone} have no outcome")
    shown = table("resource", "pod", "units>", "first of them")
    for queue in found:
        units = [f"#{unit.ticket} {unit.operation} ({unit.mark or unit.stage})" for unit in queue.units]
        more = ", ..." if queue.units_in_all > UNITS_SHOWN_MAX else ""
        first = ", ".join(units[:UNITS_SHOWN_MAX]) + more
        shown.add_row(clean(f"{queue.kind}.{queue.id}"), clean(queue.pod or "-"), str(queue.units_in_all), clean(first))
    if found:
        console().print(shown)
    return FINE
