"""`treeward pause|resume|release|drain|isolate`, which is work like any other, and `hand-off` of root, which is not.

What names a resource becomes a unit of work with a ticket, on record with its reason. An instance is no resource: it is
asked directly, and so is the owner of root.
"""

import json
from typing import Annotated

import typer

from treeward.bus.interface import Bus
from treeward.cli.connection import connected, run
from treeward.cli.options import By, Json, Server
from treeward.cli.output import BAD_INPUT, FINE, NO, UNAVAILABLE, CommandError, fail, say_json
from treeward.cli.steering import AddressArgument, Asking, Reason, Wait, WaitTimeout
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, is_token

CONTROL_S = 5.0


def pause(
    address: AddressArgument,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Hold what comes behind this for a resource, or for all in a pod, until `resume`.

    A whole zone is paused as root.zone.ID: nothing of it is sent any more. Of a host it holds units on the host itself
    (its resize, its destroy); what is placed there goes on: pause that, or the pod. `treeward explain` tells who did it
    and why.
    """
    Asking(reason, by, wait, timeout, server, as_json).submit(address, "pause")


def resume(
    address: AddressArgument,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let a paused resource, pod or zone (root.zone.ID) go on; of a host, pod or zone it also ends a drain."""
    Asking(reason, by, wait, timeout, server, as_json).submit(address, "resume")


def release(
    address: AddressArgument,
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Let a quarantined resource or pod (ZONE.pod.ID) out: its process is tried again. Zones are never quarantined."""
    Asking(reason, by, wait, timeout, server, as_json).submit(address, "release")


def drain(
    target: Annotated[str, typer.Argument(metavar="ZONE.host.ID|ZONE.pod.ID|root.zone.ID|INSTANCE")],
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Empty a host or pod: nothing new is placed there, what is there moves. Or let an instance hand over and end.

    In a zone (root.zone.ID) nothing new is placed either; what is there stays and works, since it has nowhere to go.
    """
    if is_token(target):
        run(_tell(server, target, "drain", as_json=as_json))
    Asking(reason, by, wait, timeout, server, as_json).submit(target, "drain")


def isolate(
    address: Annotated[str, typer.Argument(metavar="ZONE.host.ID|ZONE.pod.ID")],
    reason: Annotated[str, typer.Option(help="how you know, or why; goes on record with it")],
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Give up what cannot be reached: what was there goes on elsewhere, and a unit in doubt there is `failed`.

    A host is fenced by its device. Of a pod it is your word that counts: nothing of its device acts any more (its power
    is off), and it stays off until it has been emptied. Nobody can check that, and there is no way back by `resume`.
    """
    Asking(reason, by, wait, timeout, server, as_json).submit(address, "isolate")


def hand_off(
    branch: Annotated[str, typer.Argument(metavar="root")], server: Server = None, as_json: Json = False
) -> None:
    """Let the owner of root claim it for another orchestrator: nothing crashes."""
    if branch != ROOT:
        fail(
            CommandError(
                f"{branch!r}: only root is handed off; for a pod or zone, drain the instance that owns it", BAD_INPUT
            )
        )
    run(_hand_off_root(server, as_json=as_json))


async def _hand_off_root(server: str | None, *, as_json: bool) -> int:
    async with connected(server) as bus:
        last = await bus.last(streams.log(ROOT), subjects.claim_of_zone(ROOT))
        event = codec.event_of(last.data) if last is not None else None
        if event is None or event.owner is None:
            raise CommandError("nobody owns root; is an orchestrator running?", NO)
        return await _command(bus, event.owner, "hand_off_root", as_json=as_json)


async def _tell(server: str | None, instance: str, command: str, *, as_json: bool) -> int:
    async with connected(server) as bus:
        return await _command(bus, instance, command, as_json=as_json)


async def _command(bus: Bus, instance: str, command: str, *, as_json: bool) -> int:
    body = json.dumps({"command": command}).encode()
    reply = await bus.request(subjects.control(instance), body, timeout_s=CONTROL_S)
    if reply is None:
        raise CommandError(f"no instance {instance} answers; `treeward tree` shows which there are", UNAVAILABLE)
    said = json.loads(reply)
    if "error" in said:
        raise CommandError(said["error"], NO)
    if as_json:
        say_json(said)
    else:
        typer.echo(said["done"])
    return FINE
