"""What every service's `main` is made of: settings, logs, telemetry, signals, the HTTP port, a bounded end.

Exit codes: 0 the service ended as it was asked to, 1 it crashed (logged once, with its traceback) or did not stop in
time, 2 its settings cannot be used (one line that says which).
"""

import argparse
import asyncio
import os
import secrets
import signal
import string
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from random import Random
from typing import Any, NoReturn

import uvloop

from treeward.runtime.clock import Clock, SteadyClock, SystemClock
from treeward.runtime.http import HttpPort, Readiness
from treeward.runtime.loop_watch import LoopWatch
from treeward.runtime.settings import FILE_VARIABLE, PREFIX, Settings
from treeward.runtime.settings_file import BadSettingsError, misspelt
from treeward.telemetry import names
from treeward.telemetry.logs import Log, get_log, set_up_logs
from treeward.telemetry.metrics import Metrics
from treeward.telemetry.traces import Tracer, tracer_from_environment

CLEAN, CRASHED, BAD_SETTINGS = 0, 1, 2
CANCEL_S = 5.0
"""How long a service that was cancelled may take to clean up before the process is ended under it."""


@dataclass(frozen=True, slots=True)
class Program:
    """What a running program hands to its service: everything from outside, so that nothing is reached for."""

    name: str
    """The service, such as `pod-agent`."""
    instance: str
    """This run of it: unique, a valid token."""
    settings: Settings
    log: Log
    metrics: Metrics
    tracer: Tracer
    clock: Clock
    random: Random
    stopping: asyncio.Event
    """Set by SIGTERM or SIGINT: finish what is in hand and return within `stop_timeout_s`."""
    readiness: Readiness
    watch: LoopWatch
    http: HttpPort
    escaped: list[BaseException] = field(default_factory=list)
    """What came out of callbacks; the first one ends the program."""


Service = Callable[[Program], Awaitable[None]]


def new_instance(name: str) -> str:
    """`<name>-<six random lower-case letters and digits>`."""
    return f"{name}-{''.join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(6))}"


def run_program(name: str, service: Service) -> NoReturn:
    """Run `service` until it returns or is told to stop, then exit the process with the code above."""
    try:
        settings = Settings.load()
    except BadSettingsError as error:
        _refuse(name, error)
    set_up_logs(settings.log_level, settings.log_format)
    instance = new_instance(settings.name or name)
    metrics = Metrics()
    tracer = tracer_from_environment(name, instance, zone=settings.zone, dropped=metrics.counter(names.SPANS_DROPPED))
    clock = SteadyClock(SystemClock())
    watch = LoopWatch(clock)
    readiness = Readiness()
    fields = {"service": name, "instance": instance} | ({"zone": settings.zone} if settings.zone else {})
    program = Program(
        name=name,
        instance=instance,
        settings=settings,
        log=get_log(**fields),
        metrics=metrics,
        tracer=tracer,
        clock=clock,
        random=Random(os.urandom(16)),
        stopping=asyncio.Event(),
        readiness=readiness,
        watch=watch,
        http=HttpPort(readiness, metrics, watch, settings.lag_max_s),
    )
    for warning in misspelt(PREFIX, Settings.model_fields, os.environ):
        program.log.warning("a variable is no setting and changes nothing", variable=warning)
    code = CRASHED
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            code = runner.run(_run(program, service))
    except BadSettingsError as error:
        _refuse(name, error)
    except Exception:  # the outermost frame of a program: it ends, with the error in its log
        program.log.exception("crashed")
    finally:
        tracer.close()
    program.log.info("ended", code=code)
    sys.exit(code)


async def _run(program: Program, service: Service) -> int:
    program.readiness.add("stopping", lambda: "the program is stopping" if program.stopping.is_set() else None)
    program.metrics.gauge(names.LOOP_LAG).follow(program.watch.lag_s)
    settings = program.settings
    async with program.http.serve(settings.http_host, settings.http_port):
        program.log.info("started", version=version("treeward"), http_port=program.http.port, pid=os.getpid())
        watching = asyncio.create_task(program.watch.run(), name="loop-watch")
        running = asyncio.create_task(_await(service, program), name=program.name)
        _on_signals(program, running)
        _on_escaped(program, running)
        try:
            return await _until_ended(program, running)
        finally:
            watching.cancel()


async def _await(service: Service, program: Program) -> None:
    await service(program)


def _on_signals(program: Program, running: asyncio.Task[None]) -> None:
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        again = program.stopping.is_set()
        if again:  # told twice: whoever does that does not want to wait
            running.cancel()
        program.stopping.set()
        # Last: where nobody reads the log any more, writing to it raises.
        program.log.info("told to stop", signal=name, again=again)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number.name)


def _on_escaped(program: Program, running: asyncio.Task[None]) -> None:
    """An exception out of a callback ends the program: the loop would only print it, and go on with half a state."""

    def escaped(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        program.log.error("escaped to the event loop", where=context.get("message"), exc_info=error)
        # Out of a callback, or of a protocol that took what came; a link that broke is told to whoever has it.
        ours = "handle" in context or ("protocol" in context and not isinstance(error, OSError))
        if error is not None and ours:
            program.escaped.append(error)
            running.cancel()

    asyncio.get_running_loop().set_exception_handler(escaped)


async def _until_ended(program: Program, running: asyncio.Task[None]) -> int:
    """Wait for the service; once it was told to stop, only for as long as the settings say."""
    stopping = asyncio.create_task(program.stopping.wait(), name="stopping")
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not running.done():
        await asyncio.wait({running}, timeout=program.settings.stop_timeout_s)
    in_time = running.done()
    if not in_time:
        program.log.error("did not stop in time and is cut short", timeout_s=program.settings.stop_timeout_s)
        running.cancel()
        await asyncio.wait({running}, timeout=CANCEL_S)
        if not running.done():  # it ignores its cancellation; leaving the loop would wait for it for ever
            program.tracer.close()
            os._exit(CRASHED)
    if not running.cancelled():
        running.result()
    return (
        CLEAN if in_time and not program.escaped and (not running.cancelled() or program.stopping.is_set()) else CRASHED
    )


def read_command_line(name: str) -> None:
    """Everything is a setting, so there is only help and the version."""
    parser = argparse.ArgumentParser(
        prog=f"treeward-{name}",
        description=f"The {name} of Treeward. It takes no arguments: settings are variables that begin with {PREFIX} "
        f"(docs/settings.md), such as {PREFIX}NATS_URL, or a TOML or YAML file named by {FILE_VARIABLE}. "
        "Exit codes: 0 ended as it was asked to, 1 crashed, 2 settings that cannot be used.",
    )
    parser.add_argument("--version", action="version", version=version("treeward"))
    parser.parse_args()


def _refuse(name: str, error: BadSettingsError) -> NoReturn:
    print(f"treeward-{name}: {error}", file=sys.stderr)  # noqa: T201  logs are not set up, or would hide the line
    sys.exit(BAD_SETTINGS)
