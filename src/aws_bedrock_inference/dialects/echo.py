"""Remove prompts from the service's error messages. For example, `Malformed input request: ... got 'my prompt'` quotes
the request.

Only texts of the request itself are removed, so that the rest of the message remains. A text is recognized if it is
quoted completely, in part, or with JSON's escapes. A text of fewer than `SHORTEST` characters is not removed, because
it could be a word of the service's own message.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.request import KINDS, parsed_body

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.call import Call, Outcome

SHORTEST = 8

_HEAD = 16  # characters by which a text is recognized; the rest may be truncated or escaped
_NAMES = frozenset({"role", "name", "toolUseId", "id", "tool_use_id", "format", "status", "model", "body"})


def unechoed(call: Call, outcome: Outcome) -> Outcome:
    """Return the outcome of a failed call without quotations of the prompt. The quotations are removed from the message
    and from the code of the outcome's fault.
    """
    fault = outcome.fault
    if fault is None or not fault.message:
        return outcome
    message = without_prompt(fault.message, call.params)
    code = without_prompt(fault.code, call.params) if " " in fault.code else fault.code
    if message == fault.message and code == fault.code:
        return outcome
    response = fault.response and {
        name: message if value == fault.message else value for name, value in fault.response.items()
    }
    if response and isinstance(response.get("Error"), dict):
        response["Error"] = {**response["Error"], "Code": code, "Message": message}
    return outcome._replace(fault=replace(fault, code=code, message=message, response=response))


def without_prompt(message: str, request: Any) -> str:
    """Return the message with every quoted text of `request` replaced by an ellipsis."""
    quoted = {form for text in (*_texts(request), *_texts(parsed_body(request))) for form in _forms(text)}
    for text in sorted(quoted, key=len, reverse=True):
        message = _without(message, text)
    return message


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts of a request or of its body: prompts, system prompts, and the inputs and results of tools."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) or hasattr(part, "items"):
            waiting += [
                inner for name, inner in part.items() if name not in _NAMES and KINDS.get(name) in {None, "json"}
            ]
        elif isinstance(part, (list, tuple)):
            waiting += part


def _forms(text: str) -> Iterator[str]:
    """Yield the forms in which a text can be quoted: unchanged, escaped as in JSON, and each of its lines
    separately.
    """
    for form in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], *text.splitlines()):
        if len(form.strip()) >= SHORTEST:
            yield form.strip()


def _without(message: str, text: str) -> str:
    start = message.find(text[:_HEAD])
    while start >= 0:
        end, length = start, 0
        while end < len(message) and length < len(text) and message[end] == text[length]:
            end, length = end + 1, length + 1
        message = f"{message[:start]}…{message[end:]}"
        start = message.find(text[:_HEAD], start + 1)
    return message
