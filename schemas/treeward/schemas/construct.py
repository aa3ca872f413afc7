"""Building a model from values that are known to be right, at the price of a dictionary.

`model_construct` looks at every field of the model each time, aliases and factories included, and costs more than all
the rest of an event. What comes from outside is validated; this is for what we made ourselves.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

Model = TypeVar("Model", bound=BaseModel)


def constructor(model: type[Model]) -> Callable[[dict[str, Any]], Model]:
    """A function that makes a `model` of values, unchecked: every field without a default must be among them.

    Equal to `model.model_construct(**values)`, and serialized alike. For models without aliases, extra fields or
    private attributes.
    """
    fields = model.model_fields
    assert not any(field.alias or field.validation_alias for field in fields.values()), "aliases are not looked at"
    assert not model.__private_attributes__ and model.model_config.get("extra") != "allow", "nothing beyond its fields"
    template: dict[str, Any] = {
        name: None if field.is_required() else field.get_default() for name, field in fields.items()
    }
    factories = [(name, field.default_factory) for name, field in fields.items() if field.default_factory is not None]
    assert not any(isinstance(value, list | dict | set) for value in template.values()), "a default would be shared"
    new, put = model.__new__, object.__setattr__

    def construct(values: dict[str, Any]) -> Model:
        made = new(model)
        content = template | values  # in the order in which the model names them, as it is serialized
        for name, factory in factories:
            if name not in values:
                content[name] = factory()  # type: ignore[call-arg]  # none of ours takes the other fields
        put(made, "__dict__", content)
        put(made, "__pydantic_fields_set__", set(values))
        put(made, "__pydantic_extra__", None)
        put(made, "__pydantic_private__", None)
        return made

    return construct
