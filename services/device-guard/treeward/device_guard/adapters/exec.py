"""The adapter `exec`: any program, started once for each errand; one line of JSON in, one document of JSON out."""

import asyncio
import contextlib
import json
import os
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from treeward.device_guard.adapter import Errand, Finish, State, Told, UnknownAdapterError, Verb
from treeward.device_guard.adapters.processes import PROC, VARIABLE, end_all
from treeward.schemas.units import explain_validation

FOREVER_S = 1e9
REASON_CHARACTERS_MAX = 500
ENDED_BEFORE = "it was ended before it began"


class Said(BaseModel):
    """What a program writes."""

    model_config = ConfigDict(extra="ignore")

    status: Finish
    reason: str | None = None
    exists: bool | None = None
    definition: dict[str, Any] | None = None
    observed: dict[str, Any] | None = None
    ticket: int | None = None
    host: str | None = None


class ExecAdapter:
    """Runs a program for each errand.

    Args:
        program: the command line.
        timeout_s: after that long a program is killed; None: never, its resource is busy until it ends.
        at_once_max: so many programs that change something run at once, and as many that observe.
    """

    def __init__(self, program: Sequence[str], *, timeout_s: float | None, at_once_max: int) -> None:
        self._program = tuple(program)
        self._timeout_s = timeout_s
        self._changing = asyncio.Semaphore(at_once_max)
        self._observing = asyncio.Semaphore(at_once_max)
        self._live: set[str] = set()
        """Runs that were asked for and have not returned, also those that wait for their turn."""
        self._ended: set[str] = set()
        """Of these, those that must not start any more."""

    async def carry_out(self, errand: Errand) -> Told:
        """Run the program and read what it says. It is believed only if it ended with code 0."""
        self._live.add(errand.run)
        try:
            if errand.verb is Verb.OBSERVE:
                async with self._observing:
                    code, out, complaint = await self._run(errand)
            else:
                async with self._changing:
                    code, out, complaint = await self._run_to_the_end(errand)
        except OSError as error:  # it was not even started
            return Told(Finish.UNREACHABLE, f"{self._program[0]} cannot be run: {error.strerror}")
        finally:
            self._live.discard(errand.run)
            self._ended.discard(errand.run)
        return read(code, out, complaint)

    async def end(self, run: str, *, patience_s: float) -> bool:
        """Wait for what a run has started; kill what is left after `patience_s`. What has not begun never will."""
        if run in self._live:
            self._ended.add(run)
        return await end_all(run, patience_s=FOREVER_S if self._timeout_s is None and patience_s > 0 else patience_s)

    async def _run_to_the_end(self, errand: Errand) -> tuple[int | None, bytes, str]:
        """Run it, and end whatever it has left behind under its name."""
        try:
            return await self._run(errand)
        finally:
            await end_all(errand.run, patience_s=0.0)

    async def _run(self, errand: Errand) -> tuple[int | None, bytes, str]:
        """Code (None: killed for its time), standard output, and the last line of standard error."""
        if errand.run in self._ended:  # while it waited for its turn
            return None, b"", ENDED_BEFORE
        # It is told what to do only by standard input, once it runs under the name of this run: a guard that is killed
        # before has started something that will do nothing.
        process = await asyncio.create_subprocess_exec(
            *self._program, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True, env=environment_of(errand)
        )
        try:
            if errand.run in self._ended:
                await self._kill(process, errand.run)
                return None, b"", ENDED_BEFORE
            async with asyncio.timeout(self._timeout_s):
                out, err = await process.communicate(line_of(errand))
        except TimeoutError:
            await self._kill(process, errand.run)
            return None, b"", f"it did not end within {self._timeout_s:g} s"
        except asyncio.CancelledError:
            await self._kill(process, errand.run)
            raise
        complaint = err.decode(errors="replace").strip().rpartition("\n")[2][:REASON_CHARACTERS_MAX]
        return process.returncode, out, complaint

    async def _kill(self, process: Process, run: str) -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await end_all(run, patience_s=0.0)
        await process.wait()


def make_exec(arguments: Sequence[str], *, timeout_s: float | None, at_once_max: int) -> ExecAdapter:
    """The entry point: `-- PROGRAM ARGUMENT...`."""
    if not arguments:
        raise UnknownAdapterError("the adapter exec needs a program: -- PROGRAM [ARGUMENT...]")
    if shutil.which(arguments[0]) is None:
        raise UnknownAdapterError(f"{arguments[0]} is no program that can be run")
    if not (PROC / "self" / "environ").exists():
        raise UnknownAdapterError("the adapter exec needs Linux's /proc to find what a killed guard has left behind")
    return ExecAdapter(arguments, timeout_s=timeout_s, at_once_max=at_once_max)


def fields_of(errand: Errand) -> dict[str, Any]:
    """What a program is told."""
    zone, kind, id_ = errand.address
    fields: dict[str, Any] = {"verb": errand.verb.value, "zone": zone, "kind": kind, "id": id_, "host": errand.host}
    if errand.verb is Verb.CALL:
        fields |= {
            "operation": errand.operation, "ticket": errand.ticket, "life": errand.life, "again": errand.again,
            "existed": errand.existed, "spec": errand.spec, "trace": errand.trace,
        }  # fmt: skip
    if errand.definition is not None:
        fields["definition"] = errand.definition
    return {name: value for name, value in fields.items() if value is not None}


def line_of(errand: Errand) -> bytes:
    """The line on standard input."""
    return json.dumps(fields_of(errand), separators=(",", ":")).encode() + b"\n"


def environment_of(errand: Errand) -> dict[str, str]:
    """The same for programs that read no JSON: TREEWARD_VERB, TREEWARD_ID, TREEWARD_SPEC (as JSON) ..."""
    told = {
        f"TREEWARD_{name.upper()}": value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in fields_of(errand).items()
    }
    return {**os.environ, **told, VARIABLE: errand.run}


def read(code: int | None, out: bytes, complaint: str) -> Told:
    """What came of it, by exit code and standard output."""
    if code != 0:
        ended = "it was killed" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        return Told(Finish.FAILED, f"{ended}: {complaint}" if complaint else ended)
    try:
        said = Said.model_validate_json(out)
    except ValidationError as error:
        return Told(Finish.FAILED, f"the program's answer cannot be read: {explain_validation(error)}")
    state = None
    if said.exists is not None:
        state = State(said.exists, said.definition if said.exists else None, said.observed if said.exists else None)
    return Told(said.status, said.reason or complaint or None, state, said.ticket, said.host)
