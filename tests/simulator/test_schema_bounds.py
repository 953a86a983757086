"""Schemas that are too demanding: an answer is still returned, and truncated if it cannot end."""

from __future__ import annotations

import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.simulated_account import HAIKU, Account, tokens

from aws_bedrock_inference.simulator.pattern_match import matches
from aws_bedrock_inference.simulator.schema_example import example

# `re` needs longer than the age of the world for each of these.
CATASTROPHES: dict[str, dict[str, Any]] = {
    "a default": {"pattern": "^(a+)+$", "default": "a" * 60 + "!"},
    "an example": {"pattern": r"^(\w+\s?)*$", "examples": ["word " * 20 + "!!"]},
    "an enum": {"pattern": "^(a|a)*$", "enum": ["a" * 60 + "b", "a"]},
    "a constant": {"pattern": "^([a-z0-9]+)*$", "const": "a" * 60 + "-"},
    "a description": {"description": "a text {pattern: ^(a+)+$}", "default": "a" * 60 + "!"},
    "a text that must be written": {"pattern": "^(x+x+)+y$", "minLength": 40},
    "a text that cannot be written": {"pattern": "(x+)*(?!x)z(?<=q)"},
    "a repetition of repetitions": {"pattern": "^(((a{100}){100}){100}){100}$"},
    "a reference to a group": {"pattern": r"^(a+)+\1$", "default": "a" * 60 + "!"},
}


@pytest.mark.parametrize("case", CATASTROPHES)
def test_a_pattern_with_catastrophic_backtracking_is_answered(case: Any) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", **CATASTROPHES[case]}}, "required": ["a"]}
    assert asked(schema).json["stopReason"] == "tool_use"


def test_property_names_are_matched_in_bounded_time() -> None:
    name = "a" * 60 + "!"
    schema = {"type": "object", "patternProperties": {"^(a+)+$": {"type": "integer"}}, "required": [name]}
    assert example(schema) == {name: "simulated"}


PIECES = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", r"\s", r"\b", "^", "$", "1", " ", "(?<=a)"])
PATTERNS = st.recursive(
    PIECES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{1,3}", "{2,}"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
        inner.map(lambda one: f"(?={one})"),
        inner.map(lambda one: f"(?!{one})"),
    ),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(pattern=PATTERNS, text=st.text("ab1 -", max_size=8))
def test_the_matcher_agrees_with_re(pattern: Any, text: Any) -> None:
    assert matches(pattern, text) == (re.search(pattern, text) is not None)


@pytest.mark.parametrize("pattern", ["(?i)^SIM[a-u]*$", r"^\p{Ll}+$", "^(?<word>sim)ulated$"])
def test_patterns_in_the_syntax_of_other_languages_match(pattern: Any) -> None:
    assert matches(pattern, "simulated")
    assert not matches(pattern, "simulated!")


ENDLESS = {
    "minItems": {"type": "array", "items": {"type": "string"}, "minItems": 10**9},
    "minItems of lists": {
        "type": "array",
        "minItems": 900,
        "items": {"type": "array", "items": {"type": "integer"}, "minItems": 900},
    },
    "minLength": {"type": "string", "minLength": 10**9},
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_value_longer_than_any_answer_is_truncated_and_reported(case: Any) -> None:
    schema = {"type": "object", "properties": {"a": ENDLESS[case]}, "required": ["a"]}
    whole = asked(schema, maximum=4000).json
    assert (whole["stopReason"], whole["usage"]["outputTokens"]) == ("max_tokens", 4000)
    stream = dict(asked(schema, maximum=4000, stream=True).events)
    assert stream["messageStop"]["stopReason"] == "max_tokens"


def test_a_list_within_the_limit_has_all_its_items() -> None:
    schema = {"type": "array", "items": {"type": "string"}, "minItems": 5000}
    assert len(example(schema)) == 5000


def test_not_every_combination_of_many_branches_is_tried() -> None:
    branches = [
        {"anyOf": [{"properties": {f"{row}{column}": {"type": "string"}}} for column in range(12)]} for row in range(8)
    ]
    schema = {"type": "object", "allOf": branches}
    jsonschema.validate(example(schema), schema)


REFERENCES = {
    "an id, as TypeBox writes recursive types": {
        "$id": "Node",
        "type": "object",
        "properties": {"name": {"type": "integer"}, "nodes": {"type": "array", "items": {"$ref": "Node"}}},
        "required": ["name", "nodes"],
    },
    "an id of a definition": {
        "$id": "https://example.com/tree",
        "$defs": {"leaf": {"$id": "leaf", "type": "integer", "minimum": 7}},
        "$ref": "leaf",
    },
    "an anchor": {"$ref": "#leaf", "$defs": {"any": {"$anchor": "leaf", "type": "boolean"}}},
    "a dynamic anchor": {"$dynamicRef": "#leaf", "$defs": {"any": {"$dynamicAnchor": "leaf", "type": "null"}}},
}


@pytest.mark.parametrize("case", REFERENCES)
def test_references_by_name_are_followed(case: Any) -> None:
    value = example(REFERENCES[case])
    jsonschema.Draft202012Validator(REFERENCES[case]).validate(value)
    assert value != "simulated"


@pytest.mark.parametrize(("step", "found"), [(0.5, 1), (1e-08, 1), (0.75, 3), (0.123456789, 123456789), (10, 10)])
def test_an_integer_that_is_a_multiple_of_a_fraction_is_found(step: Any, found: Any) -> None:
    assert example({"type": "integer", "multipleOf": step}) == found


def asked(schema: Any, *, maximum: int = 60_000, stream: bool = False) -> Any:
    tool = {"toolSpec": {"name": "t", "inputSchema": {"json": schema}}}
    config = {"tools": [tool], "toolChoice": {"any": {}}}
    return Account().converse(model=HAIKU, stream=stream, toolConfig=config, **tokens(maximum))
