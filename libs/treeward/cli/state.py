"""`treeward state`: what is known of a resource, or of every resource of a zone."""

import json
from typing import Annotated

import typer

from treeward.cli.ask import ask_pages, zone_and_key
from treeward.cli.connection import connected, run
from treeward.cli.options import Json, Server, Timeout
from treeward.cli.output import FINE, NO, CommandError, clean, console, fail, say, say_json, table
from treeward.schemas.api.parts import RESOURCES_IN_ANSWER_MAX
from treeward.schemas.api.state import ResourceState, StateAnswer, StateRequest
from treeward.schemas.events import Drift
from treeward.schemas.policies import OnDrift


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
    if resource.drift is not None:
        words.append("changed by others" if resource.drift.exists else "removed by others")
    return ", ".join(words)


def observed(resource: ResourceState) -> str:
    """What the device said last: the state it reported, or that nothing exists."""
    if resource.drift is not None and not resource.drift.exists:
        return "absent"
    said = resource.observed or {}
    return str(said.get("power") or said.get("state") or ("-" if not said else "present"))


def _list(found: list[ResourceState]) -> None:
    shown = table(
        "resource", "desired", "observed", "age>", "source", "process", "pod/host", "answered>", "queued>", "position>"
    )
    for resource in found:
        shown.add_row(
            clean(f"{resource.kind}.{resource.id}"),
            "?" if resource.doubt else "exists" if resource.exists else "absent",
            "?" if resource.doubt else clean(observed(resource)),
            age(resource.age_s),
            resource.source,
            clean(flags(resource)),
            clean(f"{resource.pod or '-'}/{resource.host or '-'}"),
            str(resource.answered),
            str(resource.queued_units),
            str(resource.position),
        )
    console().print(shown)


def _existence(resource: ResourceState) -> str:
    if resource.doubt is not None:
        return "not known while in doubt"
    if resource.drift is not None and not resource.drift.exists:
        return "no: removed by others"
    return "yes" if resource.exists else "no"


DONE = {
    OnDrift.REPORT: "it is reported, and nothing else is done",
    OnDrift.RESTORE: "a unit `restore` puts it back in order",
}


def _drift(drift: Drift) -> str:
    """How the device differs, since when, and what is done about it."""
    what = f"the device has {json.dumps(drift.definition)}" if drift.exists else "the device has nothing"
    return f"{what}, found {drift.since:%Y-%m-%d %H:%M:%S}; {DONE.get(drift.policy, drift.policy.value)}"


def _tell(resource: ResourceState) -> None:
    rows: list[tuple[str, str]] = [
        ("resource", f"{resource.zone}.{resource.kind}.{resource.id}"),
        ("exists", _existence(resource)),
        ("desired", json.dumps(resource.definition)),
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
    if resource.drift is not None:
        rows.insert(4, ("drift", _drift(resource.drift)))
    if resource.reason:
        rows.append(("reason", resource.reason))
    shown = table("", "")
    shown.show_header = False
    for name, value in rows:
        shown.add_row(name, clean(value))
    console().print(shown)
