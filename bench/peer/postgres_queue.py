"""The workload on a job queue in PostgreSQL, procrastinate: jobs with a lock for each resource run one after the other.

    python postgres_queue.py worker CONNINFO
    python postgres_queue.py client CONNINFO RESOURCES DEPTH SECONDS     # prints one line of JSON

Each job says that it is done by a notification; the client then defers the next one of that resource. Runs in an
environment of its own (procrastinate, psycopg), not in ours.
"""

import asyncio
import json
import sys
from time import perf_counter

import procrastinate
import psycopg

CONCURRENCY = 32
CLIENTS = 16


def app_of(conninfo: str) -> procrastinate.App:
    app = procrastinate.App(
        connector=procrastinate.PsycopgConnector(conninfo=conninfo, min_size=4, max_size=CLIENTS + 4)
    )

    @app.task(name="change", pass_context=True)
    async def change(context: procrastinate.JobContext, resource: str) -> None:
        await context.app.connector.execute_query_async("SELECT pg_notify('done', %(resource)s)", resource=resource)

    return app


async def work(conninfo: str) -> None:
    app = app_of(conninfo)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        print("ready", flush=True)
        await app.run_worker_async(
            concurrency=CONCURRENCY,
            delete_jobs="successful",
            fetch_job_polling_interval=0.05,
            install_signal_handlers=False,
        )


async def load(conninfo: str, resources: int, depth: int, seconds: float) -> None:
    app = app_of(conninfo)
    due: asyncio.Queue[str] = asyncio.Queue()
    async with app.open_async():
        listening = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
        await listening.execute("LISTEN done")
        begin_s = perf_counter() + 2.0
        end_s = begin_s + seconds
        counted = 0

        async def submit() -> None:
            while True:
                name = await due.get()
                await app.configure_task("change", lock=name).defer_async(resource=name)

        clients = [asyncio.create_task(submit()) for _ in range(CLIENTS)]
        for _ in range(depth):
            for number in range(resources):
                due.put_nowait(f"v{number}")
        async for notice in listening.notifies(timeout=seconds + 2.0):
            now_s = perf_counter()
            counted += begin_s <= now_s < end_s
            if now_s >= end_s:
                break
            due.put_nowait(notice.payload)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        await listening.close()
        print(json.dumps({"per_s": counted / seconds, "units": counted}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work(sys.argv[2]))
    else:
        asyncio.run(load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
