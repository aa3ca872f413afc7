"""`treeward explain`: why a unit or a resource stands where it stands."""

from typing import Annotated

import typer

from treeward.cli.ask import ask, zone_and_key, zone_and_ticket
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server, Timeout
from treeward.cli.output import FINE, CommandError, clean, fail, say_json
from treeward.schemas.api.explain import ExplainAnswer, ExplainRequest


def question_of(which: str, zone: str | None) -> tuple[str, ExplainRequest]:
    """What is asked of which zone; raises CommandError."""
    named = zone_and_ticket(f"{zone}:{which}" if zone is not None and which.isdigit() else which)
    if named is not None:
        return named[0], ExplainRequest(ticket=named[1])
    if which.isdigit():
        raise CommandError(f"ticket {which}: a ticket is of one zone; say ZONE:{which}, or --zone")
    asked, key = zone_and_key(which)
    if key is None:
        raise CommandError(f"{which!r}: must be an address <zone>.<kind>.<id>, or a ticket as ZONE:TICKET")
    return asked, ExplainRequest(key=key)


def command(
    which: Annotated[str, typer.Argument(metavar="ZONE.KIND.ID|ZONE:TICKET")],
    zone: Annotated[str | None, typer.Option(help="with a bare ticket: its zone")] = None,
    timeout: Timeout = 5.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Why a unit (by its ticket) or a resource waits, in sentences."""
    try:
        asked, question = question_of(which, zone)
    except CommandError as error:
        fail(error)
    run(_explain(server, asked, question, timeout_s=timeout, as_json=as_json))


async def _explain(server: str | None, zone: str, question: ExplainRequest, *, timeout_s: float, as_json: bool) -> int:
    async with connected(server) as bus:
        answer = await ask(bus, "explain", zone, question, ExplainAnswer, timeout_s=timeout_s)
    if as_json:
        say_json(answer.model_dump(mode="json"))
        return FINE
    for sentence in answer.sentences:
        typer.echo(clean(sentence))
    return FINE
