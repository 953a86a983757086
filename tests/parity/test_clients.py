"""The asyncio clients are the blocking clients with `await`: same names, options, types and docstrings."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pytest

from aws_bedrock_inference import AsyncBedrockClient, BedrockClient, BedrockStreamingClient
from aws_bedrock_inference.clients.streams import AsyncEventStream, AsyncTextStream, EventStream, TextStream

if TYPE_CHECKING:
    from collections.abc import Iterator

TWINS = [
    pytest.param(BedrockClient, AsyncBedrockClient, id="clients"),
    pytest.param(TextStream, AsyncTextStream, id="streams of text"),
    pytest.param(EventStream, AsyncEventStream, id="streams of events"),
]
NAMES = {
    "aclose": "close",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
}
TYPES = {
    "AsyncTextStream": "TextStream",
    "AsyncEventStream": "EventStream",
    "AsyncStream": "Stream",
}


def members(kind: type) -> Iterator[tuple[str, Any]]:
    """Return the public members, each under its blocking name."""
    for name in dir(kind):
        if name == "__init__" or name in NAMES or name in NAMES.values() or not name.startswith("_"):
            yield NAMES.get(name, name), getattr(kind, name)


def signature(member: Any) -> str:
    """Return the signature as its blocking twin would write it."""
    function: Any = member.fget if isinstance(member, property) else member
    text = str(inspect.signature(function))
    for theirs, ours in TYPES.items():
        text = text.replace(theirs, ours)
    return text


def first_line(member: Any) -> str:
    return (inspect.getdoc(member) or "").partition("\n")[0]


@pytest.mark.parametrize(("blocking", "awaited"), TWINS)
def test_both_clients_have_the_same_members(blocking: type, awaited: type) -> None:
    assert dict(members(awaited)).keys() == dict(members(blocking)).keys()


@pytest.mark.parametrize(("blocking", "awaited"), TWINS)
def test_the_members_have_the_same_signatures(blocking: type, awaited: type) -> None:
    theirs = dict(members(awaited))
    for name, member in members(blocking):
        assert signature(theirs[name]) == signature(member), name
        assert isinstance(theirs[name], property) == isinstance(member, property)


@pytest.mark.parametrize(("blocking", "awaited"), TWINS)
def test_the_members_have_the_same_docstrings(blocking: type, awaited: type) -> None:
    theirs = dict(members(awaited))
    for name, member in members(blocking):
        assert inspect.getdoc(theirs[name]) == inspect.getdoc(member), name
        assert first_line(member) or name.startswith("__"), f"{name} is not described"


def test_only_methods_that_wait_are_coroutines() -> None:
    """`listen` and `invoke_stream` return immediately; every method that calls the service is a coroutine."""
    functions = {name: member for name, member in members(AsyncBedrockClient) if inspect.isfunction(member)}
    awaited = {name for name, member in functions.items() if inspect.iscoroutinefunction(member)}
    assert functions.keys() - awaited == {"__init__", "invoke_stream", "listen"}


def test_the_streaming_client_has_the_members_of_the_client() -> None:
    assert dict(members(BedrockStreamingClient)) == dict(members(BedrockClient))
    assert first_line(BedrockStreamingClient)


def test_both_classes_have_the_same_docstring() -> None:
    blocking, awaited = (inspect.getdoc(kind) or "" for kind in (BedrockClient, AsyncBedrockClient))
    shared = "All tasks of a process can share it, also if they run in several event loops."
    assert " ".join(blocking.split()).replace("Threads can share it.", shared) == " ".join(awaited.split())
