"""Examples made from JSON schemas, checked by `jsonschema` and pydantic, which share no code with the simulator."""

from __future__ import annotations

import datetime as dt  # noqa: TC003 - as decimal
import decimal  # noqa: TC003 - pydantic reads the annotations
import enum
import ipaddress  # noqa: TC003 - as decimal
import json
import uuid  # noqa: TC003 - as decimal
from typing import Annotated, Any, Literal, Optional

import jsonschema  # type: ignore[import-untyped]
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from aws_bedrock_inference.simulator.schema_example import example, object_example

NODE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
    "required": ["name", "next"],
}
SCHEMAS: dict[str, Any] = {
    "$ref": {"$ref": "#/$defs/Name", "$defs": {"Name": {"type": "string", "minLength": 12}}},
    "$ref beside other keywords": {
        "$ref": "#/definitions/Name",
        "maxLength": 3,
        "definitions": {"Name": {"type": "string"}},
    },
    "a recursive reference": {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
    "a tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
    "const": {"const": {"a": [1, None]}},
    "const null": {"const": None},
    "enum": {"enum": [None, "a"]},
    "enum and type": {"type": "string", "enum": [1, "a"]},
    "anyOf": {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "null"}]},
    "anyOf with a branch that is impossible": {"anyOf": [False, {"type": "string", "maxLength": 2}]},
    "oneOf, told apart": {
        "oneOf": [
            {"type": "object", "properties": {"kind": {"const": kind}}, "required": ["kind"]} for kind in ("a", "b")
        ]
    },
    "oneOf, overlapping": {"oneOf": [{"type": "integer", "multipleOf": 5}, {"type": "integer", "minimum": 1}]},
    "oneOf by required": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
    },
    "allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            {"properties": {"a": {"type": "integer", "minimum": 7}, "b": {"const": 1}}, "required": ["b"]},
        ]
    },
    "allOf of references": {
        "allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}],
        "$defs": {
            "A": {"properties": {"a": {"const": 1}}, "required": ["a"]},
            "B": {"required": ["b"], "type": "object"},
        },
    },
    "allOf of anyOf": {
        "allOf": [
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "null"}, {"type": "integer", "minimum": 8}]},
        ]
    },
    "allOf of multiples": {"allOf": [{"type": "integer", "multipleOf": 4}, {"multipleOf": 6}, {"minimum": 1}]},
    "not": {"type": ["string", "integer"], "not": {"type": "string"}},
    "if, then, else": {
        "type": "object",
        "properties": {"country": {"enum": ["NO", "SE"]}, "zip": {"type": "string"}},
        "required": ["country"],
        "if": {"properties": {"country": {"const": "NO"}}},
        "then": {"required": ["zip"], "properties": {"zip": {"pattern": "^[0-9]{4}$"}}},
    },
    "minItems and maxItems": {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3},
    "no items": {"type": "array", "maxItems": 0},
    "uniqueItems": {"type": "array", "items": {"type": "string", "format": "uuid"}, "minItems": 4, "uniqueItems": True},
    "unique items of an enum": {
        "type": "array",
        "items": {"enum": ["a", "b", "c"]},
        "minItems": 3,
        "uniqueItems": True,
    },
    "prefixItems": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "minItems": 2},
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 9}, "minContains": 2},
    "minimum": {"type": "integer", "minimum": 12},
    "maximum": {"type": "number", "maximum": -0.5},
    "bounds without room": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.01},
    "multipleOf": {"type": "integer", "minimum": 10, "multipleOf": 7},
    "a multiple of a fraction": {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.25},
    "minLength and maxLength": {"type": "string", "minLength": 40, "maxLength": 41},
    "pattern": {"type": "string", "pattern": r"^[A-Z]{2}-\d{3,}(?:/[a-f]+)?$"},
    "pattern with a length": {"type": "string", "pattern": "^[a-z]+$", "minLength": 20, "maxLength": 20},
    "pattern without anchors": {"type": "string", "pattern": "cat|dog", "minLength": 9},
    "pattern with look-ahead": {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
    "pattern with groups": {"type": "string", "pattern": r"^(a|b)(\d{4})-\2$"},
    "pattern of what is not": {"type": "string", "pattern": r"^[^@\s]+@[^@\s.]+\.\w{2,}$"},
    "nullable": {"type": ["string", "null"]},
    "null first": {"type": ["null", "integer"]},
    "true": True,
    "nothing": {},
    "a member true": {"type": "object", "properties": {"any": True}, "required": ["any"]},
    "a member without a schema": {"type": "object", "required": ["any"]},
    "a member that cannot be": {"type": "object", "properties": {"never": False, "a": {"const": 1}}},
    "additionalProperties": {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2},
    "patternProperties": {"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "required": ["x-a"]},
    "propertyNames": {"type": "object", "propertyNames": {"pattern": "^[a-z]$"}, "minProperties": 1},
    "dependentRequired": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
        "required": ["a"],
        "dependentRequired": {"a": ["b"]},
    },
    "maxProperties": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "maxProperties": 1,
    },
    "a good default": {"type": "integer", "default": 40, "minimum": 30},
    "a wrong default": {"type": "integer", "default": 4, "minimum": 30},
}
FORMATS = ["date-time", "date", "time", "email", "ipv4", "ipv6", "uuid", "regex", "duration"]


def right(schema: Any, value: Any) -> None:
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(
        value
    )


@pytest.mark.parametrize("case", SCHEMAS)
def test_the_example_matches_its_schema(case: Any) -> None:
    right(SCHEMAS[case], example(SCHEMAS[case]))


@pytest.mark.parametrize("format_", FORMATS)
def test_string_formats_have_valid_examples(format_: Any) -> None:
    right({"type": "string", "format": format_}, example({"type": "string", "format": format_}))


def test_all_properties_are_filled_in_even_optional_ones() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "examples": ["Oslo"]}, "days": {"default": 3}},
    }
    assert example(schema) == {"city": "Oslo", "days": 3}


@pytest.mark.parametrize(
    "description",
    ["{minItems: 2}", "Tags (minItems=2)", "Note: minimum number of items: 2.", "Tags {minItems: 2, x: y}"],
)
def test_limits_that_clients_move_into_the_description_are_respected(description: Any) -> None:
    assert len(example({"type": "array", "items": {"type": "string"}, "description": description})) == 2


def test_patterns_in_javascript_syntax_are_supported() -> None:
    assert example({"type": "string", "pattern": r"^(?<year>\d{4})\/\k<year>$"}) == "1111/1111"
    assert example({"type": "string", "pattern": r"^\p{Lu}{2}[\p{Ll}-]\/\p{Nd}$"}) == "AAa/0"


def test_a_pattern_in_the_description_is_respected() -> None:
    assert example({"type": "string", "description": r"Zip\n\n{pattern: ^\d{5}$}"}) == "11111"


ODD: list[Any] = [
    {"type": "object", "properties": None, "required": None},
    {"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]},
    {"type": "object", "properties": 5, "required": "a", "additionalProperties": "x"},
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/Missing"}, "b": {"$ref": "https://example.com/schema"}}},
    {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "string", "minLength": "x", "maxLength": -1}}},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1e400}}},
    {"type": "array", "minItems": 10**9},
    {"type": "no-such-type"},
    {"anyOf": [], "allOf": None, "oneOf": "x"},
    None,
    [],
    "text",
    False,
]


@pytest.mark.parametrize("schema", ODD)
def test_the_input_of_a_tool_is_an_object_whatever_the_schema(schema: Any) -> None:
    value = object_example(schema)
    assert isinstance(value, dict)
    json.dumps(value, allow_nan=False)


def test_a_schema_that_refers_to_itself_many_times_takes_no_time() -> None:
    names = [f"N{number}" for number in range(12)]
    every = {name: {"$ref": f"#/$defs/{name}"} for name in names}
    schema = {"$defs": {name: {"type": "object", "properties": every} for name in names}, "$ref": "#/$defs/N0"}
    right(schema, example(schema))


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(ge=2, le=9)]


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: Annotated[list[str], Field(min_length=2)]


class Tree(BaseModel):
    name: str
    children: list[Tree]
    parent: Optional[Tree]  # noqa: UP045 - a model of Python 3.9's time


class Everything(BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pets: Annotated[list[Dog | Cat], Field(min_length=1)]
    color: Color
    tree: Tree
    when: dt.datetime
    day: dt.date
    at: dt.time
    took: dt.timedelta
    number: uuid.UUID
    host: ipaddress.IPv4Address
    network: ipaddress.IPv6Network
    price: decimal.Decimal
    share: Annotated[float, Field(gt=0, lt=1)]
    step: Annotated[int, Field(multiple_of=5, gt=5)]
    tags: Annotated[set[str], Field(min_length=3)]
    pair: tuple[int, str]
    prices: Annotated[dict[str, float], Field(min_length=1)]
    link: pydantic.HttpUrl
    secret: pydantic.SecretStr
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}\d{2}$")]
    name: Annotated[str, Field(min_length=20, max_length=25)]
    anything: Any
    maybe: int | None
    data: pydantic.Json[Any]
    other: str = "x"


@pytest.mark.parametrize("model", [Cat, Dog, Tree, Everything])
def test_schemas_of_pydantic_models_have_valid_examples(model: Any) -> None:
    model.model_validate_json(json.dumps(example(model.model_json_schema())))


# Schemas made around a value, so that each allows at least that one.
SCALARS = st.none() | st.booleans() | st.integers(-50, 50) | st.floats(-9, 9, width=16) | st.text("abc-1", max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def schemas(draw: Any, value: Any) -> Any:
    kind = draw(st.sampled_from(["typed", "typed", "typed", "const", "enum", "anyOf", "allOf", "ref"]))
    if kind == "const":
        return {"const": value}
    if kind == "enum":
        return {"enum": [draw(SCALARS), value]}
    if kind in {"anyOf", "allOf"}:
        other = draw(schemas(draw(VALUES))) if kind == "anyOf" else draw(typed(value))
        return {kind: draw(st.permutations([draw(typed(value)), other]))}
    inner = draw(typed(value))
    return {"$ref": "#/x", "x": inner} if kind == "ref" and not isinstance(value, (list, dict)) else inner


@st.composite
def typed(draw: Any, value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return {"type": "boolean" if value is not None else ["null", "string"]}
    if isinstance(value, (int, float)):
        bounds = {"minimum": value - draw(st.integers(0, 3)), "maximum": value + draw(st.integers(0, 3))}
        return {"type": "integer" if isinstance(value, int) else "number", **draw(st.sampled_from([bounds, {}]))}
    if isinstance(value, str):
        length = {"minLength": len(value), "maxLength": len(value) + draw(st.integers(0, 2))}
        pattern = {"pattern": "^[a-c1-]*$"}  # always the same, because two simultaneous patterns are not combined
        return {"type": "string", **draw(st.sampled_from([length, pattern, {}]))}
    if isinstance(value, list):
        items = [draw(typed(item)) for item in value]
        size = {"minItems": len(value), "maxItems": len(value)}
        return draw(
            st.sampled_from(
                [{"type": "array", "prefixItems": items, **size}, {"type": "array", "items": {"anyOf": items}}]
            )
            if items
            else st.just({"type": "array", "maxItems": 0})
        )
    members = {name: draw(typed(item)) for name, item in value.items()}
    closed = draw(st.sampled_from([{}, {"additionalProperties": False}, {"minProperties": len(value)}]))
    return {"type": "object", "properties": members, "required": sorted(value), **closed}


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_every_satisfiable_schema_has_an_example(data: Any) -> None:
    value = data.draw(VALUES)
    schema = data.draw(schemas(value))
    if isinstance(schema, dict) and "x" in schema:
        schema = {"$ref": "#/$defs/x", "$defs": {"x": schema["x"]}}
    right(schema, example(schema))
