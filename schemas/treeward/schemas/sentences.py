"""What is wrong with a message, in a sentence for the person who wrote it: the field, and what would be right.

The sentences travel in `rejected` events and on terminals, so they are short however long the message is, and hold no
control characters whatever it holds.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from treeward.schemas import address
from treeward.schemas.specs import DEVICE_PATTERN

LEAST = '{"operation": "create"}'
PROBLEMS_IN_SENTENCE_MAX = 3

_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u....)\\u[dD][c-fC-F]", re.DOTALL)

_TYPES = {
    "string_type": "must be a text", "int_type": "must be a whole number", "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a number of at most 64 bits", "float_type": "must be a number",
    "finite_number": "must be a finite number", "bool_type": "must be true or false",
    "dict_type": "must be an object", "model_type": "must be an object", "list_type": "must be a list",
    "timezone_aware": "must name its time zone, for example 2030-01-31T12:00:00Z",
}  # fmt: skip

_PATTERNS = {DEVICE_PATTERN: "must be tcp://HOST:PORT or unix:///PATH"}

_CONTEXTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda context: f"must be greater than {context['gt']:g}",
    "greater_than_equal": lambda context: f"must be at least {context['ge']}",
    "less_than": lambda context: f"must be less than {context['lt']}",
    "less_than_equal": lambda context: f"must be at most {context['le']}",
    "string_too_long": lambda context: f"must have at most {context['max_length']} characters",
    "string_too_short": lambda context: f"must have at least {context['min_length']} characters",
    "too_long": lambda context: f"must have at most {context['max_length']} entries",
    "too_short": lambda context: f"must have at least {context['min_length']} entries",
    "enum": lambda context: f"must be {context['expected']}",
    "literal_error": lambda context: f"must be {context['expected']}",
    "value_error": lambda context: str(context["error"]),
}


def explain_validation(error: ValidationError, *, prefix: str = "", fields: Iterable[str] | None = None) -> str:
    """One sentence from a validation error: each field with what is wrong and what would be right, the first three.

    `prefix` is put before the field names, `fields` are those that are known where an unknown one is refused.
    """
    items = error.errors(include_url=False)
    parts = [
        explain_problem(dict(item), prefix, None if fields is None else tuple(fields))
        for item in items[:PROBLEMS_IN_SENTENCE_MAX]
    ]
    more = len(items) - PROBLEMS_IN_SENTENCE_MAX
    return "; ".join(parts) + (f"; and {more} more" if more > 0 else "")


def explain_field(model: type[BaseModel], prefix: str, error: ValidationError) -> str:
    """`explain_validation` for a part of a message with a model of its own."""
    return explain_validation(error, prefix=prefix, fields=model.model_fields)


def explain_syntax(body: bytes, problem: str) -> str:
    """Why bytes are no JSON, with the usual slips named."""
    if body.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        return "body: begins with a byte order mark; send plain UTF-8 without one"
    if "recursion limit" in problem:
        return "body: is nested too deeply; a spec may have at most 32 levels"
    if _LONE_SURROGATE.search(body) is not None:
        return "body: has half of a surrogate pair (\\ud800 to \\udfff), which is no character; send both halves"
    if "unicode" in problem or "UTF-8" in problem:
        return f"body: is no UTF-8 ({problem})"
    if "number out of range" in problem:
        return f"body: has a number that is too long ({problem})"
    hint = "; JSON wants double quotes" if body.lstrip()[:2] in {b"{'", b"['"} else ""
    begin = short(body[:80].decode(errors="replace"))
    return f"body: is no JSON ({problem}), it begins with {begin}{hint}; the least is {LEAST}"


def short(value: object) -> str:
    """A value as JSON, on one line, in ASCII, cut at 60 characters."""
    try:
        text = json.dumps(value, default=repr)
    except (ValueError, RecursionError):
        text = repr(value).encode("ascii", "backslashreplace").decode()
    return text if len(text) <= 60 else text[:57] + "..."


def explain_problem(item: dict[str, Any], prefix: str = "", fields: tuple[str, ...] | None = None) -> str:
    """One entry of `ValidationError.errors()`: `field: what would be right, not what is there`."""
    kind, context, found = item["type"], item.get("ctx", {}), item["input"]
    location = [*([prefix] if prefix else []), *(part for part in item["loc"] if part != "[key]")]
    where = ".".join(_name(part) for part in location) or "body"
    if kind == "json_invalid":
        return explain_syntax(found if isinstance(found, bytes) else str(found).encode(), context["error"])
    if kind == "missing":
        return f"{where}: is missing" + (f"; the least is {LEAST}" if where == "operation" else "")
    if kind == "extra_forbidden":
        return f"{where}: there is no such field{_known(str(item['loc'][-1]), fields)}"
    if kind == "string_pattern_mismatch":
        what = _PATTERNS.get(context["pattern"]) or (
            f"must be {address.TOKEN_RULE}" if address.TOKEN_PATTERN in context["pattern"] else item["msg"]
        )
    elif kind.startswith("datetime"):
        what = "must be a time with its zone as in RFC 3339, for example 2030-01-31T12:00:00Z"
    elif kind in _CONTEXTS:
        what = _CONTEXTS[kind](context)
    else:
        what = _TYPES.get(kind, item["msg"])
    if kind in {"string_too_long", "too_long"}:
        return f"{where}: {what}, not {len(found)}"
    return f"{where}: {what}, not {short(found)}"


def _name(part: object) -> str:
    """A field's name as it is if it looks like one, else quoted and cut."""
    text = str(part)
    return text if address.is_token(text) else short(text)


def _known(name: str, fields: tuple[str, ...] | None) -> str:
    if fields is None:
        return ""
    close = difflib.get_close_matches(name[:64], fields, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(fields)}" if fields else "; none is known here"
