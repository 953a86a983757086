"""Send the request of a dead letter again, with a client method that returns the complete answer: `invoke`, `converse`
or `invoke_model`.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from contextvars import ContextVar
from copy import copy
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number
from aws_bedrock_inference.caches.answer import response_of
from aws_bedrock_inference.call import priority_number
from aws_bedrock_inference.deadletters.encoding import encoded, lost_in
from aws_bedrock_inference.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.deadletters.letter import Letter

being_sent: ContextVar[str] = ContextVar("being_sent", default="")
"""The id of the letter whose request is being sent. While it is set, a request that fails again creates no new
letter.
"""


class NotAnswered(ValueError):
    """Raised if the client returned a result that is not an answer of a model."""


_NATIVE = frozenset({"invoke_model", "invoke_model_with_response_stream"})
_AWAITED = "dead letters are sent from threads, which cannot await. Pass a BedrockClient, not an asynchronous client"


def check_client(client: Any) -> None:
    """Raise `ValueError` for an asynchronous client, because the code that sends dead letters cannot await calls."""
    if any(inspect.iscoroutinefunction(getattr(client, name, None)) for name in ("invoke", "converse", "invoke_model")):
        raise ValueError(_AWAITED)


def region_of(client: Any) -> str:
    """Return the Region of a client of this package or of boto3, or an empty text if it is unknown."""
    for place in (client, getattr(client, "meta", None)):
        if isinstance(region := getattr(place, "region_name", None), str):
            return region
    return ""


def batch_client(client: Any) -> Any:
    """Return a client that sends with the priority `batch`, and shares the connections, quota and circuit of `client`.

    A client of another package, such as boto3, has no priorities and is returned unchanged. Raises `ValueError` for an
    asynchronous client.
    """
    check_client(client)
    if not is_number(getattr(client, "priority", None)):
        return client  # a client of another package has no priorities
    batch = copy(client)
    batch.priority = priority_number("batch")
    return batch


def unsendable(letter: Letter) -> str:
    """Return the reason why the request of a dead letter cannot be sent unchanged. Return an empty text if it can be
    sent.
    """
    if not isinstance(letter.request, Mapping):
        return f"its request is a {type(letter.request).__name__}, not the arguments of a call"
    lost = lost_in(letter.request)
    return f"a part of its request could not be stored: a {lost}" if lost else ""


def send(letter: Letter, client: Any, timeout: float | None = None) -> Any:
    """Send the request of a dead letter and return the result. For a stream, the result is the complete answer.

    Raises the exceptions of the client. Raises `ValueError` if the request was not stored completely, and `NotAnswered`
    if the result is not an answer of a model.
    """
    problem = unsendable(letter)
    if problem:
        raise ValueError(
            f"dead letter {letter.id} cannot be sent: {problem}. Send the request again from its source, and discard "
            "the letter"
        )
    method, more = _method(letter, client)
    given = {"tenant": letter.content.tenant or None, **more}
    known = _named_parameters(method)
    extra = {name: value for name, value in given.items() if value is not None and name in known}
    request = {**extra, **letter.request}
    if timeout is not None and "timeout" in known:  # the call must end before the lease expires
        own: Any = request.get("timeout")
        request["timeout"] = min(own, timeout) if is_number(own) else timeout
    token = being_sent.set(letter.id)
    try:
        result = method(**request)
    finally:
        being_sent.reset(token)
    _check(result)
    return result


def _check(result: Any) -> None:
    """Raise `NotAnswered` if `result` is not an answer of a model. The redrive then counts the call as failed."""
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()  # nothing was sent yet
        raise NotAnswered(_AWAITED)
    instead_of = getattr(getattr(result, "made", None), "degraded_by", None)
    if isinstance(instead_of, Fault):
        raise NotAnswered(
            f"{instead_of.code}: {instead_of.message} (the policy Degrade returned a substitute, so the dead letter "
            "has no answer of a model)"
        )


def _method(letter: Letter, client: Any) -> tuple[Callable[..., Any], dict[str, Any]]:
    operation = letter.content.operation
    if operation in _NATIVE:
        return client.invoke_model, {}
    if operation == "invoke" or ("messages" in letter.request and hasattr(client, "invoke")):
        return client.invoke, {"stream": True} if operation == "converse_stream" else {}
    return client.converse, {}


def _named_parameters(method: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(method).parameters)
    except (TypeError, ValueError):
        return frozenset()


def answer_of(result: Any) -> Any:
    """Return the answer as JSON values, for the store.

    If `result` contains a body that can be read only once, this function reads the body. It then puts a copy of the
    body into `result`, so that the caller can also read the body.
    """
    response = getattr(result, "response", result)
    if isinstance(response, dict) and hasattr(response.get("body"), "read"):
        body = response["body"].read()
        response["body"] = response_of({"body": body})["body"]
        response = {**response, "body": body}
    return encoded(response)
