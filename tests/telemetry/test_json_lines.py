"""Log lines in JSON: valid for any record, and without anything confidential."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from botocore.exceptions import ParamValidationError
from hypothesis import given
from hypothesis import strategies as st
from support.json_logs import read

from aws_bedrock_inference import ServiceFault, context
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.telemetry.json_lines import JsonFormatter
from aws_bedrock_inference.telemetry.plain import DEEPEST, LONGEST

PROMPT = "Summarise the letter of our customer Ann"


def line(message: Any = "hi", *arguments: Any, error: BaseException | None = None, **extra: Any) -> dict[str, Any]:
    exc_info = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord(extra.pop("name", "app"), logging.INFO, __file__, 1, message, arguments, exc_info)
    vars(record).update(extra)
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert "\n" not in text
    [said] = read(text + "\n")
    return said


def test_a_line_has_the_keys_of_the_documents() -> None:
    said = line("%d lines", 3, data={"request_id": "r-1"})
    assert dt.datetime.fromisoformat(said.pop("timestamp")).tzinfo is dt.UTC
    assert said == {"level": "INFO", "message": "3 lines", "logger": "app", "request_id": "r-1"}


def test_a_field_whose_name_is_in_use_gets_another_name() -> None:
    said = line("hi", data={"message": "yours", "level": 5})
    assert (said["message"], said["data_message"], said["level"], said["data_level"]) == ("hi", "yours", "INFO", 5)
    assert line(data=["a", 1])["data"] == ["a", 1]


def test_a_line_has_the_context_of_its_caller() -> None:
    with context(team="search", turn=3):
        assert line()["context"] == {"team": "search", "turn": 3}
    assert "context" not in line()


class Colour(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Refuses:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@dataclass
class Order:
    prompt: str = PROMPT


ODD: list[tuple[Any, Any]] = [
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    (10**5000, "<a huge integer>"),
    ("a\nb\r\u2028c\x00", "a\nb\r\u2028c\x00"),
    ("half \ud83d of one", "half \ufffd of one"),
    ("\ud83d\ude00", "\U0001f600"),
    (b"bytes", "<bytes>"),
    ({1}, [1]),
    ((1, [2, {"a": None}]), [1, [2, {"a": None}]]),
    ({1: {None: True}}, {"1": {"None": True}}),
    (MappingProxyType({"a": 1}), {"a": 1}),
    (dt.date(2026, 1, 2), "2026-01-02"),
    (Decimal("1.50"), "1.50"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (PurePosixPath("/a"), "/a"),
    (ValueError("wrong"), "wrong"),
    (Colour.RED, "red"),
    (Number.ONE, 1),
    (Refuses(), "<Refuses>"),
    ({Refuses(): 1}, {"<Refuses>": 1}),
    (Order(), "<Order>"),
    (object, "<type>"),
]


@pytest.mark.parametrize(("value", "written"), ODD, ids=range(len(ODD)))
def test_anything_can_be_written(value: Any, written: Any) -> None:
    assert line(data={"value": value})["value"] == written


def test_circular_and_deep_values_are_truncated() -> None:
    ring: dict[str, Any] = {"name": "ring"}
    ring["again"] = [ring, ring]
    assert line(data={"value": ring})["value"] == {"name": "ring", "again": ["<dict>", "<dict>"]}
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    assert str(line(data={"value": deep})["value"]).count("[") == DEEPEST - 1


def test_a_long_text_is_truncated() -> None:
    said = line("x" * 10 * LONGEST, data={"value": "y" * 10 * LONGEST})
    assert len(said["message"]) < LONGEST + 50
    assert said["value"].endswith(f"({10 * LONGEST:,} characters)")


@pytest.mark.parametrize(
    ("message", "arguments", "written"),
    [("%d", ("x",), "%d"), ("%s", (Refuses(),), "%s"), (Refuses(), (), "<Refuses>"), ({"a": 1}, (), "{'a': 1}")],
)
def test_a_message_that_cannot_be_formatted_is_written_unformatted(message: Any, arguments: Any, written: str) -> None:
    assert line(message, *arguments)["message"] == written


def test_a_record_that_cannot_be_serialised_is_reported() -> None:
    class Hostile(dict[str, Any]):
        def items(self) -> Any:
            raise KeyError("no items")

    said = line(data=Hostile(a=1))
    assert said["message"] == "a record that cannot be written: KeyError"


TEXTS = st.text(st.characters(exclude_categories=[]))


@given(TEXTS, st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | TEXTS | st.binary(), st.lists))
def test_any_record_is_one_valid_line(text: str, value: Any) -> None:
    fields = {"event": "CallEnded", "code": text, "cause": text, "context": {"team": text}}
    given = {"name": LOGGER.name, "bedrock": fields, "data": {text: value}, "stack_info": text}
    said = line("%s", text, error=ValueError(text), **given)
    assert {"timestamp", "level", "message", "logger", "exception", "event"} <= {*said}


def test_only_lines_of_the_package_have_event_fields() -> None:
    fields = {"event": "CallEnded", "prompt": PROMPT}
    assert "event" not in line(bedrock=fields)
    assert line(bedrock=fields, name=LOGGER.name)["event"] == "CallEnded"


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_an_exception_is_written_with_its_chain() -> None:
    said = line(error=raised(ValueError("the second"), raised(KeyError("the first"))))
    text = said["exception"]
    assert (
        text.index("KeyError: 'the first'") < text.index("The above exception") < text.index("ValueError: the second")
    )
    assert f'File "{__file__}", line ' in text
    assert "in raised" in text


def test_a_traceback_omits_the_source_lines_of_the_program() -> None:
    group = BaseExceptionGroup("two", [raised(ValueError("a")), raised(RuntimeError("b"))])
    text = line(error=raised(group))["exception"]
    assert text.count("in raised") == 3
    assert text.count("raise") == 3
    assert "ValueError: a" in text
    assert "ExceptionGroup: two (2 sub-exceptions)" in text


def test_a_message_of_several_lines_is_one_line_of_json() -> None:
    text = line(error=raised(ValueError("first\n    second\nthird")))["exception"]
    assert text.endswith("ValueError: first\n    second\nthird")


def test_botocore_s_parameter_errors_do_not_quote_the_value() -> None:
    report = f"Invalid type for parameter prompt, value: a, valid b {PROMPT}\n, type: <class 'str'>, valid types: x"
    text = line(error=raised(ParamValidationError(report=report)))["exception"]
    assert "Summarise" not in text
    assert "Invalid type for parameter prompt, value: ***, type: <class 'str'>" in text


SECRETS = [
    ("key AKIA" + "QWERTYUIOPASDFGH", "QWERTYUIOPASDFGH"),
    ("aws_secret_access_key=wJalr9UtnFEMIk7MDENGbPxRfiCYEXTRAKEYabcd", "wJalr9Utn"),
    ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789"),
    ("redis://user:pa55word-of-ours@host:6379/0", "pa55word-of-ours"),
    ('{"password": "correct-horse-battery"}', "correct-horse"),
]


@pytest.mark.parametrize(("text", "hidden"), SECRETS)
def test_secrets_are_masked_in_all_parts(text: str, hidden: str) -> None:
    with context(note=text):
        said = line(text, data={"a": [text], "b": {"c": text}}, error=raised(ValueError(text)), stack_info=text)
        assert hidden not in str(said)
        assert hidden not in str(line("of %s", text))
        event = {"event": "CallEnded", "context": {"note": text}}
        assert hidden not in str(line(name=LOGGER.name, bedrock=event))


def test_a_field_whose_name_suggests_a_secret_is_masked() -> None:
    assert line(data={"aws": {"secret_access_key": "hunter2hunter2"}})["aws"] == {"secret_access_key": "***"}


def test_the_facts_of_an_exception_are_written(outcome_error: ServiceFault) -> None:
    said = line(error=raised(outcome_error))
    assert (said["error_type"], said["code"], said["decision"]) == ("throttling", "ThrottlingException", "RETRY")


@pytest.fixture
def outcome_error() -> ServiceFault:
    from support.doubles import ROUTE, THROTTLE  # noqa: PLC0415 - of this fixture alone

    from aws_bedrock_inference.call import Outcome  # noqa: PLC0415 - the same
    from aws_bedrock_inference.raising import error_of  # noqa: PLC0415 - the same

    error = error_of(Outcome(fault=THROTTLE), "converse", ROUTE)
    assert isinstance(error, ServiceFault)
    return error


def test_a_record_without_an_exception_has_no_exception_field() -> None:
    assert "exception" not in line(exc_info=(None, None, None))
    assert "exception" not in line(exc_info=sys.exc_info())
