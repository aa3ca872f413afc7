"""Talks to the control interface of a device simulator: one line there, one line back."""

import socket
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from treeward.cli.output import BAD_INPUT, UNAVAILABLE, CommandError
from treeward.schemas.device_control import ControlAnswer

WAIT_S = 10.0
"""How long a simulator on this machine may take for one answer."""


def ask(address: str | None, request: BaseModel) -> ControlAnswer:
    """Send one request and return its answer; raises CommandError if nobody is there or the request is refused."""
    if not address:
        raise CommandError("no control address: use --control tcp://HOST:PORT or set TREEWARD_DEVICE_CONTROL")
    try:
        with _connect(address) as connection, connection.makefile("rwb") as lines:
            lines.write(request.model_dump_json(exclude_none=True).encode() + b"\n")
            lines.flush()
            line = lines.readline()
    except OSError as error:
        raise CommandError(f"no device simulator answers at {address}: {error}", UNAVAILABLE) from None
    if not line:
        raise CommandError(f"{address} closed the connection; is it the control address?", UNAVAILABLE)
    try:
        answer = ControlAnswer.model_validate_json(line)
    except ValidationError:
        raise CommandError(f"{address} is no control interface of a device simulator", UNAVAILABLE) from None
    if answer.status == "invalid":
        raise CommandError(answer.error or "the request was refused", BAD_INPUT)
    return answer


def _connect(address: str) -> socket.socket:
    parts = urlsplit(address if "//" in address else f"//{address}")
    if parts.scheme == "unix" and parts.path:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(WAIT_S)
        connection.connect(parts.path)
        return connection
    try:
        target = (parts.hostname, parts.port) if parts.scheme in {"", "tcp"} else (None, None)
    except ValueError:
        target = (None, None)
    if target[0] is None or target[1] is None:
        raise CommandError(f"{address!r} is no address; it must be tcp://HOST:PORT or unix:///PATH")
    return socket.create_connection((target[0], target[1]), timeout=WAIT_S)
