"""The forms that values of settings take in the environment, each with an error that says what would be right."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from treeward.schemas import address, units

DAY_S = 86_400.0
SERVER_SCHEMES = ("nats", "tls", "ws", "wss")


def _token(value: str) -> str:
    if not address.is_token(value):
        raise ValueError(f"must be {address.TOKEN_RULE}")
    return value


def is_server(value: str) -> bool:
    """Whether it is the URL of a NATS server; without a port it is the usual one."""
    try:
        url = urlsplit(value)
        return bool(url.hostname) and url.scheme in SERVER_SCHEMES and url.port != 0 and not re.search(r"\s", value)
    except ValueError:  # the port is no number, or too large, or a bracket is missing
        return False


def _server(value: str) -> str:
    if not is_server(value):
        raise ValueError("must be nats://HOST:PORT (or tls, ws, wss), several separated by commas")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"tcp://[^\s/]+:[0-9]{1,5}|unix:///\S+", value):
        raise ValueError("must be tcp://HOST:PORT or unix:///PATH")
    return value


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        key, equals, text = part.partition("=")
        if not equals:
            raise ValueError("must be key=value,key=value")
        pairs[key.strip()] = text.strip()
    return pairs


def _whole(value: object) -> object:
    return int(value) if isinstance(value, str) and value.strip().isdecimal() else value


Seconds = Annotated[float, Field(gt=0, le=36_525 * DAY_S, allow_inf_nan=False)]
Token = Annotated[str, AfterValidator(_token)]
Servers = Annotated[
    tuple[Annotated[str, AfterValidator(_server)], ...], NoDecode, BeforeValidator(_split), Field(min_length=1)
]
Labels = Annotated[units.Labels, NoDecode, BeforeValidator(_pairs)]
DeviceAddress = Annotated[str, AfterValidator(_device)]
Replicas = Annotated[Literal[1, 3, 5], BeforeValidator(_whole)]
SubjectPrefix = Annotated[str, Field(pattern=r"^[A-Za-z0-9_$-]+(\.[A-Za-z0-9_$-]+)*$")]
"""The beginning of subjects, without the point behind it."""
