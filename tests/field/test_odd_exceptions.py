"""`explain` and `classify` return a result for every object, and no attribute of the object makes them raise."""

from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference import Decision, classify, explain
from aws_bedrock_inference.resilience.functions import known_fault


class Hostile(Exception):
    """Every property and every text of it raises."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


class ThrottlingException(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    def __repr__(self) -> str:
        raise ValueError("no text")


class NoProperties(Exception):
    """An exception on which one property after the other raises, with the same exceptions as the others."""

    response = property(lambda self: 1 / 0)
    status_code = property(lambda self: self.response)
    body = property(lambda self: [].pop())
    fault = property(lambda self: int("fault"))
    args = property(lambda self: 1 / 0)
    operation_name = property(lambda self: 1 / 0)
    kwargs = property(lambda self: 1 / 0)
    original_exception = property(lambda self: 1 / 0)
    reason = property(lambda self: 1 / 0)


class NoClass:
    """A proxy without a target, like that of an unset context variable: even reading its class raises."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("unbound")

    def __str__(self) -> str:
        raise RuntimeError("unbound")


class NotText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307 - that is what is odd


class OddAnswer:
    """An HTTP response of which only the status is readable."""

    status_code = 503
    headers = property(lambda self: 1 / 0)
    text = property(lambda self: 1 / 0)
    content = property(lambda self: 1 / 0)


class OddHeaders(OddAnswer):
    headers = [("x-amzn-ErrorType", "ThrottlingException")]  # noqa: RUF012 - as some have them


class Carrier(Exception):
    def __init__(self, response: Any) -> None:
        super().__init__("carried")
        self.response = response


def nested(depth: int, leaf: Any = None, *, kind: Any = dict) -> Any:
    value = leaf
    for _ in range(depth):
        value = {"inner": value} if kind is dict else [value]
    return value


def cyclic() -> Any:
    one: dict[Any, Any] = {"Message": "Rate exceeded"}
    one["self"] = one
    one["Error"] = {"Code": one, "Message": [one]}
    return one


def cyclic_chain() -> Any:
    first, second = ValueError("one"), ThrottlingException()
    first.__cause__, second.__cause__ = second, first
    return first


ODD = {
    "hostile": Hostile(),
    "no text": ThrottlingException(),
    "no properties": NoProperties(),
    "no class": NoClass(),
    "no class inside": RuntimeError(NoClass()),
    "not text": NotText(),
    "a group": ExceptionGroup("many", [Hostile(), NoProperties(), NotText()]),
    "a chain that meets itself": cyclic_chain(),
    "an exception in itself": Carrier(None),
    "cyclic": cyclic(),
    "deep": nested(100_000),
    "deep inside": {"Error": {"Code": nested(100_000), "Message": nested(100_000, kind=list)}},
    "deep list": nested(100_000, kind=list),
    "deep JSON": "[" * 100_000,
    "deep JSON in bytes": b'{"a":' * 100_000,
    "an error that is a text": {"Error": "x"},
    "an error that is a list": {"Error": ["ThrottlingException"]},
    "an error that is nothing": {"Error": None},
    "an error with odd facts": {"Error": {"Code": 429, "Message": None}, "ResponseMetadata": "none"},
    "an error with hostile facts": {"Error": {"Code": Hostile(), "Message": NoClass()}},
    "a status that is none": {"Error": {"Code": "X"}, "ResponseMetadata": {"HTTPStatusCode": "500", "RequestId": 5}},
    "a huge status": {"Error": {}, "ResponseMetadata": {"HTTPStatusCode": 10**400}},
    "keys that are no text": {(1, 2): Hostile(), None: 3},
    "nothing": None,
    "an empty dictionary": {},
    "a list": ["ThrottlingException", {"Error": {}}],
    "a number": float("nan"),
    "a huge number": 10**5000,
    "bytes": b"\xff\xfe\x00ThrottlingException",
    "a bytearray": bytearray(b"Rate exceeded"),
    "a view": memoryview(b"Rate exceeded"),
    "surrogates": "\ud83d ThrottlingException",
    "zero bytes": "\x00" * 1000,
    "huge": "An error occurred (" * 200_000,
    "an odd answer": OddAnswer(),
    "an answer with headers of its own": OddHeaders(),
    "carries an odd answer": Carrier(OddAnswer()),
    "carries a deep answer": Carrier(nested(100_000)),
    "carries a text": Carrier({"Error": "x"}),
    "carries a class": Carrier(NoClass()),
    "a class": Hostile,
    "Ctrl-C": KeyboardInterrupt(),
}
ODD["an exception in itself"].response = ODD["an exception in itself"]


@pytest.mark.parametrize("name", ODD)
def test_no_exception_object_makes_classify_raise(name: str) -> None:
    fault, meaning = classify(ODD[name]), explain(ODD[name])
    assert fault.decision is meaning.decision
    assert isinstance(str(fault), str)
    assert classify(ODD[name], service="dynamodb").decision in Decision
    assert explain(ODD[name], service=object.__name__).cause


def test_the_readable_parts_of_an_odd_exception_are_used() -> None:
    assert classify(ThrottlingException()).kind.value == "throttled"
    assert classify(cyclic_chain()).kind.value == "throttled"
    assert classify(OddAnswer()).status == 503
    stated = "An error occurred (ThrottlingException) when calling the Converse operation: x"
    assert classify({"Error": stated}).kind.value == "throttled"
    noted = {"note": Hostile(), "message": "Too many tokens, please wait before trying again."}
    assert classify(noted).kind.value == "throttled"
    assert classify(bytearray(b"Unable to locate credentials")).cause == "credentials-missing"


@pytest.mark.parametrize("name", [name for name, odd in ODD.items() if issubclass(type(odd), Exception)])
def test_a_guarded_function_may_raise_odd_exceptions(name: str) -> None:
    assert known_fault(ODD[name]).error is ODD[name]
