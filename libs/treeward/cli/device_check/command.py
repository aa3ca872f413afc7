"""The command line: `treeward device check ADDRESS`."""

import asyncio
import json
import secrets
import sys
from typing import Annotated, Any

import typer

from treeward.cli.device_check.rules import RULES
from treeward.cli.device_check.run import Result, Verdict, try_rules
from treeward.cli.device_check.trial import Command, Site
from treeward.cli.device_check.wire import NoDeviceError
from treeward.cli.output import BAD_INPUT, FINE, NO, UNAVAILABLE, CommandError, clean, console, fail, say, say_json

SHOWN_MAX = 2
"""So many exchanges of a rule that passed are shown; all of them with --json, or when it failed."""


def command(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="tcp://HOST:PORT or unix:///PATH")],
    zone: Annotated[str, typer.Option(help="zone of the resources that are made")] = "zone-a",
    kind: Annotated[str, typer.Option(help="a kind that the device serves, with operations create and destroy")] = "vm",
    host: Annotated[str | None, typer.Option(help="host that is named in calls, and isolated for a moment")] = None,
    spec: Annotated[str | None, typer.Option(metavar="JSON", help="spec of each create")] = None,
    slow: Annotated[
        str | None,
        typer.Option(metavar="COMMAND", help="makes calls on ids that begin with check- take a second or longer"),
    ] = None,
    quick: Annotated[str | None, typer.Option(metavar="COMMAND", help="ends that")] = None,
    restart: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="kills the device side, and starts it again in the background")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="RULE", help="try this rule; may be repeated")] = None,
    everything: Annotated[bool, typer.Option("--all", help="a rule that was not tried counts as failed")] = False,
    timeout: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="how long one answer may take")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, max=10_000, help="how often each race is tried")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="one JSON document for each rule, and one in the end")
    ] = False,
) -> None:
    """Try every rule of the device protocol at ADDRESS (docs/device-protocol.md).

    It makes and destroys resources whose ids begin with `check-`, and leaves their records behind. Exit code 0: all
    that was tried passed; 1: a rule is broken; 3: nobody listens there.
    """
    try:
        site = Site(
            address, zone, kind, secrets.token_hex(3), host, _spec(spec), timeout, rounds,
            slow=_shell("--slow", slow), quick=_shell("--quick", quick), restart=_restart(restart, ask=not as_json),
        )  # fmt: skip
        unknown = set(only or ()) - RULES.keys()
        if unknown:
            raise CommandError(f"--only {min(unknown)}: there is no such rule; there are {', '.join(RULES)}")
        code = asyncio.run(_check(site, only or [], everything=everything, as_json=as_json))
    except NoDeviceError as error:
        fail(CommandError(str(error), UNAVAILABLE))
    except CommandError as error:
        fail(error)
    raise typer.Exit(code)


async def _check(site: Site, only: list[str], *, everything: bool, as_json: bool) -> int:
    counts = dict.fromkeys(Verdict, 0)
    async for result in try_rules(site, only):
        counts[result.verdict] += 1
        if as_json:
            say_json(describe(result))
        else:
            _show(result)
    trusted = counts[Verdict.FAILED] == 0 and not (everything and counts[Verdict.NOT_TRIED])
    if as_json:
        say_json({"address": site.address, "trusted": trusted, **{str(name): n for name, n in counts.items()}})
    else:
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        console().print(f"\n{site.address}: {told}")
    return FINE if trusted else NO


def describe(result: Result) -> dict[str, Any]:
    """One result as JSON."""
    return {
        "rule": result.rule.name,
        "sentence": result.rule.sentence,
        "verdict": result.verdict.value,
        "reason": result.reason,
        "seconds": round(result.seconds, 3),
        "exchanges": list(result.exchanges),
    }


def _show(result: Result) -> None:
    out = console()
    out.print(f"{result.verdict.upper():<12} {result.rule.name:<16} {result.rule.sentence}")
    if result.reason is not None:
        out.print(f"{'':<12} {clean(result.reason)}")
    passed = result.verdict is Verdict.PASSED
    shown = result.exchanges[:SHOWN_MAX] if passed else result.exchanges
    for exchange in shown:
        out.print(f"{'':<29} {clean(exchange)}")
    if len(shown) < len(result.exchanges):
        out.print(f"{'':<29} ... and {len(result.exchanges) - len(shown)} more")


def _spec(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        spec = json.loads(text)
    except ValueError as error:
        raise CommandError(f"--spec is no JSON: {error}") from None
    if not isinstance(spec, dict):
        raise CommandError("--spec must be an object")
    return spec


def _shell(option: str, line: str | None) -> Command | None:
    """A command of the user; what it leaves running in the background is not waited for."""
    if line is None:
        return None

    async def run() -> None:
        process = await asyncio.create_subprocess_shell(
            line, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
        )
        code = await process.wait()
        if code != 0:
            raise CommandError(f"{option} {line!r} ended with code {code}", BAD_INPUT)

    return run


def _restart(line: str | None, *, ask: bool) -> Command | None:
    """The command, or, at a terminal, the person who sits there."""
    if line is not None or not ask or not sys.stdin.isatty():
        return _shell("--restart", line)

    async def asked() -> None:
        say("Restart the device side now (best: kill -9, then start it), and press Enter.")
        await asyncio.to_thread(sys.stdin.readline)

    return asked
