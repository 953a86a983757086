"""Every value that a request may contain is equal after it was stored and read."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.deadletters.encoding import Lost, decoded, encoded, lost_in

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(UTC))
)
NAMES = st.text(max_size=6) | st.sampled_from(["$bytes", "$object", "$lost", "text", "bytes"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(NAMES, inner, max_size=4)
        | st.dictionaries(st.integers(), inner, max_size=2)
    ),
    max_leaves=12,
)


def back(value: Any) -> Any:
    """Return the value after it was written as JSON and read again."""
    return decoded(json.loads(json.dumps(encoded(value))))


@given(VALUES)
def test_every_value_is_restored_equal_and_with_its_type(value: Any) -> None:
    assert back(value) == value
    assert typed(back(value)) == typed(value)


def typed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: typed(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value), *map(typed, value)
    return type(value)


def test_json_values_are_stored_unchanged() -> None:
    request = {"modelId": "m", "inferenceConfig": {"temperature": 0.2, "maxTokens": 5}, "list": [1, None, True]}
    assert encoded(request) == request


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e308, 5e-324, -0.0, 10**4000, -(2**5000)])
def test_all_kinds_of_numbers_are_restored(number: float) -> None:
    assert back(number) == number


def test_nan_is_restored_as_nan() -> None:
    assert math.isnan(back(math.nan))


def test_an_unpaired_surrogate_is_restored() -> None:
    assert back("\ud83d, \x00") == "\ud83d, \x00"


def test_objects_that_look_like_the_encoding_are_restored_unchanged() -> None:
    for value in ({"$bytes": "x"}, {"$object": {"$bytes": "x"}}, {"$lost": "file"}, {"$tuple": [1], "more": 2}):
        assert back(value) == value


def test_similar_types_are_restored_as_their_standard_type() -> None:
    assert back(bytearray(b"ab")) == b"ab"
    assert back(memoryview(b"ab")) == b"ab"
    assert back({"a", "b"}) == {"a", "b"}
    assert back([Decimal("0.1"), date(2026, 11, 29), datetime(2026, 11, 29, 1, tzinfo=UTC)]) == [
        Decimal("0.1"),
        date(2026, 11, 29),
        datetime(2026, 11, 29, 1, tzinfo=UTC),
    ]


def test_a_file_is_read_and_rewound() -> None:
    file = io.BytesIO(b"picture")
    file.seek(3)
    assert back({"body": file}) == {"body": b"picture"}
    assert file.tell() == 3


def test_a_value_that_cannot_be_stored_is_replaced_by_its_type_name() -> None:
    value = back({"body": iter([b"x"]), "n": [object()]})
    assert value["body"] == Lost("list_iterator")
    assert lost_in(value) == "list_iterator"
    assert lost_in({"a": [1, (2, {"b": b""})]}) == ""


def test_an_endless_request_is_truncated() -> None:
    value: list[Any] = []
    value.append(value)
    assert lost_in(back(value)) == "list"
