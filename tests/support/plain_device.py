"""A device in a hundred lines that shares no code with treeward, and can be broken, one rule at a time.

It keeps objects and records in one JSON file, and serves them on a real socket. `broken` names what it does wrong.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

FRESH: dict[str, Any] = {
    "high": 0, "owner": None, "last": 0, "applied": False, "why": None, "begun": 0, "called_in": 0, "recent": [],
}  # fmt: skip


class PlainDevice:
    def __init__(self, file: Path, broken: str = "", remembers: int = 3) -> None:
        self.file = file
        self.broken = broken
        self.remembers = remembers
        self.slow_s = 0.0
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.writers: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    async def start(self) -> None:
        held = json.loads(self.file.read_text()) if self.file.exists() else {}
        self.records: dict[str, dict[str, Any]] = held.get("records", {})
        self.objects: dict[str, Any] = held.get("objects", {"zone-a.host.host-1": {}})
        self.isolated: list[str] = [] if self.broken == "isolate-restart" else held.get("isolated", [])
        self.running: dict[str, tuple[int, asyncio.Future[dict[str, Any]], str | None]] = {}
        self.everything = asyncio.Lock()
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As kill -9 does: nothing is finished, nothing is said."""
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for writer in self.writers:
            writer.transport.abort()
        self.tasks.clear()
        self.writers.clear()

    async def restart(self) -> None:
        await self.stop()
        if self.broken == "restart-memory":
            self.file.unlink()
        if self.broken == "ahead-restart":
            held = json.loads(self.file.read_text())
            held["records"] = {key: record | {"recent": []} for key, record in held["records"].items()}
            self.file.write_text(json.dumps(held))
        await self.start()

    def save(self) -> None:
        held = {"records": self.records, "objects": self.objects, "isolated": self.isolated}
        self.file.write_text(json.dumps(held))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.add(writer)
        try:
            if self.broken == "pieces":
                while piece := await reader.read(1 << 16):
                    for line in piece.splitlines():
                        self.begin(line, writer)
                return
            while line := await reader.readline():
                self.begin(line, writer)
        except (OSError, ValueError):
            if self.broken == "too-long":
                await self.stop()
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()

    def begin(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.handle(line, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def handle(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(line)
            seq = asked.get("seq", 0)
        except (ValueError, AttributeError):
            asked, seq = {}, 0
        wrong = self.fault_of(asked)
        if wrong is not None:
            if self.broken == "ill-formed":
                return
            said: dict[str, Any] = {"status": "invalid", "reason": wrong}
        elif asked["verb"] == "ping":
            said = {"status": "failed" if self.broken == "ping" else "ok"}
        elif self.broken == "alive":
            async with self.everything:
                said = await self.act(asked, writer)
        else:
            said = await self.act(asked, writer)
        if self.broken == "in-flight" and seq % 7 == 0:
            seq += 1
        if not writer.is_closing():
            writer.write(json.dumps({"seq": seq, **said}).encode() + b"\n")

    def fault_of(self, asked: dict[str, Any]) -> str | None:
        verb = asked.get("verb")
        if verb == "ping":
            return None
        if verb not in {"synchronize", "call", "observe", "isolate"}:
            return f"verb {verb!r}"
        for name in ("zone", "kind", "id", *(("owner",) if verb in {"synchronize", "call"} else ())):
            if not isinstance(asked.get(name), str):
                return str(name)
        if verb in {"synchronize", "call"} and not (isinstance(asked.get("life"), int) and asked["life"] >= 0):
            return "life"
        if verb == "call" and not (isinstance(asked.get("ticket"), int) and asked["ticket"] > 0):
            return "ticket"
        if self.broken == "unknown-fields" and "colour" in asked:
            return "colour"
        return None

    def tell(self, key: str, status: str, reason: str | None = None) -> dict[str, Any]:
        record = self.records.get(key, FRESH)
        exists = key in self.objects or self.broken == "unknown-address"
        last = 0 if self.broken == "applied" else record["last"]
        return {
            "status": status, "reason": reason, "high": record["high"], "owner": record["owner"], "last": last,
            "last_applied": record["applied"], "last_reason": record["why"], "begun": record["begun"],
            "exists": exists, "definition": self.objects.get(key),
            "isolated": key.split(".")[1] == "host" and key.split(".")[2] in self.isolated,
            "remembers": self.remembers,
            "recent": record["recent"][::-1] if self.broken == "recent" else record["recent"],
        }  # fmt: skip

    async def act(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> dict[str, Any]:
        key = f"{asked['zone']}.{asked['kind']}.{asked['id']}"
        if asked["verb"] == "isolate":
            return self.open(key, asked)
        if asked["verb"] == "observe":
            if self.broken == "observe":
                self.records.setdefault(key, dict(FRESH))["high"] += 1
            return self.tell(key, "ok")
        host = asked.get("host")
        isolated = asked["kind"] != "host" and host in self.isolated
        isolated = isolated and not (self.broken == "isolate" and asked["life"] > 1)
        if isolated and asked["verb"] == "call":
            return self.tell(key, "unreachable", f"host {host} is isolated")
        record = self.records.setdefault(key, dict(FRESH))
        lower = asked["life"] < record["high"] and self.broken != "fence-lower"
        other = asked["life"] == record["high"] and record["owner"] not in (None, asked["owner"])
        if self.broken == "isolate-late" and asked.get("operation") == "isolate" and (lower or other):
            self.isolated.append(asked["id"])
        if lower or (other and self.broken != "fence-owner"):
            return self.tell(key, "fenced")
        if key in self.running and asked["life"] > record["high"] and self.broken != "busy":
            return self.tell(key, "busy")
        if isolated:
            record |= {"high": asked["life"], "owner": asked["owner"]}
            return self.tell(key, "unreachable", f"host {host} is isolated") | {"isolated": True}
        if asked["verb"] == "synchronize":
            return self.synchronize(key, record, asked)
        return await self.call(key, record, asked, writer)

    def open(self, key: str, asked: dict[str, Any]) -> dict[str, Any]:
        if not asked.get("undo"):
            return self.tell(key, "refused", "to isolate is a call")
        self.isolated = [host for host in self.isolated if host != asked["id"]]
        self.save()
        return self.tell(key, "ok")

    def isolate(self, name: str) -> None:
        self.isolated.append(name)
        for ticket, answer, host in list(self.running.values()):
            if host == name and self.broken != "isolate-ends" and not answer.done():
                answer.set_result({"status": "unreachable", "reason": f"isolated in ticket {ticket}"})

    def synchronize(self, key: str, record: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
        if self.broken != "synchronize":
            record |= {"high": asked["life"], "owner": asked["owner"]}
        if key not in self.running:
            if asked.get("absent") and self.broken != "absent":
                self.objects.pop(key, None)
                record["called_in"] = asked["life"]
            late = record["called_in"] >= asked["life"] and self.broken != "make"
            if asked.get("definition") is not None and not late and not asked.get("absent"):
                self.objects.setdefault(key, asked["definition"])
        self.save()
        return self.tell(key, "ok")

    def from_memory(self, key: str, record: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any] | None:
        ticket = asked["ticket"]
        if ticket == record["last"] and not (self.broken == "remembered" and asked["operation"] == "destroy"):
            if self.broken == "isolate-again" and asked["operation"] == "isolate":
                self.isolate(asked["id"])
            return self.tell(key, "applied" if record["applied"] else "refused", record["why"])
        for known in record["recent"]:
            if known["ticket"] == ticket:
                if self.broken == "ahead-runs-again":
                    return None
                told = self.last_of(record) if self.broken == "ahead" else known
                return self.tell(key, "applied" if told["applied"] else "refused", told["reason"])
        return self.tell(key, "older") if ticket < record["last"] and self.broken != "older" else None

    async def call(
        self, key: str, record: dict[str, Any], asked: dict[str, Any], writer: asyncio.StreamWriter
    ) -> dict[str, Any]:
        ticket = asked["ticket"]
        if (known := self.from_memory(key, record, asked)) is not None:
            return known
        if key in self.running and self.broken not in {"serial", "busy"}:
            running, answer, _ = self.running[key]
            if running != ticket or self.broken == "joined":
                return self.tell(key, "busy")
            return await asyncio.shield(answer)
        if self.broken != "call-raises":
            record |= {"high": max(asked["life"], record["high"]), "owner": asked["owner"]}
        record["called_in"] = max(record["called_in"], asked["life"])
        record["begun"] = max(record["begun"], ticket)
        if self.broken != "begun":
            self.save()
        answer = asyncio.get_running_loop().create_future()
        if self.broken != "race":
            self.running[key] = (ticket, answer, asked.get("host"))
        if self.broken == "restart-goes-on":
            asyncio.get_running_loop().call_later(self.slow_s + 0.1, self.carry_out_late, key, asked)
        if (self.slow_s and asked["kind"] != "host") or self.broken in {"race", "lost-call"}:
            await asyncio.wait([answer], timeout=self.slow_s or 0.01)
        return self.finish(key, record, asked, answer, writer)

    def carry_out_late(self, key: str, asked: dict[str, Any]) -> None:
        if asked["operation"] == "create":
            self.objects.setdefault(key, asked.get("spec") or {})
            self.save()

    def finish(
        self, key: str, record: dict[str, Any], asked: dict[str, Any], answer: "asyncio.Future[Any]", writer: Any
    ) -> dict[str, Any]:
        self.running.pop(key, None)
        if answer.done():
            return self.tell(key, **answer.result())
        restores = asked["operation"] == "restore"
        wanted = restores or asked["operation"] == "create"
        why = f"it {'exists' if wanted else 'is absent'}" if wanted is (key in self.objects) and not restores else None
        if asked["operation"] == "isolate":
            why = None if key in self.objects else "it is absent"
            if why is None:
                self.isolate(asked["id"])
        elif restores:
            self.restore(key, asked["spec"]["definition"])
        elif why is None and wanted:
            self.objects[key] = asked.get("spec") or {}
        elif why is None:
            del self.objects[key]
        remembered = not (why and self.broken == "refused") and not (self.broken == "lost-call" and writer.is_closing())
        if remembered:
            known = [*record["recent"], *([self.last_of(record)] if record["last"] else [])]
            kept = 0 if self.broken == "ahead-forgets" else self.remembers - 1
            record |= {"last": asked["ticket"], "applied": why is None, "why": why, "recent": known[-kept:][:kept]}
        if self.broken == "ahead-outlives" and not wanted:
            record["recent"] = []
        if self.broken == "outlives" and not wanted:
            del self.records[key]
        if self.broken != "restart-race":
            self.save()
        said = self.tell(key, "applied" if why is None else "refused", why)
        answer.set_result(said)
        return said

    def last_of(self, record: dict[str, Any]) -> dict[str, Any]:
        return {"ticket": record["last"], "applied": record["applied"], "reason": record["why"]}

    def restore(self, key: str, definition: Any) -> None:
        if self.broken != ("restore" if key in self.objects else "restores-nothing"):
            self.objects[key] = definition
