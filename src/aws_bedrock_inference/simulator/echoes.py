"""Add fields to Converse's answers, next to the model's message: the token usage, the service tier, the guardrail
trace, and fields that the request asks for.

Shapes: botocore 1.44.5. Fields that botocore does not describe come from public recordings of 2026-11-29.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator import native
from aws_bedrock_inference.simulator.answers import CHARACTERS_PER_TOKEN, GUARDRAIL
from aws_bedrock_inference.simulator.model_rules import body_format, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage
    from aws_bedrock_inference.simulator.request import Asked

_OTHER_UNITS = (
    "contentPolicyUnits",
    "wordPolicyUnits",
    "sensitiveInformationPolicyUnits",
    "sensitiveInformationPolicyFreeUnits",
    "contextualGroundingPolicyUnits",
)


def whole(asked: Asked, answer: Answer, usage: Usage, written: dict[str, Any]) -> dict[str, Any]:
    """Return the body of an answer: the fields in `written`, plus the token usage, the service tier, the guardrail
    trace and the fields that the request asks for.
    """
    return {
        **written,
        "usage": _usage(asked.base, usage, streamed=False),
        **_fields(asked, answer, usage),
        **_settings(asked, answer, usage),
    }


def events(
    asked: Asked, answer: Answer, usage: Usage, written: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the events in `written`. Add the token usage, the service tier and the guardrail trace to the last event.
    Add the fields of `additionalModelResponseFieldPaths` to messageStop.
    """
    for name, event in written:
        if name == "messageStop":
            yield name, {**event, **_fields(asked, answer, usage)}
        elif name == "metadata":
            settings = _settings(asked, answer, usage)
            yield name, {**event, "usage": _usage(asked.base, usage, streamed=True), **settings}
        else:
            yield name, event


def _usage(base: str, usage: Usage, *, streamed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "totalTokens": usage.total,
        "serverToolUsage": {},
    }
    if usage.cache_read or usage.cache_write or (listed("cache_keys", base) and not streamed):
        found |= {"cacheReadInputTokens": usage.cache_read, "cacheReadInputTokenCount": usage.cache_read}
        if usage.cache_write or not listed("cache_writes_left_out", base):
            found |= {"cacheWriteInputTokens": usage.cache_write, "cacheWriteInputTokenCount": usage.cache_write}
    if usage.cache_write and listed("cache_keys", base):
        found["cacheDetails"] = [{"inputTokens": usage.cache_write, "ttl": "5m"}]
    return found


def _settings(asked: Asked, answer: Answer, usage: Usage) -> dict[str, Any]:
    """Return the fields of an answer that settings of the request determine. `performanceConfig` and `serviceTier` are
    copied from the request. `trace` is the guardrail trace, if the request enables it.
    """
    body = asked.body
    found = {key: body[key] for key in ("performanceConfig", "serviceTier") if body.get(key)}
    guardrail = body.get("guardrailConfig") or {}
    if guardrail.get("trace") in {"enabled", "enabled_full"}:
        found["trace"] = {"guardrail": _trace(guardrail.get("guardrailIdentifier") or "guardrail", usage.input, answer)}
    return found


def _trace(guardrail: str, tokens: int, answer: Answer) -> dict[str, Any]:
    """Return the trace of a guardrail with one denied topic.

    The trace contains the number of characters in the prompt, which is estimated from its number of `tokens`.
    """
    read = _assessed(tokens * CHARACTERS_PER_TOKEN)
    if answer.stop == GUARDRAIL:
        blocked = {"topics": [{"name": "simulated", "type": "DENY", "action": "BLOCKED", "detected": True}]}
        return {
            "inputAssessment": {guardrail: {"topicPolicy": blocked, **read}},
            "actionReason": "Guardrail blocked.",
        }
    return {
        "modelOutput": [answer.text],
        "inputAssessment": {guardrail: read},
        "outputAssessments": {guardrail: [_assessed(len(answer.text))]},
        "actionReason": "No action.",
    }


def _assessed(characters: int) -> dict[str, Any]:
    return {
        "invocationMetrics": {
            "guardrailProcessingLatency": 200,
            "usage": {"topicPolicyUnits": -(-characters // 1000) or 1, **dict.fromkeys(_OTHER_UNITS, 0)},
            "guardrailCoverage": {"textCharacters": {"guarded": characters, "total": characters}},
        }
    }


def _fields(asked: Asked, answer: Answer, usage: Usage) -> dict[str, Any]:
    """Return the fields of the model's own answer that the request names in `additionalModelResponseFieldPaths`. Paths
    to fields that do not exist are ignored.
    """
    paths = [path for path in asked.body.get("additionalModelResponseFieldPaths") or () if path.startswith("/")]
    if not paths:
        return {}
    own = asked._replace(format=body_format(asked.base, {}), body={})
    answered = native.dialect(own).body(answer, usage, 1)
    found: dict[str, Any] = {}
    for path in paths:
        keys = [key.replace("~1", "/").replace("~0", "~") for key in path.split("/")[1:]]
        value = _member(answered, keys)
        if value is not None:
            _put(found, keys, value[0])
    return {"additionalModelResponseFields": found} if found else {}


def _put(found: dict[str, Any], keys: list[str], value: Any) -> None:
    target: Any = found
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            return  # a shorter path has already set it
    target[keys[-1]] = value


def _member(value: Any, keys: list[str]) -> tuple[Any] | None:
    """Return the value of the field at the path `keys`, in a tuple with one item. Return None if the field does not
    exist. Because of the tuple, the caller can distinguish a field whose value is None from a missing field.
    """
    for key in keys:
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        elif isinstance(value, dict) and key in value:
            value = value[key]
        else:
            return None
    return (value,)
