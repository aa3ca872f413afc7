"""Faults of the links of programs, to NATS and to the device: cut in one direction or both, slow, reset."""

from tests.faults.injected import Injected, last
from tests.faults.observer import Observer
from tests.faults.plan import Planned
from tests.faults.site import Site


class Cuts:
    """Strikes the links of one program that lives when it comes to that."""

    def __init__(self, site: Site, observer: Observer) -> None:
        self._site = site
        self._observer = observer

    async def cut(self, fault: Planned, injected: Injected) -> None:
        """What the kind says; the link is whole when the fault is over, after some cuts by a reset."""
        every = [name for name in self._site.nats_links if self._site.runs(name)]
        if "device" in fault.kind:
            every = [name for name in every if name in self._site.of("pod-agent")]
        if not every:
            injected.note = "nobody was there"
            return
        name = every[fault.target % len(every)]
        injected.strikes_program(name, self._observer)
        links = [self._site.device_links[name]] if "device" in fault.kind else self._site.nats_links[name]
        if fault.kind.startswith("reset"):
            for link in links:
                link.reset()
            return
        for link in links:
            if fault.kind.startswith("delay"):
                link.slow(0.02 + 0.3 * fault.strength**2)
            else:
                to_server = not fault.kind.endswith("to_client")
                to_client = not fault.kind.endswith("to_server")
                link.cut(to_server=to_server, to_client=to_client)
        await last(fault)
        for link in links:
            link.heal(reset=fault.strength < 0.5 and not fault.kind.startswith("delay"))
