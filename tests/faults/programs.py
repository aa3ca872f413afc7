"""Faults of our own programs: killed, frozen, asked to end, and root handed over."""

import json

from tests.faults.injected import Injected, last
from tests.faults.observer import Observer
from tests.faults.plan import Kind, Planned
from tests.faults.site import Site

from treeward.runtime.data_centre.layout import SIMULATOR
from treeward.schemas import subjects
from treeward.schemas.address import ROOT

ANSWER_S = 5.0


class Programs:
    """Strikes whoever lives when it comes to that."""

    def __init__(self, site: Site, observer: Observer) -> None:
        self._site = site
        self._observer = observer
        self._frozen: set[str] = set()

    async def kill(self, fault: Planned, injected: Injected) -> None:
        """Kill -9; the site starts it again after the fault's time."""
        if fault.kind is Kind.KILL_ROOT_OWNER:
            owner = self._owner_of_root()
            if owner is None or not self._site.runs(owner) or owner in self._frozen:
                injected.note = "nobody owned root"
                return
            name: str | None = owner
            injected.strikes_program(owner, self._observer)
        elif fault.kind is Kind.KILL_SIMULATOR:
            name = injected.target = SIMULATOR if self._site.runs(SIMULATOR) else None
        else:
            name = self._choose(fault.kind.removeprefix("kill_").replace("_", "-"), fault, injected)
        if name is not None:
            self._site.kill(name, fault.duration_s)

    async def pause(self, fault: Planned, injected: Injected) -> None:
        """SIGSTOP, and SIGCONT when the fault is over."""
        name = self._choose(fault.kind.removeprefix("pause_").replace("_", "-"), fault, injected)
        if name is None:
            return
        self._frozen.add(name)
        self._site.programs[name].pause()
        await last(fault)
        self._wake(name)

    async def end(self, fault: Planned, injected: Injected) -> None:
        """SIGTERM: it hands over what it has."""
        name = self._choose(fault.kind.removeprefix("end_").replace("_", "-"), fault, injected)
        if name is not None:
            self._site.ask_to_end(name)

    async def hand_off_root(self, _fault: Planned, injected: Injected) -> None:
        """An operator asks the owner of root to hand it to another."""
        owner = self._owner_of_root()
        instance = self._observer.instance_of(owner) if owner is not None else None
        if owner is None or instance is None:
            injected.note = "nobody owned root"
            return
        answer = await self._observer.bus.request(
            subjects.control(instance), b'{"command":"hand_off_root"}', timeout_s=ANSWER_S
        )
        injected.note = (answer or b"no answer").decode()
        if "done" in json.loads(answer or b"{}"):
            injected.strikes_program(owner, self._observer)

    def wake_all(self) -> None:
        """Nobody is frozen any more."""
        for name in list(self._frozen):
            self._wake(name)

    # --- whom --------------------------------------------------------------------------------------------------

    def _choose(self, role: str, fault: Planned, injected: Injected) -> str | None:
        """A living program of a role; one that owns something, if its recovery is to be measured."""
        able = [name for name in self._site.of(role) if self._site.runs(name) and name not in self._frozen]
        if fault.measured:
            able = [name for name in able if self._serves(name)] or able
        if not able:
            injected.note = f"no {role} was there"
            return None
        name = able[fault.target % len(able)]
        injected.strikes_program(name, self._observer)
        return name

    def _serves(self, name: str) -> bool:
        """Whether work of a zone needs this program now."""
        return any(branch != ROOT for branch in (*self._observer.held_by(name), *self._observer.dispatched_by(name)))

    def _owner_of_root(self) -> str | None:
        owners = (name for name in self._site.of("orchestrator") if ROOT in self._observer.held_by(name))
        return next(owners, None)

    def _wake(self, name: str) -> None:
        self._frozen.discard(name)
        if self._site.programs[name].process_id is not None:
            self._site.programs[name].resume()
