"""Encoded spans on their way out: a bounded queue, and a thread that sends what is in it, a batch at a time.

The SDK's batch processor asks each span for its context, its process and its place in the queue, which costs as much
as encoding it (bench/NOTES.md); its variables (OTEL_BSP_) mean the same here. The thread only joins bytes and waits for
the receiver, so the event loop seldom waits for it.
"""

import os
from collections import deque
from threading import Event, Thread

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource

from treeward.telemetry.rows import encode_request, encode_resource

QUEUE_SPANS_MAX = 16_384
BATCH_SPANS_MAX = 1024
DELAY_MS = 1000
"""A short delay, so that a waterfall is to be seen when one looks; the SDK's own default is 5 s."""
SCOPE = "treeward"


class RowExporter(OTLPSpanExporter):
    """The SDK's exporter (addresses, headers, TLS, retries by the standard variables) with our encoding of rows."""

    def __init__(self, resource: Resource) -> None:
        super().__init__()
        attributes = resource.attributes.items()
        self._encoded_resource = encode_resource(
            {key: value if isinstance(value, str | bool | int | float) else str(value) for key, value in attributes}
        )

    def send(self, rows: list[bytes]) -> None:
        """Send rows, again and again for as long as the variables say; then they are lost, and a log line says so."""
        body = encode_request(rows, self._encoded_resource, SCOPE)
        self._client.export(body)  # private, and the only one: a test fails when it goes


class Sender:
    """Sends rows from a thread of its own. `put` is for one thread."""

    def __init__(self, exporter: RowExporter) -> None:
        self._exporter = exporter
        self._queue_max = _number("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE_SPANS_MAX)
        self._batch_max = min(self._queue_max, _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH_SPANS_MAX))
        self._delay_s = _number("OTEL_BSP_SCHEDULE_DELAY", DELAY_MS) / 1e3
        self._queue: deque[bytes] = deque()
        self._awake = Event()
        self._closed = self._given_up = False
        self._thread = Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def put(self, row: bytes) -> bool:
        """Take a row to be sent; False: the queue is full, and the row is lost."""
        queue = self._queue
        waiting = len(queue)
        if waiting >= self._queue_max:
            return False
        queue.append(row)
        if waiting + 1 >= self._batch_max and not self._awake.is_set():
            self._awake.set()
        return True

    def close(self, timeout_s: float) -> None:
        """Send what waits, for at most `timeout_s`; the rest is lost."""
        self._closed = True
        self._awake.set()
        self._thread.join(timeout_s)
        self._given_up = True
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends a retry that waits; the thread is a daemon

    def _run(self) -> None:
        while not self._closed:
            filled = self._awake.wait(self._delay_s)
            self._awake.clear()
            self._send(self._batch_max if filled else 1)
        self._send(1)

    def _send(self, rows_min: int) -> None:
        """Send a batch of at least so many rows, and then what has become whole batches; all, when it ends."""
        queue = self._queue
        while (waiting := len(queue)) >= rows_min and not self._given_up:
            self._exporter.send([queue.popleft() for _ in range(min(waiting, self._batch_max))])
            rows_min = 1 if self._closed else self._batch_max


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else default
