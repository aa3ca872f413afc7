"""`treeward device`: whether a device may be trusted; faults in a device simulator, and its books."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from treeward.cli.configure import read_fields
from treeward.cli.device_check.command import command as check
from treeward.cli.device_control import ask
from treeward.cli.output import FINE, NO, CommandError, clean, console, fail, say, say_json, table
from treeward.schemas.address import Address, InvalidAddressError
from treeward.schemas.device_control import (
    ControlAnswer,
    Distribution,
    Fault,
    FaultAdd,
    FaultClear,
    FaultEffect,
    FaultList,
    Journal,
    Show,
    StandingFault,
    Statistics,
    Tamper,
)
from treeward.schemas.units import explain_validation

app = typer.Typer(
    no_args_is_help=True, help="Try a device by the rules of its protocol; faults and books of a device simulator."
)
app.command("check")(check)
fault_app = typer.Typer(no_args_is_help=True, help="Faults on demand: add, list, clear.")
app.add_typer(fault_app, name="fault")

Control = Annotated[
    str | None,
    typer.Option(
        "--control",
        envvar="TREEWARD_DEVICE_CONTROL",
        metavar="ADDRESS",
        help="Control address of the simulator: tcp://HOST:PORT or unix:///PATH.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document for each result, on standard output.")]
Resource = Annotated[str, typer.Argument(metavar="ADDRESS", help="<zone>.<kind>.<id>, for example zone-a.vm.web-1")]
Pattern = str | None


@fault_app.command("add")
def add(
    effect: Annotated[FaultEffect, typer.Argument(help="What happens to the requests that it strikes.")],
    zone: Annotated[Pattern, typer.Option(help="Only in zones that match, as all patterns a glob.")] = None,
    pod: Annotated[Pattern, typer.Option(help="Only on hosts of pods that match.")] = None,
    host: Annotated[Pattern, typer.Option(help="Only on hosts that match.")] = None,
    kind: Annotated[Pattern, typer.Option(help="Only resources of kinds that match.")] = None,
    id_: Annotated[Pattern, typer.Option("--id", help="Only resources whose id matches.")] = None,
    operation: Annotated[
        Pattern, typer.Option(help="Only operations that match; `synchronize` must be named. Default: calls.")
    ] = None,
    times: Annotated[int | None, typer.Option(help="Strike that often and no more. Default: until cleared.")] = None,
    seconds: Annotated[float, typer.Option(help="latency: how long; the lower end; or the median.")] = 0.0,
    seconds_max: Annotated[float | None, typer.Option(help="latency: the upper end (uniform) or a cap.")] = None,
    sigma: Annotated[float, typer.Option(help="latency, lognormal: spread of the logarithm.")] = 0.5,
    distribution: Annotated[Distribution, typer.Option(help="latency: how it is spread.")] = Distribution.FIXED,
    close: Annotated[bool, typer.Option("--close", help="lose: close the connection as well.")] = False,
    reason: Annotated[str | None, typer.Option(help="refuse, fail, unreachable: what is answered.")] = None,
    control: Control = None,
    as_json: AsJson = False,
) -> None:
    """Let a fault strike from now on; prints its number."""
    try:
        fault = Fault(
            effect=effect, zone=zone, pod=pod, host=host, kind=kind, id=id_, operation=operation, times=times,
            seconds=seconds, seconds_max=seconds_max, sigma=sigma, distribution=distribution, close=close,
            reason=reason,
        )  # fmt: skip
    except ValidationError as error:
        fail(CommandError(explain_validation(error)))
    _tell_faults(_ask(control, FaultAdd(fault=fault)), as_json=as_json)


@fault_app.command("list")
def list_(control: Control = None, as_json: AsJson = False) -> None:
    """Tell the faults that stand, and how often each has struck."""
    answer = _ask(control, FaultList())
    if not answer.faults and not as_json:
        say("no faults")
    _tell_faults(answer, as_json=as_json)


@fault_app.command("clear")
def clear(
    number: Annotated[int | None, typer.Argument(help="The fault's number. Default: all of them.")] = None,
    control: Control = None,
    as_json: AsJson = False,
) -> None:
    """End a fault, or all; what hangs because of it goes on. Prints what was cleared."""
    answer = _ask(control, FaultClear(number=number))
    if not answer.faults and not as_json:
        say("no faults")
    _tell_faults(answer, as_json=as_json)


@app.command()
def journal(
    resource: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="<zone>.<kind>.<id>. Default: all resources.")
    ] = None,
    after: Annotated[int | None, typer.Option(help="Begin after this row. Default: the newest rows.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many rows.")] = 100,
    control: Control = None,
    as_json: AsJson = False,
) -> None:
    """Read the calls that reached the device, in order. Exit code 1: there are none."""
    address = None if resource is None else _address(resource)
    scope: dict[str, Any] = {} if address is None else address._asdict()
    calls = _ask(control, Journal(**scope, after=after, limit=limit)).calls or []
    if as_json:
        for call in calls:
            say_json(call)
    elif calls:
        rows = table("row>", "began", "ms>", "resource", "operation", "ticket>", "life>", "owner", "outcome", "reason")
        for call in calls:
            rows.add_row(*(clean(text) for text in _columns(call)))
        console().print(rows)
    raise typer.Exit(FINE if calls else NO)


@app.command()
def show(resource: Resource, control: Control = None, as_json: AsJson = False) -> None:
    """Tell what the device has of one address: the object and the record. Exit code 1: neither."""
    address = _address(resource)
    shown = _ask(control, Show(zone=address.zone, kind=address.kind, id=address.id)).shown or {}
    _tell_shown(shown, as_json=as_json)
    raise typer.Exit(FINE if shown.get("exists") or shown.get("high") is not None else NO)


@app.command()
def tamper(
    resource: Resource,
    changes: Annotated[
        list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="What changes, for example running=false.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
    control: Control = None,
    as_json: AsJson = False,
) -> None:
    """Change what exists in a device simulator behind everybody's back, to see it found (docs/drift.md)."""
    address = _address(resource)
    try:
        fields = read_fields(changes or [])
    except CommandError as error:
        fail(error)
    if remove == bool(fields):
        fail(CommandError("say what changes, FIELD=VALUE, or --remove"))
    tamper = Tamper(zone=address.zone, kind=address.kind, id=address.id, definition=None if remove else fields)
    _tell_shown(_ask(control, tamper).shown or {}, as_json=as_json)


@app.command()
def statistics(control: Control = None, as_json: AsJson = False) -> None:
    """Count what the device holds and what it has answered since it was started."""
    found = _ask(control, Statistics()).statistics or {}
    if as_json:
        say_json(found)
        return
    for name, value in found.items():
        counts = value.items() if isinstance(value, dict) else [("", value)]
        for what, count in counts:
            console().print(f"{name:<12} {clean(what):<24} {clean(count)}")


def _ask(control: str | None, request: Any) -> ControlAnswer:
    try:
        return ask(control, request)
    except CommandError as error:
        fail(error)


def _address(text: str) -> Address:
    try:
        return Address.parse(text)
    except InvalidAddressError as error:
        fail(CommandError(str(error)))


def _tell_shown(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(shown)
    else:
        for name, value in shown.items():
            console().print(f"{name:<13} {clean(value)}")


def _tell_faults(answer: ControlAnswer, *, as_json: bool) -> None:
    faults = answer.faults or []
    if as_json:
        for standing in faults:
            say_json(standing.model_dump(mode="json", exclude_none=True))
    elif faults:
        rows = table("fault>", "struck>", "effect", "where and how")
        for standing in faults:
            rows.add_row(str(standing.number), str(standing.struck), standing.fault.effect.value, _details(standing))
        console().print(rows)


def _details(standing: StandingFault) -> str:
    given = standing.fault.model_dump(mode="json", exclude_defaults=True, exclude={"effect"})
    return clean(", ".join(f"{name} {value}" for name, value in given.items()) or "every call")


def _columns(call: dict[str, Any]) -> list[str]:
    began = datetime.fromtimestamp(call["started_at"], UTC).strftime("%H:%M:%S.%f")[:-3]
    ended = call["ended_at"]
    lasted = "" if ended is None else f"{(ended - call['started_at']) * 1000:.1f}"
    resource = f"{call['zone']}.{call['kind']}.{call['resource']}"
    texts = (call["id"], began, lasted, resource, call["operation"], call["ticket"], call["life"], call["owner"])
    reason = "; ".join(text for text in (call["reason"], call["fault"]) if text)
    return ["" if text is None else str(text) for text in (*texts, call["outcome"], reason)]
