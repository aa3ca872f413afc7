"""Logs: one JSON object a line on standard error, a constant message with fields; readable text on a terminal.

What libraries log through the standard library takes the same way out, in the same form.
"""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

Log = FilteringBoundLogger
"""What services log with: `log.info("claimed", zone=zone, epoch=epoch)`; `log.bind(...)` for fields of every line."""


def set_up_logs(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Direct all logging of this process to `stream` (standard error).

    `level`: debug, info, warning or error; `form`: json, console or auto (console if the stream is a terminal). Calling
    it again replaces what was set up before.
    """
    out = stream if stream is not None else sys.stderr
    console = form == "console" or (form == "auto" and out.isatty())
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=out.isatty())]
        if console
        else [
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            _first_things_first,
            structlog.processors.JSONRenderer(default=str),
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # A library's information is our debugging.
    root.setLevel(threshold if threshold != logging.INFO else logging.WARNING)


def _first_things_first(_logger: object, _method: str, line: EventDict) -> EventDict:
    """A person reads these lines too: time, level and message begin each, a traceback ends it."""
    first = {key: line.pop(key) for key in ("time", "level", "message") if key in line}
    last = {key: line.pop(key) for key in ("exception", "stack") if key in line}
    return {**first, **line, **last}


def get_log(**fields: object) -> Log:
    """A log whose every line has `fields`."""
    log: Log = structlog.get_logger(**fields)
    return log
