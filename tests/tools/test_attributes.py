"""docs/tracing.md lists every attribute that a span can have, and every value of those that have few."""

from tests.tools.attributes import ANY, documented

from treeward.schemas.device import Status
from treeward.schemas.events import OUTCOMES, Verdict
from treeward.telemetry import names


def test_every_attribute_is_documented_and_no_other() -> None:
    constants = {value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)}
    ours = {value for value in constants if value.startswith(("treeward.", "messaging."))}
    assert set(documented()) == ours


def test_what_can_be_grouped_by_has_the_values_that_are_documented() -> None:
    table = documented()
    assert {str(one) for one in OUTCOMES} | {str(one) for one in Status} - {"ok"} <= table[names.OUTCOME]
    assert {*map(str, Verdict), "None"} == table[names.VERDICT]
    for key in (
        names.MESSAGING_SYSTEM, names.MESSAGING_OPERATION_NAME, names.MESSAGING_OPERATION_TYPE,
        names.MESSAGING_DESTINATION_TEMPLATE,
    ):  # fmt: skip
        assert {fixed[key] for fixed in names.FIXED.values()} == table[key]
    bounded = {name for name, values in table.items() if values != ANY}
    assert not bounded & {names.RESOURCE, names.TICKET, names.LIFE, names.POSITION}
