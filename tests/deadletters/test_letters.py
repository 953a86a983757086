"""The letter: its items, its versions, and its content for every kind of failure."""

from __future__ import annotations

import json
from collections import namedtuple
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from support.doubles import FAULTS, ROUTE, THROTTLE, failed

from aws_bedrock_inference import BedrockError
from aws_bedrock_inference.call import Attempt, Call
from aws_bedrock_inference.deadletters.envelope import Envelope
from aws_bedrock_inference.deadletters.filters import wanted
from aws_bedrock_inference.deadletters.letter import NEWEST, LetterTooNew, Redriven, content_of, summary_of
from aws_bedrock_inference.deadletters.making import letter_of_call, letter_of_error
from aws_bedrock_inference.raising import error_of
from aws_bedrock_inference.stores.request import StoreUnusable

NOW = 1_795_000_000.0
IMAGE = {"image": {"format": "png", "source": {"bytes": b"\x89PNG\x00"}}}
TOOL: dict[str, Any] = {"toolUse": {"toolUseId": "t1", "name": "add", "input": {"a": 1.5, "b": [None, True]}}}
PARAMS = {
    "modelId": ROUTE.model,
    "messages": [
        {"role": "user", "content": [{"text": "What is this?"}, IMAGE]},
        {"role": "assistant", "content": [TOOL]},
    ],
    "inferenceConfig": {"temperature": 0.2},
    "requestMetadata": {"team": "search"},
}


def of_call(fault: Any = THROTTLE, **fields: Any) -> Any:
    call = Call("converse", PARAMS, ROUTE, tenant="t")
    return letter_of_call(call, failed(fault)._replace(**fields), NOW, {"stage": "test"})


def test_a_letter_contains_the_request_the_cause_and_the_attempts() -> None:
    letter = of_call(earlier=(Attempt(THROTTLE, 1.5), Attempt(FAULTS[1], 0.5)))
    assert letter.request == PARAMS
    assert (letter.cause, letter.summary.decision, letter.state) == (THROTTLE.cause, "RETRY", "dead")
    assert letter.content.explanation["remedies"]
    assert [each.code for each in letter.content.tried] == ["ThrottlingException", "ServiceUnavailableException"]
    assert letter.summary.attempts == 3
    assert letter.content.routes == (str(ROUTE),)
    assert letter.summary.tags == {"team": "search", "stage": "test"}
    assert (letter.summary.model, letter.summary.region, letter.content.tenant) == (ROUTE.model, ROUTE.region, "t")


def test_the_items_of_a_letter_have_the_fields_of_aws_s_documents() -> None:
    letter = letter_of_error({"prompt": "Why?"}, ValueError("no"), {"user": "u"}, NOW, {})
    assert dict(letter) == {
        "id": letter.id,
        "timestamp": datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None).isoformat(),
        "request": {"prompt": "Why?"},
        "error": "no",
        "metadata": {"user": "u"},
    }
    assert "retried" not in letter
    assert letter.get("retried") is None
    with pytest.raises(KeyError):
        letter["retried"]


@given(st.sampled_from(FAULTS), st.booleans())
def test_a_letter_of_every_fault_is_restored_equal(fault: Any, tried: bool) -> None:  # noqa: FBT001 - drawn
    letter = of_call(fault, earlier=(Attempt(fault, 0.1),) if tried else ())
    assert content_of(json.loads(json.dumps(letter.content.plain()))) == letter.content
    assert summary_of(json.loads(json.dumps(letter.summary.plain()))) == letter.summary


@pytest.mark.parametrize(
    "error",
    [
        *(error_of(failed(fault), "converse", ROUTE) for fault in FAULTS),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Converse"),
        TimeoutError("no answer"),
        "An error occurred (AccessDeniedException) when calling the Converse operation: no",
        None,
        b"bytes",
    ],
    ids=str,
)
def test_a_letter_can_be_made_of_any_exception(error: Any) -> None:
    letter = letter_of_error({"prompt": "Why?", "temperature": 0.2}, error, None, NOW, {})
    assert content_of(json.loads(json.dumps(letter.content.plain()))) == letter.content
    if isinstance(error, BedrockError):
        assert (letter.cause, letter.summary.model) == (error.cause, ROUTE.model)


def test_the_history_of_a_letter_is_restored() -> None:
    summary = of_call().summary
    entries = tuple(Redriven(NOW + number, "failed", "me", "no") for number in range(30))
    for entry in entries:
        summary = summary_of({**summary.plain(), "history": [vars_of(each) for each in summary.noted(entry)]})
    assert summary.history == entries[-20:]


def vars_of(entry: Redriven) -> dict[str, Any]:
    return {"at": entry.at, "result": entry.result, "by": entry.by, "error": entry.error}


def test_the_next_format_version_is_read_and_a_later_one_is_refused() -> None:
    letter = of_call()
    plain = {**letter.summary.plain(), "format": NEWEST, "of_a_later_version": 1}
    assert summary_of(plain) == letter.summary
    assert content_of({**letter.content.plain(), "format": NEWEST, "more": 1}) == letter.content
    for read in (summary_of, content_of):
        with pytest.raises(LetterTooNew, match=f"format {NEWEST + 1}"):
            read({**plain, "format": NEWEST + 1})
        wrongs: list[Any] = [{}, {"format": "1"}, [], {"format": 1}]
        for wrong in wrongs:
            with pytest.raises(ValueError, match="not"):
                read(wrong)


def test_secrets_in_errors_and_metadata_are_not_stored() -> None:
    metadata = {
        "password": "hunter2 with words",
        "note": "api_key=abcdefgh12345678",
        "deep": [{"token": "x" * 20 + "1"}],
    }
    letter = letter_of_error({}, RuntimeError("secret_access_key: abcdefgh"), metadata, NOW, {"password": "hunter2"})
    kept = json.dumps([letter.content.plain(), letter.summary.plain()])
    for secret in ("hunter2", "abcdefgh", "x" * 20):
        assert secret not in kept
    assert letter["metadata"]["password"] == "***"


KEY = "AKIAIOSFODNN7EXAMPLE"
Pair = namedtuple("Pair", "name value")  # noqa: PYI024 - a program's own may be untyped


@pytest.mark.parametrize(
    "planted",
    [
        {KEY: 1},
        {"password": 12345678},
        {"password": ["hunter2"]},
        {"api_key": {"value": "hunter2"}},
        {KEY},
        (KEY,),
        Pair(KEY, 1),
        [("password", "hunter2")],
        {"headers": [{"Name": "Authorization", "Value": "hunter2"}]},
        memoryview(KEY.encode()),
        b"caf\xe9 " + KEY.encode(),
    ],
)
def test_a_secret_is_found_wherever_it_is_planted(planted: Any) -> None:
    letter = letter_of_error({}, "no", {"deep": [planted]}, NOW, {})
    assert KEY not in repr(letter["metadata"])
    assert "hunter2" not in repr(letter["metadata"])
    assert "12345678" not in repr(letter["metadata"])


def test_ordinary_text_is_not_masked() -> None:
    known = {"max_tokens": 200, "tokens": {"in": 5}, "password": None, "token": False, "image": b"\x89PNG\x00"}
    assert letter_of_error({}, "no", known, NOW, {})["metadata"] == known


def test_only_its_key_opens_a_sealed_letter() -> None:
    def turned(content: bytes) -> bytes:
        return bytes(byte ^ 0x55 for byte in content)

    plain = of_call().content.plain()
    sealed = Envelope((turned, turned)).pack(plain, sealed=True)
    assert b"What is this" not in sealed
    assert Envelope((turned, turned)).unpack(sealed, sealed=True) == plain
    with pytest.raises(StoreUnusable, match="sealed: pass the seal="):
        Envelope().unpack(sealed, sealed=True)
    with pytest.raises(StoreUnusable, match="another key"):
        Envelope((turned, bytes)).unpack(sealed, sealed=True)
    for wrong in (lambda _: 1 / 0, lambda _: "text"):
        with pytest.raises(StoreUnusable, match=r"seal=.* (raised ZeroDivisionError|returned a str)"):
            Envelope((wrong, turned)).pack(plain, sealed=True)  # type: ignore[arg-type]
    for pair in ((turned,), "ab", [turned, turned], (1, 2)):
        with pytest.raises(ValueError, match="seal="):
            Envelope(pair)  # type: ignore[arg-type]


def test_long_content_is_compressed() -> None:
    plain = {"request": "word " * 10_000}
    packed = Envelope().pack(plain, sealed=False)
    assert len(packed) < 2_000
    assert Envelope().unpack(packed, sealed=False) == plain


@pytest.mark.parametrize(
    ("choice", "fits"),
    [
        ({"cause": "throttled-*"}, True),
        ({"cause": THROTTLE.cause}, True),
        ({"cause": "throttled"}, False),
        ({"model": "anthropic.*"}, True),
        ({"model": "amazon.*"}, False),
        ({"region": "us-east-1"}, True),
        ({"region": "eu-*"}, False),
        ({"route": f"{ROUTE.model} in us-east-1"}, True),
        ({"route": f"{ROUTE.model} in eu-west-1"}, False),
        ({"route": ROUTE.model}, True),
        ({"since": NOW}, True),
        ({"until": NOW}, False),
        ({"since": "1h"}, True),
        ({"until": "1h"}, False),
        ({"since": datetime.fromtimestamp(NOW, UTC)}, True),
        ({"since": datetime.fromtimestamp(NOW + 1, UTC).isoformat()}, False),
        ({"tag": "team"}, True),
        ({"tag": "team=search"}, True),
        ({"tag": ["team=search", "stage=live"]}, False),
    ],
)
def test_filters_choose_letters(choice: Any, fits: Any) -> None:
    assert wanted(lambda: NOW + 60, **choice).fits(of_call().summary) is fits


@pytest.mark.parametrize(
    "wrong",
    [
        {"cause": ""},
        {"model": 3},
        {"since": "yesterday"},
        {"until": []},
        {"tag": "=x"},
        {"tag": [1]},
        {"route": "m", "model": "m"},
    ],
)
def test_an_invalid_filter_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        wanted(lambda: NOW, **wrong)
