"""Create a value that a JSON schema allows. The same schema always produces the same value.

Existing libraries for this need large dependencies: hypothesis-jsonschema needs Hypothesis, and jsf needs Faker. The
tests of this module check its results with `jsonschema`.
"""

from __future__ import annotations

import json
from math import inf
from typing import Any

from aws_bedrock_inference.simulator.pattern_example import pattern_example
from aws_bedrock_inference.simulator.pattern_match import matches
from aws_bedrock_inference.simulator.scalar_example import (
    LONGEST,
    TEXT,
    Impossible,
    integer,
    number,
    string,
    varied,
    whole,
)
from aws_bedrock_inference.simulator.schema_references import REFERENCES, referred, resolved
from aws_bedrock_inference.simulator.schema_rules import merged, stated_limits, types, violates

_MOST_STEPS = 3000  # maximum number of schemas read for one example; a schema of 64 KB contains about 3000
_DESCRIPTION = 2000  # number of characters that are read at the end of a description
_MOST_ITEMS = 1000  # maximum items of an array, and maximum members of an object that its schema does not name


def example(schema: Any) -> Any:
    """Return a value that the schema allows. Return a text if no value is allowed or the schema is not understood.

    The value has all optional members of an object, because real models also fill in every member. If the optional
    members violate a rule of the schema, the value has only the required members.
    """
    value: Any = TEXT
    for full in (True, False):
        try:
            value = _Maker(schema, full=full).make(schema)
            if not violates(schema, schema, value):
                break
        except (Impossible, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
            continue
    return value


def object_example(schema: Any) -> dict[str, Any]:
    """Return an example of the input of a tool. It is an object, even if the schema allows other types."""
    if isinstance(schema, dict):
        schema = {**schema, "type": "object"}
    value = example(schema)
    return value if isinstance(value, dict) else {}


class _Maker:
    """Creates the value for one JSON schema, in a limited number of steps. References in the schema, such as
    `#/$defs/X`, are resolved from its root.
    """

    def __init__(self, root: Any, *, full: bool) -> None:
        self._root = root
        self._full = full
        self._steps = _MOST_STEPS
        self._entered: list[str] = []

    def make(self, schema: Any, variant: int = 0) -> Any:
        """Return a value that the JSON schema allows. Another `variant` selects a different value, if the schema allows
        several.
        """
        self._steps -= 1
        if schema is False or self._steps < 0:
            raise Impossible
        if not isinstance(schema, dict):
            return varied(TEXT, variant)
        # Some libraries write unused keywords as null or as an empty list.
        schema = {key: value for key, value in schema.items() if key == "const" or (value is not None and value != [])}
        schema = {**stated_limits(str(schema.get("description", ""))[-_DESCRIPTION:]), **schema}
        reference = referred(schema)
        if reference is None:
            return self._composed(schema, variant)
        # The smallest value of a recursive schema never contains another value of the same reference.
        if reference in self._entered:
            raise Impossible
        self._entered.append(reference)
        try:
            rest = {key: value for key, value in schema.items() if key not in REFERENCES}
            return self.make(merged(rest, resolved(self._root, reference)), variant)
        finally:
            self._entered.remove(reference)

    def _composed(self, schema: dict[str, Any], variant: int) -> Any:
        """Return a value that satisfies every schema in `allOf`, at least one schema in `anyOf`, and exactly one schema
        in `oneOf`. The value also satisfies all other keywords of the schema.
        """
        for key in ("allOf", "anyOf", "oneOf"):
            branches = schema.get(key)
            if isinstance(branches, list) and branches:
                rest = {name: value for name, value in schema.items() if name != key}
                if key == "allOf":
                    for branch in branches:
                        rest = merged(rest, branch)
                    return self.make(rest, variant)
                return self._branch(rest, branches, variant, exclusive=key == "oneOf")
        return self._conditional(schema, variant)

    def _branch(self, rest: dict[str, Any], branches: list[Any], variant: int, *, exclusive: bool) -> Any:
        for branch in branches:
            for another in (variant, variant + 1, variant + 2) if exclusive else (variant,):
                try:
                    value = self.make(merged(rest, branch), another)
                except Impossible:
                    break
                others = [other for other in branches if other is not branch] if exclusive else []
                if all(violates(self._root, other, value) for other in others):
                    return value
        raise Impossible

    def _conditional(self, schema: dict[str, Any], variant: int) -> Any:
        condition = schema.get("if")
        if condition is None:
            return self._allowed(schema, variant)
        rest = {key: value for key, value in schema.items() if key not in {"if", "then", "else"}}
        for then, instead in ((schema.get("then"), False), (schema.get("else"), True)):
            wanted = merged(rest, then if then is not None else True)
            try:
                value = self.make(wanted if instead else merged(wanted, condition), variant)
            except Impossible:
                continue
            if violates(self._root, condition, value) is instead:
                return value
        raise Impossible

    def _allowed(self, schema: dict[str, Any], variant: int) -> Any:
        """Return a value that the keywords `not`, `const` and `enum` of the schema allow."""
        banned = schema.get("not")
        if banned is None:
            return self._listed(schema, variant)
        for kind in types(schema):
            for another in range(variant, variant + 8):
                try:
                    value = self._listed({**schema, "type": kind}, another)
                except Impossible:
                    break
                if violates(self._root, banned, value):
                    return value
        raise Impossible

    def _listed(self, schema: dict[str, Any], variant: int) -> Any:
        if "const" in schema:
            values = [schema["const"]]
        elif isinstance(schema.get("enum"), list) and schema["enum"]:
            values = schema["enum"]
        else:
            return self._shown(schema, variant)
        bare = {key: value for key, value in schema.items() if key not in {"enum", "const"}}
        fitting = [value for value in values if not violates(self._root, bare, value)]
        if not fitting:
            raise Impossible
        return fitting[variant % len(fitting)]

    def _shown(self, schema: dict[str, Any], variant: int) -> Any:
        """Return a value from the `examples` of the schema, or its `default`. Create a value if the schema has neither,
        or if the value found there violates the schema.
        """
        shown = schema.get("examples")
        shown = [*(shown if isinstance(shown, list) else []), *([schema["default"]] if "default" in schema else [])]
        bare = {key: value for key, value in schema.items() if key not in {"examples", "default"}}
        if variant < len(shown) and not violates(self._root, bare, shown[variant]):
            return shown[variant]
        return self._typed(bare, variant)

    def _typed(self, schema: dict[str, Any], variant: int) -> Any:
        makers = {"string": string, "number": number, "integer": integer}
        for kind in types(schema):
            try:
                if kind == "object":
                    return self._object(schema, variant)
                if kind == "array":
                    return self._array(schema, variant)
                if kind in makers:
                    return makers[kind](schema, variant)
            except Impossible:
                continue
            if kind in {"boolean", "null"}:
                return None if kind == "null" else variant % 2 == 0
        raise Impossible

    def _object(self, schema: dict[str, Any], variant: int) -> dict[str, Any]:
        properties = _table(schema.get("properties"))
        required = schema.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        made = {name: self.make(self._member(schema, name), variant) for name in dict.fromkeys(names)}
        if self._full:
            self._fill(made, schema, list(properties), variant, limit=whole(schema.get("maxProperties"), inf))
        dependent = _table(schema.get("dependentRequired"))
        while wanted := [name for key in made for name in dependent.get(key) or () if name not in made]:
            made |= {name: self.make(self._member(schema, name), variant) for name in wanted}
        least = whole(schema.get("minProperties"), 0)
        if len(made) < least:
            self._fill(made, schema, [*properties, *self._new_names(schema, least)], variant, limit=least)
        if len(made) < least or len(made) > whole(schema.get("maxProperties"), inf):
            raise Impossible
        return made

    def _fill(
        self, made: dict[str, Any], schema: dict[str, Any], names: list[str], variant: int, *, limit: float
    ) -> None:
        for name in names:
            if len(made) < limit and name not in made:
                try:
                    made[name] = self.make(self._member(schema, name), variant)
                except Impossible:
                    continue

    def _new_names(self, schema: dict[str, Any], count: float) -> list[str]:
        patterns = list(_table(schema.get("patternProperties")))
        naming = schema.get("propertyNames")
        naming = merged({"type": "string"}, naming if naming is not None else True)
        count = min(int(count) + 2, _MOST_ITEMS)
        made = [str(self.make(naming, number)) for number in range(count)]
        return made + [name for pattern in patterns if (name := pattern_example(pattern, 0, inf, 0)) is not None]

    def _member(self, schema: dict[str, Any], name: str) -> Any:
        """Return the schema of an object's member."""
        properties = _table(schema.get("properties"))
        found = [properties[name]] if name in properties else []
        found += [part for pattern, part in _table(schema.get("patternProperties")).items() if matches(pattern, name)]
        if not found:
            rest = schema.get("additionalProperties")
            return True if rest is None else rest
        member = found[0]
        for other in found[1:]:
            member = merged(member, other)
        return member

    def _array(self, schema: dict[str, Any], variant: int) -> list[Any]:
        items = schema.get("items")
        first = schema.get("prefixItems")
        if isinstance(items, list):  # before draft 2020-12
            first, items = items, schema.get("additionalItems")
        first = first if isinstance(first, list) else []
        least, most = whole(schema.get("minItems"), 0), whole(schema.get("maxItems"), inf)
        contained = schema.get("contains")
        if contained is not None:
            needed = int(whole(schema.get("minContains"), 1))
            first = [*first, *[merged(items if items is not None else True, contained)] * min(needed, _MOST_ITEMS)]
        distinct = schema.get("uniqueItems") is True
        if least > min(most, _MOST_ITEMS if distinct else inf) or len(first) > _MOST_ITEMS:
            raise Impossible
        wanted = min(max(least, len(first), 1), most)
        made: list[Any] = []
        different = wanted if distinct else min(wanted, len(first) + 1)
        for position in range(int(different)):
            part = first[position] if position < len(first) else True if items is None else items
            try:
                made.append(self._distinct(part, made, variant) if distinct else self.make(part, variant))
            except Impossible:
                if position >= least and contained is None:
                    break
                raise
        # The remaining items are repetitions, up to more than any model can write, so that the answer is truncated.
        if made and different < wanted:
            made += made[-1:] * int(min(wanted - different, LONGEST // len(json.dumps(made[-1]))))
        return made

    def _distinct(self, schema: Any, others: list[Any], variant: int) -> Any:
        used = {json.dumps(other, sort_keys=True) for other in others}
        for another in range(variant, variant + len(others) + 8):
            value = self.make(schema, another)
            if json.dumps(value, sort_keys=True) not in used:
                return value
        raise Impossible


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
