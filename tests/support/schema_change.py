"""What a change of a message's JSON Schema would break, with programs of the version before still running.

Both versions send and read during a rolling update: the new one must take whatever the old one sends, and the old one,
which ignores fields that it does not know, whatever the new one sends. So a field may be added, with a default; nothing
may be removed, renamed, required, narrowed or given another meaning.
"""

from typing import Any

Schema = dict[str, Any]
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME = ("type", "const", "pattern", "format")


def breaks(old: Schema, new: Schema) -> list[str]:
    """Each way in which `new` is no longer what `old` was, as a sentence; empty: the versions understand each other."""
    return _compare("", old, new, old, new, frozenset())


def _compare(
    at: str, old: Schema, new: Schema, old_root: Schema, new_root: Schema, seen: frozenset[tuple[str, str]]
) -> list[str]:
    pair = (old.get("$ref", ""), new.get("$ref", ""))
    if pair in seen and pair != ("", ""):
        return []
    seen |= {pair}
    old, new = _resolved(old, old_root), _resolved(new, new_root)
    where = at or "the message"
    said = _compare_here(where, old, new)
    fields, now = old.get("properties", {}), new.get("properties", {})
    for name, schema in fields.items():
        if name not in now:
            said.append(f"{at}.{name}: is gone")
        else:
            said += _compare(f"{at}.{name}", schema, now[name], old_root, new_root, seen)
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            said += _compare(f"{at}[]", old[key], new[key], old_root, new_root, seen)
    forms, forms_now = _forms(old), _forms(new)
    said += [f"{where}: the form {name} is gone" for name in sorted(forms.keys() - forms_now.keys())]
    said += [f"{where}: the form {name} is new" for name in sorted(forms_now.keys() - forms.keys())]
    for name in forms.keys() & forms_now.keys():
        said += _compare(at, {"$ref": forms[name]}, {"$ref": forms_now[name]}, old_root, new_root, seen)
    for key in () if forms and forms_now else ("anyOf", "oneOf", "allOf"):
        before, after = old.get(key, []), new.get(key, [])
        if len(before) != len(after):
            said.append(f"{where}: {key} had {len(before)} forms, has {len(after)}")
        for one, other in zip(before, after, strict=False):
            said += _compare(at, one, other, old_root, new_root, seen)
    return said


def _forms(schema: Schema) -> dict[str, str]:
    """Name of each form of a value whose form a field tells -> where it is defined; empty: none does."""
    forms: dict[str, str] = schema.get("discriminator", {}).get("mapping", {})
    return forms


def _compare_here(where: str, old: Schema, new: Schema) -> list[str]:
    """What a schema says of a value itself, without its members."""
    said = [
        f"{where}: {key} was {old.get(key)!r}, is {new.get(key)!r}" for key in _SAME if old.get(key) != new.get(key)
    ]
    if "default" in old and old["default"] != new.get("default"):
        said.append(f"{where}: its default was {old['default']!r}, is {new.get('default')!r}")
    if set(old.get("enum", ())) != set(new.get("enum", ())):
        said.append(f"{where}: its values were {old.get('enum')}, are {new.get('enum')}")
    said += [f"{where}: {key} is narrower" for key in _LOWER if new.get(key, -1e300) > old.get(key, -1e300)]
    said += [f"{where}: {key} is narrower" for key in _UPPER if new.get(key, 1e300) < old.get(key, 1e300)]
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        said.append(f"{where}: {name} is required now")
    for name in sorted(set(old.get("required", ())) - set(new.get("required", ()))):
        said.append(f"{where}: {name} may be left out now, which the version before does not take")
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        said.append(f"{where}: unknown fields are refused now")
    return said


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema that a reference names, with what stands beside the reference."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
