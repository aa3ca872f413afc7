"""`treeward state`: what is known of a resource, or of every resource of a zone."""

import json
from typing import Annotated

import typer

from treeward.cli.ask import ask_pages, zone_and_key
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server, Timeout
from treeward.cli.output import FINE, NO, CommandError, clean, console, fail, say, say_json, table
from treeward.schemas.api import RESOURCES_IN_ANSWER_MAX, ResourceState, StateAnswer, StateRequest


def command(
    which: Annotated[str, typer.Argument(metavar="ZONE|ZONE.KIND.ID")],
    kind: Annotated[str | None, typer.Option(help="of a zone: only this kind")] = None,
    pod: Annotated[str | None, typer.Option(help="of a zone: only what is placed in this pod")] = None,
    timeout: Timeout = 5.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """What is known of a resource or a zone, since when and from where.

    State is no fact while a unit is in doubt; the command says so. Exit 1 if the resource is not known.
    """
    try:
        zone, key = zone_and_key(which)
    except CommandError as error:
        fail(error)
    question = StateRequest(key=key, kind=kind, pod=pod, limit=RESOURCES_IN_ANSWER_MAX)
    run(_state(server, zone, question, timeout_s=timeout, as_json=as_json))


async def _state(server: str | None, zone: str, question: StateRequest, *, timeout_s: float, as_json: bool) -> int:
    found: list[ResourceState] = []
    async with connected(server) as bus:
        async for page in ask_pages(bus, "state", zone, question, StateAnswer, timeout_s=timeout_s):
            found += page.resources
    if as_json:
        for resource in found:
            say_json(resource.model_dump(mode="json"))
    elif question.key is None:
        _list(found)
    else:
        for resource in found:
            _tell(resource)
    if question.key is not None and not found:
        say(f"zone {zone} has never heard of {question.key}")
        return NO
    return FINE


def age(seconds: float | None) -> str:
    """A length of time for people."""
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s"


def flags(resource: ResourceState) -> str:
    """The process's state with what qualifies it."""
    words = [resource.process.value]
    words += [word for word, is_so in (("paused", resource.paused), ("quarantined", resource.quarantined)) if is_so]
    if resource.doubt is not None:
        words.append(f"in doubt: #{resource.doubt.ticket}")
    return ", ".join(words)


def _list(found: list[ResourceState]) -> None:
    shown = table("resource", "exists", "process", "pod/host", "answered>", "queued>", "age>", "position>")
    for resource in found:
        shown.add_row(
            clean(f"{resource.kind}.{resource.id}"),
            "?" if resource.doubt else "yes" if resource.exists else "no",
            clean(flags(resource)),
            clean(f"{resource.pod or '-'}/{resource.host or '-'}"),
            str(resource.answered),
            str(resource.queued_units),
            age(resource.age_s),
            str(resource.position),
        )
    console().print(shown)


def _tell(resource: ResourceState) -> None:
    rows: list[tuple[str, str]] = [
        ("resource", f"{resource.zone}.{resource.kind}.{resource.id}"),
        ("exists", "not known while in doubt" if resource.doubt else "yes" if resource.exists else "no"),
        ("definition", json.dumps(resource.definition)),
        ("observed", json.dumps(resource.observed)),
        ("policies", json.dumps(resource.policies) if resource.policies else "those of its branch"),
        ("process", flags(resource)),
        ("place", f"pod {resource.pod or '-'}, host {resource.host or '-'}"),
        ("owner", f"{resource.owner or '-'}, epoch {resource.epoch or '-'}, life {resource.life}"),
        ("answered", f"ticket {resource.answered}"),
        (
            "queued",
            ", ".join(f"#{unit.ticket} {unit.operation} ({unit.stage})" for unit in resource.queued) or "nothing",
        ),
        (
            "source",
            f"{resource.source}, position {resource.position} ({resource.event or '-'}), {age(resource.age_s)} old",
        ),
    ]
    if resource.doubt is not None:
        doubt = resource.doubt
        text = f"#{doubt.ticket} {doubt.operation or ''} was called and not answered, {doubt.attempts} attempts"
        rows.insert(2, ("in doubt", f"{text}, {doubt.verdict or 'in hand'}"))
    if resource.reason:
        rows.append(("reason", resource.reason))
    shown = table("", "")
    shown.show_header = False
    for name, value in rows:
        shown.add_row(name, clean(value))
    console().print(shown)
