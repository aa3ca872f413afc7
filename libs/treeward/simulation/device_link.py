"""An agent's way to a device in memory."""

from collections.abc import Callable
from random import Random
from typing import Any

from treeward.schemas.device import Answer
from treeward.simulation.device import SimulatedDevice
from treeward.simulation.loop import VirtualLoop


class DeviceLink:
    """An agent's way to a device: what `runtime.device_client.Device` asks for, with what connections do to requests.

    Requests and answers are lost with a connection and repeated by the client on the next one. A copy of a request may
    be read much later, and is answered like the first as long as somebody waits for that; an answer may come twice, the
    second time much later. As with the client of a real device, the first answer to a request is told, and those after
    it are not.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        loop: VirtualLoop,
        chance: Random,
        call_program: Callable[[Callable[[], None]], None],
    ) -> None:
        self.cut = False
        self.dead = False
        self._device = device
        self._loop = loop
        self._chance = chance
        self._chance_of_copies = Random()
        """Apart from the rest, so that a run in which no copy changes anything is the same as one without them."""
        self._chance_of_copies.setstate(chance.getstate())
        self._call_program = call_program
        self._pending: dict[int, tuple[dict[str, Any], Callable[[Answer], None]]] = {}
        self._token = 0

    def request(self, fields: dict[str, Any], done: Callable[[Answer], None]) -> int:
        """Ask the device; returns a token for `cancel`."""
        self._token += 1
        self._pending[self._token] = (fields, done)
        self._send(self._token)
        return self._token

    def cancel(self, token: int) -> None:
        """Forget a request: it may still take effect."""
        self._pending.pop(token, None)

    async def close(self) -> None:
        """Nothing pending is answered any more."""
        self.die()

    def die(self) -> None:
        """The program is gone; what is on its way may still arrive."""
        self.dead = True
        self._pending.clear()

    def _send(self, token: int) -> None:
        pending = self._pending.get(token)
        if pending is None or self.dead:
            return
        chance, trouble = self._chance, self._device.trouble
        if self.cut or (trouble.lose and chance.random() < trouble.lose / 2):
            self._again(token)
            return
        self._loop.call_later(chance.uniform(0.0002, 0.002), self._arrive, token, pending[0], context=self._loop.world)
        if trouble.double and chance.random() < trouble.double:
            self._loop.call_later(
                chance.random() * chance.choice((0.01, 2.0, 30.0)),
                self._arrive_again,
                token,
                pending[0],
                context=self._loop.world,
            )

    def _arrive(self, token: int, fields: dict[str, Any]) -> None:
        self._device.handle(token, fields, lambda answer: self._return(token, answer, self._chance))

    def _arrive_again(self, token: int, fields: dict[str, Any]) -> None:
        self._device.handle(token, fields, lambda answer: self._return(token, answer, self._chance_of_copies))

    def _return(self, token: int, answer: Answer, chance: Random) -> None:
        trouble, copies = self._device.trouble, self._chance_of_copies
        if token not in self._pending or self.dead or (trouble.eat and chance.random() < trouble.eat):
            return
        if self.cut or (trouble.lose and chance.random() < trouble.lose / 2):
            self._again(token)
        else:
            self._loop.call_later(
                chance.uniform(0.0002, 0.002), self._hand_over, token, answer, context=self._loop.world
            )
        if trouble.double and copies.random() < trouble.double:
            self._loop.call_later(
                copies.random() * copies.choice((0.01, 2.0, 30.0)),
                self._hand_over,
                token,
                answer,
                context=self._loop.world,
            )

    def _hand_over(self, token: int, answer: Answer) -> None:
        if not self.dead:
            self._call_program(lambda: self._tell(token, answer))

    def _tell(self, token: int, answer: Answer) -> None:
        pending = self._pending.pop(token, None)
        if pending is not None and not self.dead:
            pending[1](answer)

    def _again(self, token: int) -> None:
        """The connection was lost: the client repeats on the next one what is pending."""
        self._loop.call_later(self._chance.uniform(0.2, 2.0), self._send, token, context=self._loop.world)
