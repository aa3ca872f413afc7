"""`treeward configure`: policies of a resource or branch, changed while everything runs."""

import json
from typing import Annotated, Any

import typer

from treeward.cli.options import By, Json, Server
from treeward.cli.output import BAD_INPUT, CommandError, fail
from treeward.cli.steering import AddressArgument, Asking, Reason, Wait, WaitTimeout


def command(
    address: AddressArgument,
    policies: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="as in docs/supervision.md; null takes a field back")
    ],
    reason: Reason = None,
    by: By = None,
    wait: Wait = False,
    timeout: WaitTimeout = 30.0,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Set restarts, what supersedes what and what is done about drift, for a resource or all below a branch.

    `kinds.vm.restarts_max=3` is about the VMs below a zone, pod or host.
    """
    try:
        spec = read_fields(policies)
    except CommandError as error:
        fail(error)
    Asking(reason, by, wait, timeout, server, as_json).submit(address, "configure", spec=spec)


def read_fields(words: list[str]) -> dict[str, Any]:
    """`name=value` pairs as a spec; a value that is no JSON is a text. Raises CommandError."""
    spec: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise CommandError(f"{word!r}: is to be written name=value", BAD_INPUT)
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *path, last = name.split(".")
        inner = spec
        for part in path:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise CommandError(f"{word!r}: {part} is set to something else before", BAD_INPUT)
        inner[last] = value
    return spec
