"""Logs: what a line looks like, and that libraries' lines look the same."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from treeward.telemetry.logs import get_log, set_up_logs

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("treeward")
    handlers, level, of_ours = root.handlers[:], root.level, ours.level
    ours.setLevel(logging.NOTSET)  # a command that another test has run may have silenced it
    yield
    root.handlers[:], root.level = handlers, level
    ours.setLevel(of_ours)
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_is_one_json_object_that_begins_with_what_a_person_looks_for() -> None:
    out = io.StringIO()
    set_up_logs("info", "auto", out)
    get_log(service="pod-agent").bind(zone="zone-a").info("claimed", epoch=7, odd=object)
    (text,) = out.getvalue().splitlines()
    line = json.loads(text)
    assert list(line)[:3] == ["time", "level", "message"]
    assert (line["level"], line["message"]) == ("info", "claimed")
    assert (line["service"], line["zone"], line["epoch"]) == ("pod-agent", "zone-a", 7)


def test_what_is_below_the_level_is_not_written() -> None:
    out = io.StringIO()
    set_up_logs("warning", "json", out)
    log = get_log()
    log.info("quiet")
    log.warning("loud")
    assert [json.loads(line)["message"] for line in out.getvalue().splitlines()] == ["loud"]


def test_a_traceback_is_part_of_its_line() -> None:
    out = io.StringIO()
    set_up_logs("info", "json", out)
    try:
        raise RuntimeError("no way")
    except RuntimeError:
        get_log().exception("crashed")
    (text,) = out.getvalue().splitlines()
    assert list(json.loads(text))[-1] == "exception"
    assert "RuntimeError: no way" in json.loads(text)["exception"]


def test_what_the_standard_library_is_told_beside_the_message_is_a_field() -> None:
    out = io.StringIO()
    set_up_logs("info", "json", out)
    logging.getLogger("treeward.bus").error("NATS refused", extra={"error": "permissions violation"})
    assert json.loads(out.getvalue())["error"] == "permissions violation"


def test_a_library_is_written_in_the_same_form_and_only_when_it_warns() -> None:
    out = io.StringIO()
    set_up_logs("info", "json", out)
    library = logging.getLogger("nats.aio")
    library.info("chatter")
    library.warning("slow consumer on %s", "tw.log")
    (line,) = map(json.loads, out.getvalue().splitlines())
    assert (line["message"], line["logger"], line["level"]) == ("slow consumer on tw.log", "nats.aio", "warning")


def test_a_terminal_gets_text_unless_json_was_asked_for() -> None:
    for form, is_json in (("auto", False), ("console", False), ("json", True)):
        out = Terminal()
        set_up_logs("info", form, out)
        get_log().info("claimed", epoch=7)
        assert out.getvalue().startswith("{") is is_json
        assert "claimed" in out.getvalue()


def test_no_line_is_told_in_the_name_of_another_program() -> None:
    """What every line has (`program.start`) is not given anew: whom a claim is for is no `instance` that speaks."""
    bound, levels = {"time", "level", "message", "service", "instance"}, {"debug", "info", "warning", "error"}
    found, lines = [], 0
    for path in (*ROOT.glob("libs/treeward/**/*.py"), *ROOT.glob("services/*/treeward/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in levels:
                lines += 1
                given = bound & {word.arg for word in node.keywords}
                found += [f"{path.relative_to(ROOT)}:{node.lineno}: {', '.join(given)}"] if given else []
    assert lines > 40
    assert found == []
