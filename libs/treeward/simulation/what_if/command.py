"""`treeward what-if lose`: what would come of a loss, by the services' own decisions on a copy of the live state."""

import asyncio
import time
from dataclasses import fields
from typing import Annotated, Any

import typer

from treeward.cli.ask import ask
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server, Timeout
from treeward.cli.output import BAD_INPUT, FINE, UNAVAILABLE, CommandError, clean, say, say_json
from treeward.schemas.address import ROOT, is_token
from treeward.schemas.api.tree import TreeAnswer, TreeRequest
from treeward.simulation.what_if.live import read_live
from treeward.simulation.what_if.losses import UnknownLossError
from treeward.simulation.what_if.predict import CALL_S, HORIZON_S, predict
from treeward.supervision.limits import DEFAULTS, Limits

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _what_if() -> None:
    """Look ahead without changing anything."""


@app.command()
def lose(
    which: Annotated[str, typer.Argument(metavar="ZONE|ZONE.pod.ID|ZONE.host.ID|ZONE:INSTANCE")],
    horizon: Annotated[float, typer.Option(min=1.0, metavar="SECONDS", help="how far to look ahead")] = HORIZON_S,
    call_s: Annotated[
        float, typer.Option("--call", min=0.001, metavar="SECONDS", help="how long device calls take")
    ] = CALL_S,
    reported: Annotated[
        bool, typer.Option("--reported", help="the servers say at once that it is gone: a crash, not a power cut")
    ] = False,
    timeout: Timeout = 5.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """What would crash, move, wait and fail, and for how long, if this were lost now. Changes nothing.

    The services' own code runs on a copy of the live state, in virtual time, with the settings of the live ones.
    """
    run(_lose(server, which, horizon_s=horizon, call_s=call_s, reported=reported, timeout_s=timeout, as_json=as_json))


def zone_and_name(which: str) -> tuple[str, str]:
    """`zone-a` > its own name; `zone-a.pod.a1`; `zone-a:pod-agent-1-7f`; raises CommandError."""
    zone, colon, instance = which.partition(":")
    if colon and is_token(zone) and is_token(instance):
        return zone, instance
    zone, _, key = which.partition(".")
    if colon or not is_token(zone) or zone == ROOT or (key and key.partition(".")[0] not in ("pod", "host")):
        raise CommandError(f"{which!r}: must be a zone, ZONE.pod.ID, ZONE.host.ID or ZONE:INSTANCE", BAD_INPUT)
    return zone, f"{zone}.{key}" if key else zone


async def _lose(
    server: str | None,
    which: str,
    *,
    horizon_s: float,
    call_s: float,
    reported: bool,
    timeout_s: float,
    as_json: bool,
) -> int:
    zone, name = zone_and_name(which)
    async with connected(server) as bus:
        try:
            tree = await ask(bus, "tree", zone, TreeRequest(), TreeAnswer, timeout_s=timeout_s)
            limits = limits_in(tree)
        except CommandError as error:
            if error.code != UNAVAILABLE:
                raise
            say("no orchestrator answers: the default settings are taken for those of the services")
            limits = DEFAULTS
        live = await read_live(bus, zone, limits, time.time)
    try:
        prediction = await asyncio.to_thread(predict, live, name, horizon_s=horizon_s, call_s=call_s, reported=reported)
    except UnknownLossError as error:
        raise CommandError(str(error)) from None
    if as_json:
        say_json(prediction.as_json())
        return FINE
    for sentence in prediction.sentences():
        typer.echo(clean(sentence))
    return FINE


def limits_in(tree: TreeAnswer) -> Limits:
    """The limits that the orchestrators say they have; what this version does not know is left out."""
    known: dict[str, Any] = {}
    for each in fields(Limits):
        if each.name in tree.limits:
            value = tree.limits[each.name]
            known[each.name] = int(value) if isinstance(each.default, int) else value
    return Limits(**known)
