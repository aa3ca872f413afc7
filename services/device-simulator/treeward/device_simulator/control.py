"""The control interface: faults on demand, and a look into the books (schemas/device_control.py)."""

from pydantic import ValidationError

from treeward.device_simulator.engine import Engine
from treeward.device_simulator.journal import Journal as Books
from treeward.device_simulator.ledger import Caller
from treeward.runtime.device_lines import number_of
from treeward.schemas.address import Address
from treeward.schemas.device_control import (
    CONTROL_REQUEST,
    AnyControl,
    ControlAnswer,
    FaultAdd,
    FaultClear,
    FaultList,
    Journal,
    Show,
    Statistics,
    Tamper,
)
from treeward.schemas.units import explain_validation


class Control:
    """Answers the lines of a control connection."""

    def __init__(self, engine: Engine, books: Books) -> None:
        self._engine = engine
        self._books = books

    def handle(self, line: bytes, caller: Caller) -> None:
        """Carry out one line and deliver its answer."""
        try:
            request = CONTROL_REQUEST.validate_json(line)
        except ValidationError as error:
            answer = ControlAnswer(seq=number_of(line), status="invalid", error=explain_validation(error))
        else:
            answer = self._answer(request)
            answer.seq = request.seq
        caller.deliver(answer.model_dump_json(exclude_none=True).encode() + b"\n")

    def _answer(self, request: AnyControl) -> ControlAnswer:
        match request:
            case FaultAdd():
                return ControlAnswer(faults=[self._engine.faults.add(request.fault)])
            case FaultList():
                return ControlAnswer(faults=self._engine.faults.tell())
            case FaultClear():
                cleared = self._engine.clear_faults(request.number)
                if request.number is not None and not cleared:
                    return ControlAnswer(status="invalid", error=f"there is no fault {request.number}")
                return ControlAnswer(faults=cleared)
            case Journal():
                # What has just happened is not in the file yet; a reader of the journal must not miss it.
                self._engine.commit()
                wanted = {"zone": request.zone, "kind": request.kind, "resource": request.id}
                return ControlAnswer(calls=self._books.read(wanted, after=request.after, limit=request.limit))
            case Show():
                return ControlAnswer(shown=self._engine.show(Address(request.zone, request.kind, request.id)))
            case Tamper():
                address = Address(request.zone, request.kind, request.id)
                refused = self._engine.tamper(address, request.definition)
                if refused is not None:
                    return ControlAnswer(status="invalid", error=refused)
                return ControlAnswer(shown=self._engine.show(address))
            case Statistics():
                return ControlAnswer(statistics=self._engine.statistics())
