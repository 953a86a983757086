"""Recognize an answer with HTTP status 200 that is an error of the model or of the model's server.

Bedrock forwards the bodies and the chunks of InvokeModel as the model's server wrote them. A server that has already
sent its status writes an error into the body instead:

* Anthropic's models: `{"type": "error", "error": {"type": ..., "message": ...}}`. Source: anthropic-sdk-python issue
  1472, read on 2026-12-01.
* Servers with OpenAI's format, such as vLLM and SGLang behind imported and Marketplace models:
  `{"error": {"message": ..., "type": ..., "code": 504}}`, or these members next to `"object": "error"`. Source: litellm
  issue 40578 and guidellm issue 743, read on 2026-12-01.

An `error` that is text is not a failure: models of images report filtered pictures in this way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUSES = range(400, 600)


class Failure(NamedTuple):
    """An error that a model reported: its code, its message and its HTTP status. A part that is unknown is empty or
    None.
    """

    code: str = ""
    message: str = ""
    status: int | None = None


def failure_of(body: Mapping[str, Any]) -> Failure | None:
    """Return the error that a body or a chunk of InvokeModel reports, or None if it reports none."""
    error = body.get("error")
    if body.get("type") == "error":
        return _failure(error if isinstance(error, dict) else {})
    if isinstance(error, dict) and error:
        return _failure(error)
    return _failure(body) if body.get("object") == "error" else None


def _failure(error: Mapping[str, Any]) -> Failure:
    number = error.get("code")
    status = number if type(number) is int and number in _STATUSES else None
    names = (each for each in (number, error.get("type")) if isinstance(each, str) and each)
    message = error.get("message")
    return Failure(next(names, ""), message if isinstance(message, str) else "", status)
