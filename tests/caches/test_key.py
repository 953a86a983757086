"""Equal requests have equal keys; a change of anything that may change the answer changes the key."""

from __future__ import annotations

import io
import json
from copy import deepcopy
from dataclasses import replace
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import ROUTE

from aws_bedrock_inference.caches.key import content_of, key_of
from aws_bedrock_inference.call import Call, Estimate, Timeout

HERE = replace(ROUTE, account="111122223333", endpoint="e", principal="p")
PARAMS: dict[str, Any] = {
    "modelId": "us.amazon.nova-lite-v1:0",
    "messages": [
        {"role": "user", "content": [{"text": "Why?"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}]}
    ],
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 100, "temperature": 0.0, "topP": 0.5, "stopSequences": ["END"]},
    "toolConfig": {"tools": [{"toolSpec": {"name": "clock", "inputSchema": {"json": {"type": "object"}}}}]},
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    "additionalModelRequestFields": {"reasoning_effort": "low", "top_k": 1},
    "additionalModelResponseFieldPaths": ["/stop_sequence"],
    "performanceConfig": {"latency": "standard"},
    "serviceTier": {"type": "default"},
    "outputConfig": {"effort": "high", "textFormat": {"type": "json_schema", "structure": {"a": False}}},
    "projectIdentifier": "project",
    "promptVariables": {"name": {"text": "Ada"}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def key(params: Any, operation: str = "converse", route: Any = HERE, *, shared: bool = False, **fields: Any) -> Any:
    found = content_of(params)
    return None if found is None else key_of(Call(operation, params, route, **fields), found, shared=shared)


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def places(value: Any, path: tuple[Any, ...] = ()) -> Any:
    """Yield the path of each value that holds no other."""
    if isinstance(value, (dict, list)) and value:
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[name], (*path, name))
    else:
        yield path


def changed(params: Any, path: tuple[Any, ...], new: Any) -> Any:
    copied = deepcopy(params)
    place = copied
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = new
    return copied


@pytest.mark.parametrize("path", [pytest.param(path, id=".".join(map(str, path))) for path in places(PARAMS)])
def test_a_change_of_any_value_changes_the_key(path: Any) -> None:
    values: list[Any] = ["another", 7, None, b"another", [], {}, True]
    others = [changed(PARAMS, path, new) for new in values]
    keys = {key(PARAMS), *map(key, others)}
    assert len(keys) == len(others) + 1


@pytest.mark.parametrize("name", [name for name in PARAMS if name not in ("modelId", "messages")])
def test_a_member_that_is_left_out_changes_the_key(name: str) -> None:
    assert key({other: value for other, value in PARAMS.items() if other != name}) != key(PARAMS)


@pytest.mark.parametrize(
    ("field", "value"),
    [("region", "eu-west-1"), ("endpoint", "other"), ("account", "444455556666"), ("principal", "other")],
)
def test_a_change_of_the_route_changes_the_key(field: str, value: str) -> None:
    other = replace(HERE, **{field: value})
    assert key(PARAMS, route=other) != key(PARAMS)
    who = field in ("account", "principal")
    assert (key(PARAMS, route=other, shared=True) == key(PARAMS, shared=True)) is who


def test_operations_have_keys_of_their_own_but_for_a_stream_that_is_collected() -> None:
    keys = [key(PARAMS, operation) for operation in ("converse", "converse_stream", "invoke_model")]
    assert len(set(keys)) == 3
    assert key(PARAMS, "converse_stream", collected=True) == keys[0]


def test_what_does_not_change_the_answer_does_not_change_the_key() -> None:
    labelled = {**PARAMS, "requestMetadata": {"team": "search"}}
    assert key(labelled) == key(PARAMS)
    fields: dict[str, Any] = {
        "estimate": Estimate(1, 2),
        "timeout": Timeout(idle=7),
        "arrived": 3.0,
        "deadline": 9.0,
        "priority": 2.0,
    }
    assert key(PARAMS, **fields, plain=True) == key(PARAMS)


class Text(StrEnum):
    WHY = "Why?"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0, 0.0),
        (0, -0.0),
        (10**22, 1e22),
        (b"abc", bytearray(b"abc")),
        ("Why?", Text.WHY),
        ((1, 2), [1, 2]),
    ],
)
def test_equal_values_of_other_types_have_equal_keys(one: Any, other: Any) -> None:
    assert key({"a": one}) == key({"a": other}) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0, False),
        (1, True),
        (1, "1"),
        (None, "None"),
        (None, False),
        ([], {}),
        ("", b""),
        ([["a", 1]], {"a": 1}),
        ("é", "e\u0301"),
        (0.1, 0.1000000000000001),
        ([1, [2]], [[1], 2]),
        ({"a": {"b": 1}}, {"a": {}, "b": 1}),
    ],
)
def test_other_values_have_other_keys(one: Any, other: Any) -> None:
    assert key({"a": one}) != key({"a": other})


@given(JSON)
def test_the_order_of_members_does_not_matter(value: Any) -> None:
    assert key({"a": value}) == key({"a": reordered(value)})


@given(JSON, JSON)
def test_only_equal_values_have_equal_keys(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    if same:
        assert key({"a": one}) == key({"a": other})
    elif key({"a": one}) == key({"a": other}):
        assert one == other  # 1 and 1.0


@given(JSON.filter(lambda value: isinstance(value, dict)), st.sampled_from([None, 1, 4]))
def test_a_body_counts_by_what_it_says(body: Any, indent: int | None) -> None:
    def of(content: Any) -> Any:
        return key({"modelId": "m", "body": content}, "invoke_model")

    text = json.dumps(body)
    other = json.dumps(reordered(body), indent=indent, ensure_ascii=False)
    assert of(text) == of(text.encode()) == of(io.BytesIO(text.encode())) is not None
    if "\\ud" not in text:
        assert of(other.encode()) == of(text)
    assert of(json.dumps({**body, "another one": 1})) != of(text)


def test_a_body_that_readers_may_read_differently_counts_by_its_bytes() -> None:
    twice = '{"temperature": 1, "temperature": 0}'
    bodies = [twice, '{"temperature": 0}', '{"temperature": 1}', twice + " ", b"\xff\xfe", "[1", ""]
    assert len({key({"modelId": "m", "body": body}, "invoke_model") for body in bodies}) == len(bodies)


def test_a_file_is_put_back_and_one_that_can_be_read_only_once_has_no_key() -> None:
    file = io.BytesIO(b'xx{"a": 1}')
    file.seek(2)
    assert key({"body": file}, "invoke_model") == key({"body": '{"a":1}'}, "invoke_model")
    assert file.tell() == 2

    class Pipe(io.RawIOBase):
        def readable(self) -> bool:
            return True

    assert key({"body": Pipe()}, "invoke_model") is None
    assert key({"a": object()}) is None


def test_a_value_that_holds_itself_has_no_key() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert key({"a": endless}) is None
