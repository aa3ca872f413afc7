"""A pod agent whose device is nothing at all, inside the agent: what remains is the cost of the path itself.

    python -m bench.frame.no_device

It is the product's agent with another way to a device. `BENCH_CALL_S` (default 0) is how long each call takes; any
number of them at once, as a device that waits for something else would have it. It says that it remembers as many
tickets as the simulator does, so that a hot resource is called ahead; nobody takes over from a benchmark.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Any

from treeward.pod_agent.agent import Agent
from treeward.runtime.program import Program, run_program
from treeward.runtime.service import connected
from treeward.schemas.construct import constructor
from treeward.schemas.device import Answer, Status

_answer = constructor(Answer)
DEFINITION = {"cpus": 0.001, "memory_mib": 1, "running": True}
REMEMBERS = 8
OBSERVED = {"host": "a1-h1", "state": "running"}


class NoDevice:
    """Says yes to everything, and remembers nothing but what its hosts can carry."""

    def __init__(self, call_s: float) -> None:
        self._call_s = call_s
        self._others: dict[str, dict[str, Any]] = {}
        """What hosts and the like were made as; of VMs there may be a million, all the same."""
        self._loop = asyncio.get_running_loop()

    def request(self, fields: dict[str, Any], done: Callable[[Answer], None]) -> int:
        called = fields["verb"] == "call"
        ticket = fields["ticket"] if called else 0
        exists = fields.get("operation") != "destroy"
        definition = DEFINITION
        if fields["kind"] != "vm":
            if fields.get("operation") == "create":
                self._others[fields["id"]] = fields["spec"]
            definition = self._others.get(fields["id"], DEFINITION)
        answer = _answer({
            "seq": 0, "status": Status.APPLIED if called else Status.OK, "high": fields["life"],
            "owner": fields["owner"], "last": ticket, "last_applied": called, "begun": ticket, "exists": exists,
            "definition": dict(definition) if exists else None, "observed": dict(OBSERVED) if exists else None,
            "remembers": REMEMBERS,
        })  # fmt: skip
        if called and self._call_s:
            self._loop.call_later(self._call_s, done, answer)
        else:
            self._loop.call_soon(done, answer)
        return 0

    def cancel(self, token: int) -> None:
        """Whoever asked looks at the token of the answer itself."""

    async def close(self) -> None:
        """Nothing is held."""


async def serve(program: Program) -> None:
    call_s = float(os.environ.get("BENCH_CALL_S", "0"))
    async with connected(program) as context:
        await Agent(context, lambda _address: NoDevice(call_s)).run(program.stopping)


if __name__ == "__main__":
    run_program("pod-agent", serve)
