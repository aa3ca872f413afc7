"""The HTTP port of a program: `/livez`, `/readyz`, `/metrics`, and what a service adds.

It is served by the same event loop as the work: an answer on `/livez` is proof that the loop runs. Liveness says
nothing of NATS or of devices (restarting cures neither); readiness does.
"""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from treeward.runtime.loop_watch import LoopWatch
from treeward.runtime.settings_file import BadSettingsError
from treeward.telemetry.metrics import Metrics

Endpoint = Callable[[Request], Awaitable[Response]]
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
CLOSE_S = 2.0


class Readiness:
    """What must hold for a program to be of use: named checks, each of which says why it does not hold, or None."""

    def __init__(self) -> None:
        self._checks: dict[str, Callable[[], str | None]] = {}

    def add(self, name: str, check: Callable[[], str | None]) -> None:
        """Ask `check` each time; it must not wait. A second one of the same name replaces the first."""
        self._checks[name] = check

    def problems(self) -> dict[str, str | None]:
        """Every check with what is wrong, None where nothing is."""
        return {name: check() for name, check in self._checks.items()}


class HttpPort:
    """Serves one program's port. Made before it serves, so that services can add routes to `app` first or later."""

    def __init__(self, readiness: Readiness, metrics: Metrics, watch: LoopWatch, lag_max_s: float) -> None:
        self.app = Starlette()
        self.port: int | None = None
        """The port that is served, also when any free one was asked for; None while none is."""
        self._readiness = readiness
        self._metrics = metrics
        self._watch = watch
        self._lag_max_s = lag_max_s
        self.add_route("/livez", self._livez)
        self.add_route("/readyz", self._readyz)
        self.add_route("/metrics", self._scrape)

    def add_route(self, path: str, endpoint: Endpoint, methods: tuple[str, ...] = ("GET",)) -> None:
        """Answer `path` with `endpoint`."""
        self.app.router.add_route(path, endpoint, methods=list(methods))

    @contextlib.asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[None]:
        """Serve while the block runs; port 0: any free one, -1: none. Raises BadSettingsError if it cannot be had."""
        if port < 0:
            yield
            return
        listener = _listen(host, port)
        self.port = int(listener.getsockname()[1])
        server = _Server(
            uvicorn.Config(
                self.app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait({task}, timeout=CLOSE_S)
            task.cancel()
            await asyncio.wait({task})
            listener.close()
            self.port = None

    async def _livez(self, _request: Request) -> Response:
        lag_s = round(self._watch.lag_s(), 3)
        alive = lag_s <= self._lag_max_s
        return JSONResponse({"alive": alive, "loop_lag_s": lag_s}, 200 if alive else 503)

    async def _readyz(self, _request: Request) -> Response:
        problems = self._readiness.problems()
        ready = not any(problems.values())
        checks = {name: problem or "ok" for name, problem in problems.items()}
        return JSONResponse({"ready": ready, "checks": checks}, 200 if ready else 503)

    async def _scrape(self, _request: Request) -> Response:
        return Response(self._metrics.render(), media_type=METRICS_TYPE)


class _Server(uvicorn.Server):
    """Signals are the program's affair, not the port's."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.ExitStack() as closing:
            listener = closing.enter_context(socket.socket(family, kind, protocol))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)  # at once: whoever reads the port from the log may ask before the server runs
            listener.setblocking(False)
            closing.pop_all()  # it stays open: nothing went wrong
    except OSError as error:
        variable = "TREEWARD_HTTP_PORT" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "TREEWARD_HTTP_HOST"
        reason = error.strerror or os.strerror(error.errno or 0)
        raise BadSettingsError(f"{variable}: cannot listen on {host}:{port}: {reason}") from None
    return listener
