"""Answers are checked against the caller's schema if a validator is installed, and no reference is fetched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aws_bedrock_inference.dialects import json_schema
from aws_bedrock_inference.dialects.json_schema import violation


@pytest.fixture
def without_validator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_schema, "find_spec", lambda name: None)
    for kept in (json_schema.is_installed, json_schema._validator):
        kept.cache_clear()
        monkeypatch.setattr(json_schema, kept.__name__, kept.__wrapped__)


def test_without_the_extra_only_the_json_syntax_is_checked(without_validator: None) -> None:
    schema = json.dumps({"type": "object"})
    assert violation(schema, "[1, 2]") is None
    assert violation(schema, "[1, 2") == "it is not well-formed JSON"


@pytest.mark.parametrize(
    ("schema", "text", "broken"),
    [
        ({"type": "object"}, "[1]", "type"),
        ({"properties": {"a": {"enum": [1, 2]}}}, '{"a": 3}', "properties/a/enum"),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "null"}]}, "[1]", "items/0/type"),
        ({"additionalProperties": False}, '{"secret": 1}', "additionalProperties"),
    ],
)
def test_the_violated_rule_of_the_schema_is_named(schema: Any, text: str, broken: str) -> None:
    assert violation(json.dumps(schema), text) == f"it violates the rule {broken}"


def test_references_inside_the_schema_are_followed() -> None:
    schema = {"$defs": {"n": {"type": "number"}}, "items": {"$ref": "#/$defs/n"}}
    assert violation(json.dumps(schema), "[1]") is None
    assert violation(json.dumps(schema), '["x"]') is not None


@pytest.mark.parametrize(
    "schema",
    [
        "no JSON",
        '{"type": 3}',
        "[]",
        '{"$ref": "https://example.org/other.json"}',
        '{"pattern": "(?P<"}',
        '{"$ref": "#"}',
        '{"$ref": "#/$defs/none"}',
    ],
)
def test_an_unusable_schema_requires_only_valid_json(schema: str) -> None:
    assert violation(schema, '"text"') is None
    assert violation(schema, '"tex') == "it is not well-formed JSON"


def test_a_text_that_is_nested_too_deeply_is_not_json() -> None:
    assert violation("{}", "[" * 100_000) == "it is not well-formed JSON"
