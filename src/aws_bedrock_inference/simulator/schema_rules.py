"""Calculate with JSON schemas: combine two schemas, and check whether a schema allows a value."""

from __future__ import annotations

import json
import re
from itertools import islice
from math import inf, lcm
from typing import Any

from aws_bedrock_inference.simulator.pattern_match import matches
from aws_bedrock_inference.simulator.schema_references import referred, resolved

_SHAPES: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "string": ("pattern", "format", "minLength", "maxLength"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
_STATED_NUMBER = re.compile(
    r"\b((?:min|max)(?:Items|Length|Properties)|(?:exclusiveM|m)(?:in|ax)imum|multipleOf)"
    r"[:=] ?(-?\d{1,9}(?:\.\d{1,9})?)\b"
)
_WORDED = {
    "minimum number of items": "minItems",
    "maximum number of items": "maxItems",
    "minimum value": "minimum",
    "maximum value": "maximum",
    "exclusive minimum value": "exclusiveMinimum",
    "exclusive maximum value": "exclusiveMaximum",
    "minimum length": "minLength",
    "maximum length": "maxLength",
    "must be a multiple of": "multipleOf",
}
_WORDED_NUMBER = re.compile(rf"({'|'.join(sorted(_WORDED))}):? (-?\d{{1,9}}(?:\.\d{{1,9}})?)\b")
_STATED_PATTERN = re.compile(r"\{(?:[^{}]{0,200}, )?pattern: (.{1,500}?)(?:, \w{1,20}: [^{}]{0,200})?\}$")
_ALL = ("object", "array", "string", "number", "integer", "boolean", "null")
_PYTHON: dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
_DEEPEST = 60  # maximum number of references and nested schemas that are followed
_MOST_BRANCHES = 20  # maximum branches of a second `anyOf` that are combined with those of the first
_MOST_PAIRS = 400  # maximum pairs of branches of two `anyOf`; a third `anyOf` multiplies the pairs
_GREATEST = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_LEAST = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}


def types(schema: dict[str, Any]) -> list[str]:
    """Return the types that a schema allows. `null` is last, so that other types are tried before it."""
    given = schema.get("type")
    kinds = [kind for kind in (given if isinstance(given, list) else [given]) if kind in _ALL]
    if kinds:
        return sorted(kinds, key=lambda kind: kind == "null")
    if isinstance(given, (list, str)):
        return []
    return [kind for kind, keys in _SHAPES.items() if any(schema.get(key) is not None for key in keys)] or ["string"]


def stated_limits(description: str) -> dict[str, Any]:
    """Return the limits in the `description` of a JSON schema, such as a minimum number of items. A real model obeys
    these limits.

    Structured output refuses keywords such as `minItems`. Therefore client libraries write the limits into the
    description: anthropic writes `{minItems: 2}`, pydantic-ai writes `(minItems=2)`, and litellm writes
    `minimum number of items: 2`.
    """
    limits: dict[str, Any] = {name: json.loads(number) for name, number in _STATED_NUMBER.findall(description)}
    for words, number in _WORDED_NUMBER.findall(description):
        limits[_WORDED[words]] = json.loads(number)
    if pattern := _STATED_PATTERN.search(description):
        limits["pattern"] = pattern[1]
    return limits


def merged(one: Any, other: Any) -> Any:
    """Return a schema that allows only the values that both schemas allow."""
    if one is False or other is False:
        return False
    if not isinstance(one, dict):
        return other
    if not isinstance(other, dict):
        return one
    both = dict(one)
    for key, value in other.items():
        mine = both.get(key)
        both[key] = value if mine is None or mine == value else _together(key, mine, value, both)
    if both.get("type") == []:
        return False
    _close(one, other, both)
    if "prefixItems" in both:
        both["prefixItems"] = _leading(one, other)
    return both


def _leading(one: dict[str, Any], other: dict[str, Any]) -> list[Any]:
    """Return the `prefixItems` of a schema that combines two schemas: the rules for the first items of an array.

    The item at each position must satisfy both schemas. For example, `one` has 2 `prefixItems`, and `other` has 3. The
    third item must then satisfy the `items` of `one` and the third of the `prefixItems` of `other`.
    """
    lists = [schema.get("prefixItems") or [] for schema in (one, other)]
    rest = [schema.get("items", True) for schema in (one, other)]
    length = max(map(len, lists))
    left, right = ([*items, *[filler] * (length - len(items))] for items, filler in zip(lists, rest, strict=True))
    return [merged(first, second) for first, second in zip(left, right, strict=True)]


def _together(key: str, one: Any, other: Any, both: dict[str, Any]) -> Any:  # noqa: C901, PLR0911, PLR0912 - one case a keyword
    number = isinstance(one, (int, float)) and isinstance(other, (int, float))
    match key:
        case "type":
            return _common_types(one, other)
        case "enum":
            common = [value for value in one if value in other]
            if not common:
                both["type"] = []
            return common
        case "required":
            return [*one, *other]
        case "properties" | "patternProperties" | "$defs" | "dependentRequired":
            return {**one, **{name: merged(one[name], part) if name in one else part for name, part in other.items()}}
        case "items" | "additionalProperties" | "contains" | "propertyNames":
            return merged(one, other)
        case _ if number and key in _GREATEST:
            return max(one, other)
        case _ if number and key in _LEAST:
            return min(one, other)
        case "const":
            both["enum"] = []
            both["type"] = []
            return one
        case "allOf":
            return [*one, *other]
        case "anyOf" | "oneOf":
            return _product(one, other)
        case "$ref":  # cannot be followed here: the other reference becomes the only branch
            both["anyOf"] = _product(both.get("anyOf") or [True], [{"$ref": other}])
        case "not":
            return {"anyOf": [one, other]}
        case "multipleOf" if isinstance(one, int) and isinstance(other, int):
            return lcm(one, other)
    return one


def _product(one: list[Any], other: list[Any]) -> list[Any]:
    pairs = (merged(left, right) for left in one for right in other[:_MOST_BRANCHES])
    return [pair for pair in islice(pairs, _MOST_PAIRS) if pair is not False] or [False]


def _close(one: dict[str, Any], other: dict[str, Any], both: dict[str, Any]) -> None:
    """Add the rules of `additionalProperties` to the combined schema `both`.

    If only one of the two schemas names a property, this property is an additional property for the other schema.
    Therefore it must also satisfy `additionalProperties` of the other schema.
    """
    for closed, opened in ((one, other), (other, one)):
        rest = closed.get("additionalProperties")
        named, others = closed.get("properties"), opened.get("properties")
        if rest is None or closed.get("patternProperties") or not isinstance(others, dict):
            continue
        extra = [name for name in others if not isinstance(named, dict) or name not in named]
        both["properties"] = {**both["properties"], **{name: merged(others[name], rest) for name in extra}}


def _common_types(one: Any, other: Any) -> list[str]:
    left, right = ([kind] if isinstance(kind, str) else list(kind) for kind in (one, other))
    common = [kind for kind in left if kind in right]
    if "integer" in left + right and "number" in left + right and "integer" not in common:
        common.append("integer")
    return common


def violates(root: Any, schema: Any, value: Any, depth: int = 0) -> bool:
    """Return whether a value violates a schema."""
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return schema is False
    reference = referred(schema)
    if reference is not None and violates(root, resolved(root, reference), value, depth + 1):
        return True
    return (
        _composition(root, schema, value, depth + 1)
        or _scalar(schema, value)
        or (isinstance(value, dict) and _members(root, schema, value, depth + 1))
        or (isinstance(value, list) and _items(root, schema, value, depth + 1))
    )


def _composition(root: Any, schema: dict[str, Any], value: Any, depth: int) -> bool:
    def refused(parts: Any) -> list[bool]:
        return [violates(root, part, value, depth) for part in parts or ()]

    one = refused(schema.get("oneOf"))
    some = refused(schema.get("anyOf"))
    banned, condition = schema.get("not"), schema.get("if")
    if any(refused(schema.get("allOf"))) or (some and all(some)) or (one and one.count(False) != 1):
        return True
    if banned is not None and not violates(root, banned, value, depth):
        return True
    if condition is None:
        return False
    branch = schema.get("else" if violates(root, condition, value, depth) else "then")
    return branch is not None and violates(root, branch, value, depth)


def _scalar(schema: dict[str, Any], value: Any) -> bool:
    given = schema.get("type")
    if given is not None and not any(_is(kind, value) for kind in (given if isinstance(given, list) else [given])):
        return True
    if "const" in schema and not _same(schema["const"], value):
        return True
    if schema.get("enum") and not any(_same(allowed, value) for allowed in schema["enum"]):
        return True
    if isinstance(value, str):
        least, most, pattern = schema.get("minLength", 0), schema.get("maxLength", inf), schema.get("pattern")
        return not least <= len(value) <= most or (isinstance(pattern, str) and not matches(pattern, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _out_of_range(schema, value)


def _out_of_range(schema: dict[str, Any], value: float) -> bool:
    above, below = schema.get("exclusiveMinimum", -inf), schema.get("exclusiveMaximum", inf)
    low, high = schema.get("minimum", -inf), schema.get("maximum", inf)
    if isinstance(above, bool):  # draft 4
        above = low if above else -inf
    if isinstance(below, bool):
        below = high if below else inf
    step = schema.get("multipleOf")
    return not (low <= value <= high and above < value < below) or bool(step and (value / step) % 1)


def _members(root: Any, schema: dict[str, Any], value: dict[str, Any], depth: int) -> bool:
    properties, patterns = schema.get("properties") or {}, schema.get("patternProperties") or {}
    if any(name not in value for name in schema.get("required") or ()):
        return True
    if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", inf):
        return True
    for name, member in value.items():
        parts = [properties[name]] if name in properties else []
        parts += [part for pattern, part in patterns.items() if matches(pattern, name)]
        if any(violates(root, part, member, depth) for part in parts or [schema.get("additionalProperties", True)]):
            return True
        if violates(root, schema.get("propertyNames", True), name, depth):
            return True
    return False


def _items(root: Any, schema: dict[str, Any], value: list[Any], depth: int) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", inf):
        return True
    first, items = schema.get("prefixItems") or [], schema.get("items", True)
    parts = [*first, *[items] * max(0, len(value) - len(first))]
    if any(violates(root, part, item, depth) for part, item in zip(parts, value, strict=False)):
        return True
    return schema.get("uniqueItems") is True and any(
        _same(item, other) for position, item in enumerate(value) for other in value[:position]
    )


def _is(kind: Any, value: Any) -> bool:
    if kind in {"number", "integer"}:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and (kind == "number" or value % 1 == 0)
    return isinstance(value, _PYTHON.get(kind, ()))


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
