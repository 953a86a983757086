"""Requests written without botocore: the same bytes, and botocore decides everything that is not certainly valid."""

from __future__ import annotations

import math
from collections import OrderedDict
from decimal import Decimal
from enum import StrEnum
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.transports import operations
from aws_bedrock_inference.transports.fast.request import never
from aws_bedrock_inference.transports.operations import Operation, _service, operation

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_REQUESTS = ["Converse", "CountTokens", "ApplyGuardrail", "StartAsyncInvoke"]
OTHER_REQUESTS = ["InvokeModel", "GetAsyncInvoke", "ListAsyncInvokes"]

CONVERSE: dict[str, Any] = {
    "modelId": "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
    "messages": [
        {
            "role": "user",
            "content": [{"text": "What is ü?"}, {"image": {"format": "png", "source": {"bytes": b"\x89PNG"}}}],
        },
    ],
    "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "topP": 1, "stopSequences": ("a", "b")},
    "toolConfig": {
        "tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object", "default": None}}}}],
        "toolChoice": {"auto": {}},
    },
    "additionalModelRequestFields": {"top_k": 5, "nested": [1.5, True, {}]},
    "requestMetadata": {"team": "a"},
}


class Name(StrEnum):
    """A string that is not only one."""

    USER = "user"


class Loud(dict[str, Any]):
    """A dictionary that is not only one."""


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-2, 9) | st.booleans(),
    "float": st.integers(-2, 9) | st.floats() | st.decimals(allow_nan=False, places=2, min_value=-1, max_value=9),
    "boolean": st.booleans(),
    "timestamp": st.datetimes() | st.sampled_from(["2026-11-20T20:00:00Z", 1_790_000_000]),
    "blob": st.binary(max_size=5) | st.binary(max_size=5).map(bytearray) | st.text(max_size=5),
}
ODD = st.sampled_from(
    [
        *(None, "", "x", 0, -1, True, 1.5, math.nan, math.inf, Decimal(1), b"x", object(), 10**400),
        *([], (), {}, {"x"}, {1: 2}, {"x": b"y"}, [None], {"invented": 1}, BytesIO(b"x")),
        *(Name.USER, Loud(text="a"), OrderedDict(text="b"), {Name.USER: 1}, {"a": "b", "c": "d"}),
    ]
)


def params_of(shape: Any, odd: st.SearchStrategy[Any], depth: int = 8) -> st.SearchStrategy[Any]:
    """Return params that botocore accepts, with `odd` at any place among them."""
    few = 2 if depth > 0 else 0
    if shape.type_name == "structure":
        return odd | (documents if shape.is_document_type else structures(shape, odd, depth))
    if shape.type_name == "list":
        least = min(shape.metadata.get("min", 0), 2)
        items = st.lists(params_of(shape.member, odd, depth - 1), min_size=least, max_size=max(few, least))
        return odd | items | items.map(tuple)
    if shape.type_name == "map":
        keys = params_of(shape.key, st.nothing(), depth - 1)
        return odd | st.dictionaries(keys, params_of(shape.value, odd, depth - 1), max_size=few)
    if shape.type_name == "string":
        return odd | st.text(min_size=shape.metadata.get("min", 0), max_size=5)
    return odd | SCALARS[shape.type_name]


def structures(shape: Any, odd: st.SearchStrategy[Any], depth: int) -> st.SearchStrategy[Any]:
    def later(member: Any) -> st.SearchStrategy[Any]:
        return st.deferred(lambda: params_of(member, odd, depth - 1))

    members = {name: later(member) for name, member in shape.members.items()}
    if shape.is_tagged_union:
        return st.one_of(*(st.fixed_dictionaries({name: value}) for name, value in members.items()))
    required = {name: members.pop(name) for name in shape.metadata.get("required", ())}
    return st.fixed_dictionaries(required, optional=members if depth > 0 else {})


def botocores(name: str) -> Operation:
    """Return the operation as botocore alone has it."""
    alone = Operation(_service(), _service().operation_model(name))
    alone.plain = never
    return alone


def judged(operation: Operation, params: Any) -> str | None:
    """Return the problems that a client would report for `params`."""
    return None if operation.plain(params) else operation.validate(params)


def written(operation: Operation, params: Any) -> Any:
    """Return the bytes of a client's call."""
    return operation.request(params, plain=operation.plain(params))


def result(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:  # noqa: BLE001 - the same failure is what is looked for
        return type(error)


@pytest.mark.parametrize("name", JSON_REQUESTS + OTHER_REQUESTS)
@pytest.mark.parametrize("odd", [st.nothing(), ODD], ids=["right", "odd"])
@given(data=st.data())
def test_requests_are_validated_and_written_as_by_botocore(
    name: str, odd: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    theirs = botocores(name)
    params = data.draw(structures(theirs._input, odd, 8))
    ours = Operation(_service(), theirs._model)
    problem = result(lambda: judged(theirs, params))
    assert result(lambda: judged(ours, params)) == problem
    if problem is None:
        assert result(lambda: written(ours, params)) == result(lambda: written(theirs, params))


@pytest.mark.parametrize(
    "change",
    [
        *({"modelId": value} for value in (None, "", 5, Name.USER)),
        *({"additionalModelRequestFields": value} for value in (None, {1: 2}, {"x": b"y"}, [b"x"], ("x",), Loud(x=1))),
        *({"inferenceConfig": {"temperature": value}} for value in (math.nan, -math.inf, Decimal("0.5"), -1, 10**400)),
        *({"inferenceConfig": {"maxTokens": value}} for value in (0, 1.0, True)),
        *({"messages": value} for value in (None, {}, {"role": "user"}, [Loud(role="user", content=[])])),
        *({"messages": [{"role": "user", "content": [value]}]} for value in ({}, {"text": "a", "image": {}}, None)),
        *({"requestMetadata": value} for value in ({}, {1: "x"}, {"x": 1})),
        *({name: {}} for name in ("inventedLater", "toolConfig")),
    ],
)
def test_a_request_that_is_not_certainly_simple_is_left_to_botocore(change: dict[str, Any]) -> None:
    ours, theirs = operation("converse"), botocores("Converse")
    params = CONVERSE | change
    problem = judged(theirs, params)
    assert judged(ours, params) == problem
    if problem is None:
        assert result(lambda: written(ours, params)) == result(lambda: written(theirs, params))


def test_a_document_may_be_nested_as_deeply_as_in_botocore() -> None:
    document: Any = 0
    for _ in range(600):
        document = [document]
    params = CONVERSE | {"additionalModelRequestFields": document}
    assert written(operation("converse"), params) == written(botocores("Converse"), params)


def test_an_ordinary_request_needs_no_botocore(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = botocores("Converse").request(CONVERSE)
    monkeypatch.delattr(operations, "_validator")
    monkeypatch.delattr(operations, "_serializer")
    ours = operation("converse")
    assert judged(ours, CONVERSE) is None
    assert written(ours, CONVERSE) == expected
