"""Every message reads back as it was written, and whatever its JSON Schema allows, the model reads.

The values are drawn from the JSON Schemas, so this also says that the published schemas and the models agree.
"""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from treeward.schemas import generate

ANYTHING = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=5)
NAMES = st.text("abcxyz019_-", min_size=1, max_size=8)


MOMENTS = st.integers(0, 2**32).map(lambda second: datetime.fromtimestamp(second, timezone(timedelta(hours=2))))


def drawn_from(schema: Any, root: dict[str, Any], known: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """Values that a schema allows; of JSON Schema, what pydantic writes. `known` has the definitions already met."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name not in known:
            known[name] = st.deferred(lambda: drawn_from(root["$defs"][name], root, known))
        return known[name]
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return st.one_of([drawn_from(option, root, known) for option in options])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "object":
        return drawn_object(schema, root, known)
    if schema.get("type") == "array":
        members = drawn_from(schema.get("items", {}), root, known)
        return st.lists(members, min_size=schema.get("minItems", 0), max_size=2)
    return drawn_scalar(schema)


def drawn_scalar(schema: Any) -> st.SearchStrategy[Any]:
    above = schema.get("exclusiveMinimum")
    match schema.get("type"):
        case "string" if schema.get("format") == "date-time":
            return MOMENTS.map(datetime.isoformat)
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"].replace("$", r"\Z"), alphabet=st.characters(codec="ascii"))
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=min(8, schema.get("maxLength", 8)))
        case "integer":
            low = schema.get("minimum", -1000) if above is None else above + 1
            return st.integers(low, schema.get("maximum", 2**53))
        case "number":
            low = schema.get("minimum", 0) if above is None else above
            return st.floats(float(low), float(schema.get("maximum", 1e9)), exclude_min=above is not None)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
    return ANYTHING


def drawn_object(
    schema: Any, root: dict[str, Any], known: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    if "properties" in schema:
        members = {name: drawn_from(value, root, known) for name, value in schema["properties"].items()}
        required = {name: members.pop(name) for name in schema.get("required", [])}
        return st.fixed_dictionaries(required, optional=members)
    patterns = list(schema.get("patternProperties", {}).values())
    extra = patterns[0] if patterns else schema.get("additionalProperties", True)
    values = ANYTHING if extra is True else drawn_from(extra, root, known)
    return st.dictionaries(NAMES, values, min_size=schema.get("minProperties", 0), max_size=2)


BEYOND_SCHEMA = {"device-control-request", "device-control-answer", "topology"}
"""Messages with rules between fields, which JSON Schema does not say: they may be refused, but never misread."""


@pytest.mark.parametrize("name", generate.MODELS)
def test_a_message_reads_back_as_it_was_written(name: str) -> None:
    model = generate.MODELS[name]
    adapter: TypeAdapter[Any] = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    schema = generate.schema_of(name)
    checker = jsonschema.Draft202012Validator(schema)

    # Drawn from the schema, most of what is drawn is large and much of it is thrown away: that is no fault of a model.
    @settings(max_examples=40, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(drawn_from(schema, schema, {}))
    def reads_back(drawn: Any) -> None:
        body = json.dumps(drawn)
        try:
            message = adapter.validate_json(body)
        except ValueError:
            assert name in BEYOND_SCHEMA, body
            return
        written = adapter.dump_json(message)
        assert adapter.validate_json(written) == message
        checker.validate(json.loads(written))

    reads_back()
