"""One connection to NATS that comes back by itself, with synchronous publishing and callbacks without tasks.

Three states of the world that nats-py does not leave by itself are left here: by `_watch` a half-open link whose writes
never drain, and a reading or flushing task that has died; by the client a connection that a server's error has closed.
"""

import asyncio
import contextlib
import itertools
import logging
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import nats.errors
from nats.aio.subscription import Subscription as NatsSubscription
from nats.nuid import NUID

from treeward.bus.client import LightClient, Receive
from treeward.bus.interface import BusUnavailableError
from treeward.bus.wire import header_lines, publish_command

WATCH_S: Final = 0.25
CANCEL_AGAIN_S: Final = 0.1
HALF_OPEN_S: Final = 1.0
"""How long closing a lost link may take before it is cut."""
ATTEMPT_S: Final = 5.0
"""How long one attempt to reconnect may hang before its link is cut."""
API_PREFIX: Final = "$JS.API"
PING_S: Final = 2.0
PINGS_UNANSWERED_MAX: Final = 2
RECONNECT_WAIT_S: Final = 0.25
UNSENT_BYTES_MAX: Final = 64 * 1024 * 1024
"""What may wait for a slow link; beyond it publishes are dropped and counted."""
BUFFERED_BYTES_MAX: Final = 64 * 1024
"""What may wait in the socket's buffer; beyond it, it waits here, where it is counted."""
CLOSE_S: Final = 2.0
HEADROOM_BYTES: Final = 4096
"""Room for headers within the server's largest message; a larger message would end the connection."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client proves who it is; every field is optional."""

    user: str | None = None
    password: str | None = None
    token: str | None = None
    credentials_file: str | None = None
    nkey_seed_file: str | None = None
    tls: ssl.SSLContext | None = None


class NotAdmittedError(BusUnavailableError):
    """A server answers, and there is no connection: it refuses us, or we it. The message is what was said.

    Nothing was sent. Another key, account or certificate is needed, or another server.
    """


def end_program(error: BaseException) -> None:
    """Let the program end because of `error`, which came out of a callback or a task of the bus."""
    logger.critical("a callback or task of the bus failed, the program ends", exc_info=error)

    def leave() -> None:
        raise SystemExit(70) from error

    asyncio.get_running_loop().call_soon(leave)


def _subscribe_command(sid: int, subject: str, queue: str) -> bytes:
    return f"SUB {subject} {queue} {sid}\r\n".encode()


class Connection:
    """A link to NATS that reconnects without end, until `close`."""

    def __init__(self, inbox_prefix: str, crash: Callable[[BaseException], None], api_prefix: str = API_PREFIX) -> None:
        self.api_prefix = api_prefix
        """Where requests to JetStream go; in an account without streams of its own it is another."""
        self.inbox = f"{inbox_prefix}.{NUID().next().decode()}"
        self.connected = False
        self.closed = False
        self._crash = crash
        self.counts: Counter[str] = Counter()
        """Events since the start: `lost`, `cut`, `violations`, `dropped`."""
        self.violation = ""
        """What the server last did not permit on this link; it takes a new link, or other credentials, to forget it."""
        self._client = LightClient(self)
        self._listeners: list[Callable[[bool], None]] = []
        self._tickers: dict[int, Callable[[float], None]] = {}
        self._ticker_ids = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsent: dict[int, bytes] = {}
        """Subscriptions made while the link was down: nats-py's own replay may just have passed them by."""
        self._lost_at_s: float | None = None
        self._left_old_link = False
        self._last_error = ""
        self._refusal = ""
        """What a server last said against us, or we against it, before the first connection."""
        self._write_is_due = False

    async def connect(
        self, servers: str | Sequence[str], *, name: str, credentials: Credentials, timeout_s: float | None
    ) -> None:
        """Connect, trying again without end, or for `timeout_s` seconds; then raises BusUnavailableError."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._client.connect(
                    servers=[servers] if isinstance(servers, str) else list(servers),
                    name=name,
                    error_cb=self._note_error,
                    disconnected_cb=self._note_left,
                    reconnected_cb=self._note_back,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
                    ping_interval=PING_S,  # type: ignore[arg-type]
                    max_outstanding_pings=PINGS_UNANSWERED_MAX,
                    user=credentials.user,
                    password=credentials.password,
                    token=credentials.token,
                    user_credentials=credentials.credentials_file,
                    nkeys_seed=credentials.nkey_seed_file,
                    tls=credentials.tls,
                    inbox_prefix=self.inbox.rpartition(".")[0],
                    pending_size=0,
                )
        except TimeoutError as error:
            if self._refusal:
                raise NotAdmittedError(self._refusal) from error
            raise BusUnavailableError(f"no NATS server answered at {servers} within {timeout_s} s") from error
        self.connected = True
        self.spawn(self._watch())

    # What happens per message

    @property
    def payload_bytes_max(self) -> int:
        """The largest message, headers included, that the server takes."""
        return self._client.max_payload

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None, reply: str = "") -> bool:
        """Send if connected; False if it was dropped."""
        return self.send(publish_command(subject, reply, data, header_lines(headers) if headers else ""))

    def send(self, command: bytes) -> bool:
        """Queue a protocol command behind all earlier ones; False if it was dropped."""
        client = self._client
        if not self.connected or client._pending_data_size > UNSENT_BYTES_MAX:
            self.counts["dropped"] += 1
            return False
        client._pending.append(command)
        client._pending_data_size += len(command)
        if not self._write_is_due:
            self._write_is_due = True
            asyncio.get_running_loop().call_soon(self._write)
        return True

    def _write(self) -> None:
        """Write what was sent in one turn of the loop, in one piece; to a slow link in the time that it takes."""
        self._write_is_due = False
        client = self._client
        if not self.connected or not client._pending:
            return
        writer = getattr(client._transport, "_io_writer", None)
        # A link may have closed before we are told, and uvloop refuses what is written then.
        if (
            writer is not None
            and not writer.transport.is_closing()
            and writer.transport.get_write_buffer_size() <= BUFFERED_BYTES_MAX
        ):
            pending, client._pending, client._pending_data_size = client._pending, [], 0
            writer.writelines(pending)
            return
        queue = client._flush_queue
        if queue is not None and queue.empty():  # nats-py's own way, which waits until the link has taken it
            queue.put_nowait(asyncio.get_running_loop().create_future())

    def subscribe(self, subject: str, receive: Receive, *, queue: str = "") -> int:
        """Have `receive` called for each message; survives reconnects. Returns what `unsubscribe` takes."""
        client = self._client
        client._sid += 1
        sid = client._sid
        client._subs[sid] = NatsSubscription(client, sid, subject, queue=queue)  # replayed at a reconnect
        client.receivers[sid] = receive
        if not self.send(_subscribe_command(sid, subject, queue)):
            self._unsent[sid] = _subscribe_command(sid, subject, queue)
        return sid

    def unsubscribe(self, sid: int) -> None:
        """Call the receiver no more."""
        if self._client.receivers.pop(sid, None) is not None:
            self._client._subs.pop(sid, None)
            self.send(f"UNSUB {sid} \r\n".encode())

    # Who is told what

    def on_change(self, changed: Callable[[bool], None]) -> None:
        """Call `changed(connected)` at each loss and return."""
        self._listeners.append(changed)

    def forget_change(self, changed: Callable[[bool], None]) -> None:
        """Undo `on_change`."""
        with contextlib.suppress(ValueError):
            self._listeners.remove(changed)

    def every_tick(self, tick: Callable[[float], None]) -> int:
        """Call `tick(loop_time_s)` every 0.25 s; returns what `forget_tick` takes."""
        number = next(self._ticker_ids)
        self._tickers[number] = tick
        return number

    def forget_tick(self, number: int) -> None:
        """Undo `every_tick`."""
        self._tickers.pop(number, None)

    def spawn(self, duty: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a duty of the bus; `close` cancels it, an exception out of it ends the program."""
        task = asyncio.get_running_loop().create_task(duty)
        self._tasks.add(task)
        task.add_done_callback(self._note_done)
        return task

    def crash(self, error: BaseException) -> None:
        """An exception came out of a callback or a duty of the bus: the program cannot go on."""
        self._crash(error)

    def become_lost(self) -> None:
        """Take the link for lost: what was written to it and not answered may or may not have arrived."""
        if not self.connected:
            return
        self.connected = False
        self._lost_at_s = asyncio.get_running_loop().time()
        self._left_old_link = False
        self.counts["lost"] += 1
        # Nothing of the old link may be sent on the new one: it would arrive ahead of what has to be repeated.
        self._client._pending.clear()
        self._client._pending_data_size = 0
        self._tell(connected=False)

    def count_violation(self, text: str) -> None:
        """A permission is missing: the server only says so here, the one who asked merely hears nothing."""
        self.counts["violations"] += 1
        self.violation = text
        logger.error("NATS refused for lack of permission", extra={"error": text})

    # Coming back

    async def _note_left(self) -> None:
        self._left_old_link = True
        self._lost_at_s = asyncio.get_running_loop().time()

    async def _note_back(self) -> None:
        if self.closed:
            return
        self.connected = True
        self.violation = ""
        self._lost_at_s = None
        self._last_error = ""
        for sid, command in self._unsent.items():
            if sid in self._client.receivers:
                self.send(command)
        self._unsent.clear()
        self._tell(connected=True)

    async def _note_error(self, error: Exception) -> None:
        """Log what keeps the link down once, not once per attempt."""
        if isinstance(error, nats.errors.Error | ssl.SSLError) and not self.connected:
            self._refusal = str(error).removeprefix("nats: ").strip("'")
        if self._last_error != (text := repr(error)):
            self._last_error = text
            logger.warning("the link to NATS is down", extra={"error": text})

    def _tell(self, *, connected: bool) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(connected)
            except Exception as error:  # noqa: BLE001  the outermost frame of a callback: it ends the program
                self.crash(error)

    def _note_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.crash(error)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(WATCH_S)
            now_s = loop.time()
            client = self._client
            if self.connected and self._is_dead():
                self.counts["cut"] += 1
                await client._process_op_err(nats.errors.StaleConnectionError())
            elif self._lost_at_s is not None:
                patience_s = ATTEMPT_S if self._left_old_link else HALF_OPEN_S
                if now_s - self._lost_at_s > patience_s:
                    self.counts["cut"] += 1
                    self._lost_at_s = now_s
                    self._cut()
            for tick in tuple(self._tickers.values()):
                tick(now_s)

    def _is_dead(self) -> bool:
        """Whether a task without which nothing moves has ended, although nats-py believes to be connected."""
        client = self._client
        return client.is_connected and any(
            task is None or task.done() for task in (client._reading_task, client._flusher_task)
        )

    def _cut(self) -> None:
        writer = getattr(self._client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    async def close(self) -> None:
        """Send what can be sent within 2 s, then end the connection. Never raises but for cancellation."""
        if self.closed:
            return
        self.closed = True
        if self.connected:
            with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
                await self._client.flush(timeout=int(CLOSE_S))
        self.connected = False
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client.is_reconnecting:
            self._cut()
        # While the link is down nats-py's close raises whatever the transport does.
        with contextlib.suppress(nats.errors.Error, TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(CLOSE_S):
                await self._client._close(LightClient.CLOSED, do_cbs=False)
        await self._end_reconnecting()

    async def _end_reconnecting(self) -> None:
        """End nats-py's endless search for a server: one cancellation may be lost to a connection refused just then."""
        searching = self._client._reconnection_task
        while searching is not None and not searching.done():
            searching.cancel()
            await asyncio.wait({searching}, timeout=CANCEL_AGAIN_S)
