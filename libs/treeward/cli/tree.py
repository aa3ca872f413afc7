"""`treeward tree`: zones, pods and hosts with their owners, and how many resources in which state."""

from typing import TYPE_CHECKING, Annotated

import typer

from treeward.cli.ask import ask
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server, Timeout
from treeward.cli.output import BAD_INPUT, FINE, CommandError, clean, console, fail, say_json
from treeward.cli.state import age
from treeward.schemas.address import ROOT, is_token
from treeward.schemas.api.parts import Counts
from treeward.schemas.api.tree import Capacity, HostBranch, Owner, PodBranch, TreeAnswer, TreeRequest

if TYPE_CHECKING:
    from rich.tree import Tree


def command(
    zone: Annotated[str | None, typer.Argument(metavar="ZONE", show_default=False)] = None,
    pod: Annotated[str | None, typer.Option(help="only this pod")] = None,
    hosts: Annotated[bool, typer.Option(help="show every host")] = True,
    timeout: Timeout = 5.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """The supervision tree: zones, pods, hosts, their owners, and counts by kind and state."""
    if zone is not None and not is_token(zone):
        fail(CommandError(f"{zone!r}: must be the name of a zone", BAD_INPUT))
    run(_tree(server, zone, pod, hosts=hosts, timeout_s=timeout, as_json=as_json))


async def _tree(
    server: str | None, zone: str | None, pod: str | None, *, hosts: bool, timeout_s: float, as_json: bool
) -> int:
    async with connected(server) as bus:
        first = await ask(bus, "tree", zone or ROOT, TreeRequest(pod=pod), TreeAnswer, timeout_s=timeout_s)
        below = [
            await ask(bus, "tree", name, TreeRequest(pod=pod), TreeAnswer, timeout_s=timeout_s)
            for name in (first.zones if zone is None else [])
        ]
    if as_json:
        for answer in (first, *below):
            say_json(answer.model_dump(mode="json"))
        return FINE
    drawn = draw(first, hosts=hosts)
    for answer in below:
        drawn.add(draw(answer, hosts=hosts))
    console().print(drawn)
    return FINE


def draw(answer: TreeAnswer, *, hosts: bool) -> "Tree":
    """A zone as a tree."""
    from rich.text import Text
    from rich.tree import Tree

    root = Tree(Text.assemble((clean(answer.zone), "bold"), "  ", _owner(answer.owner), _flags(answer)))
    if answer.queued_units:
        root.add(f"{answer.queued_units} units without an outcome")
    if answer.unplaced:
        root.add(Text(f"unplaced: {_counts(answer.unplaced)}"))
    for pod in answer.pods:
        branch = root.add(Text.assemble((clean(pod.id), "bold"), "  ", _owner(pod.owner), _flags(pod)))
        if pod.counts:
            branch.add(Text(f"on no host: {_counts(pod.counts)}"))
        if hosts:
            for host in pod.hosts:
                branch.add(Text.assemble(clean(host.id), "  ", _room(host), "  ", _counts(host.counts), _flags(host)))
        elif pod.hosts:
            branch.add(f"{len(pod.hosts)} hosts")
    return root


def _owner(owner: Owner) -> str:
    if owner.instance is None:
        return "owned by nobody"
    heard = "" if owner.heard_s is None else f", heard {age(owner.heard_s)} ago"
    return clean(f"{owner.instance}, epoch {owner.epoch}, {owner.presence}{heard}")


def _flags(branch: TreeAnswer | PodBranch | HostBranch) -> str:
    words = [branch.state.value] if branch.state.value != "ready" else []
    words += [word for word in ("paused", "quarantined", "draining") if getattr(branch, word)]
    return f"  [{', '.join(words)}]" if words else ""


def _room(host: HostBranch) -> str:
    def amount(capacity: Capacity) -> str:
        return f"{capacity.cpus:g} cpus {capacity.memory_mib} MiB" + (
            f" {capacity.gpus:g} gpus" if capacity.gpus else ""
        )

    return f"{amount(host.used)} of {amount(host.capacity)}"


def _counts(counts: Counts) -> str:
    parts = [f"{number} {kind} {state}" for kind, states in sorted(counts.items()) for state, number in states.items()]
    return clean(", ".join(parts) or "empty")
