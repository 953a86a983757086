"""Read the token usage and the stop reason from answers of each model family.

Sources of the field names:

* for Converse: botocore 1.44.5's service model
* for bodies of InvokeModel: the model parameter pages of the Bedrock user guide
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Usage
from aws_bedrock_inference.knowledge.models import cache_writes_reported

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Llama has its counts in the body itself.
_LLAMA_INPUT, _LLAMA_OUTPUT = "prompt_token_count", "generation_token_count"

# The names of each count, in the order of `Usage`: of Converse and Nova, of Anthropic, in the metrics of a stream's
# last chunk, of OpenAI and AI21, of Llama, and in this package's own short form, where they differ.
_COUNTS = (
    ("inputTokens", "input_tokens", "inputTokenCount", "prompt_tokens", _LLAMA_INPUT),
    ("outputTokens", "output_tokens", "outputTokenCount", "completion_tokens", _LLAMA_OUTPUT),
    ("cacheReadInputTokens", "cache_read_input_tokens", "cacheReadInputTokenCount", "cache_read_tokens"),
    ("cacheWriteInputTokens", "cache_creation_input_tokens", "cacheWriteInputTokenCount", "cache_write_tokens"),
)
_USAGE = "usage"
_METRICS = "amazon-bedrock-invocationMetrics"

# The largest plausible number of tokens. The largest context window is ten million tokens. A larger number is not
# used, because it would use up or refund a whole quota.
MOST = 100_000_000
_DIGITS = len(str(MOST))
_WRONG = -1

# Tokens written to the prompt cache, by lifetime: Converse's list, Anthropic's counts, and this package's short form.
# If no lifetime is stated, it is five minutes, AWS's default.
_CACHE_DETAILS, _AN_HOUR = "cacheDetails", "1h"
_CACHE_CREATION, _ANTHROPIC_HOUR = "cache_creation", "ephemeral_1h_input_tokens"
_SHORT_HOUR = "cache_write_1h_tokens"

# The action of a guardrail, in the bodies of InvokeModel and in the chunks of its stream. A guardrail that masks words
# reports this action in every chunk. The guardrail's trace, and Titan's token count of the whole answer, are only in
# the last chunk (AWS's traffic of 2025-08, as recorded in traceloop/openllmetry).
GUARDRAIL_ACTION, INTERVENED = "amazon-bedrock-guardrailAction", "INTERVENED"
GUARDRAIL_TRACE, _TITAN_TOTAL = "amazon-bedrock-trace", "totalOutputTextTokenCount"

# Titan has the input count next to the answers, and the output count in each answer. An embedding has only the input
# count.
_TITAN_INPUT, _TITAN_OUTPUT, _TITAN_RESULTS = "inputTextTokenCount", "tokenCount", "results"

# Headers of InvokeModel's answers, in the order of `Usage`.
_HEADERS = (
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
)

# The stop reason: Converse and Nova; Anthropic, Llama, Mistral and DeepSeek; OpenAI, AI21 and Cohere; Titan.
_STOP_REASONS = ("stopReason", "stop_reason", "finish_reason", "completionReason")

# Lists that contain the answers of a body: Titan; Mistral; OpenAI, AI21 and DeepSeek; Cohere Command.
_ANSWERS = (_TITAN_RESULTS, "outputs", "choices", "generations")

# Stop reasons of truncated and of blocked answers, in lower case: Converse, Nova and Titan; Anthropic, whose models
# refuse with status 200; OpenAI; Cohere.
TRUNCATED = frozenset({"max_tokens", "model_context_window_exceeded", "length"})
# Stop reasons of Converse for output that does not follow the protocol of the model (botocore 1.44.8's service model).
MALFORMED = frozenset({"malformed_model_output", "malformed_tool_use"})
CONTENT_FILTERED = "content_filtered"
# Stop reasons of complete answers, in lower case: Converse, Nova and Anthropic; OpenAI, Mistral, Llama, DeepSeek and
# AI21; Cohere; Titan.
COMPLETE = frozenset({
    "end_turn", "tool_use", "stop_sequence",
    "stop", "tool_calls", "function_call",
    "complete",
    "finish", "finished", "stop_criteria_met",
})  # fmt: skip
FILTERED = frozenset({"guardrail_intervened", CONTENT_FILTERED, "refusal", "content_filter", "error_toxic"})


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the token usage that an answer of Converse or of InvokeModel reports. Return None if the answer reports no
    usage.
    """
    reported = body.get(_USAGE)
    if isinstance(reported, dict):
        return counted(reported)
    titan = count(body.get(_TITAN_INPUT))
    if titan is not None:
        return Usage(titan, sum(count(result.get(_TITAN_OUTPUT)) or 0 for result in _answers(body)))
    return counted(body) if _LLAMA_OUTPUT in body else None


def usage_of_generation(body: Mapping[str, Any]) -> Usage | None:
    """Return the token usage of a generated answer. Return None for an embedding, because it has no output tokens. Also
    return None if all counts are 0, because the model then reported no usage.
    """
    if _TITAN_INPUT in body and not isinstance(body.get(_TITAN_RESULTS), list):
        return None
    usage = usage_of(body)
    return None if usage == Usage() else usage


def usage_in_chunk(chunk: Mapping[str, Any]) -> Usage | None:
    """Return the usage in the metrics that Bedrock adds to the last chunk of a stream of any model family."""
    metrics = chunk.get(_METRICS)
    return counted(metrics) if isinstance(metrics, dict) else None


def has_metrics(chunk: Mapping[str, Any]) -> bool:
    """Return whether `chunk` is the last chunk of a stream. Bedrock adds its metrics only to the last chunk."""
    return bool(chunk.get(_METRICS))


def intervened(body: Mapping[str, Any]) -> bool:
    """Return whether a guardrail changed or blocked `body`, an answer or a chunk of an answer."""
    return body.get(GUARDRAIL_ACTION) == INTERVENED


def blocked(chunk: Mapping[str, Any], *, alone: bool) -> bool:
    """Return whether `chunk` is the last chunk of an answer that a guardrail blocked. Such a chunk has no stop reason.

    The chunk must report that a guardrail intervened. However, a guardrail that only masks a few words also reports
    this, in every chunk of the stream. Therefore, one of these conditions must be met, too:

    * The chunk contains the guardrail's trace or, for Titan, the total number of output tokens. Only the last chunk of
      a stream contains these.
    * `alone` is True, and the chunk is not in Titan's format. `alone` means that the chunk is the first one of its
      stream, and that its model family has a flat dialect (a field of the chunk contains the text).
    """
    if not intervened(chunk):
        return False
    return GUARDRAIL_TRACE in chunk or _TITAN_TOTAL in chunk or (alone and "outputText" not in chunk)


def usage_in_headers(headers: Mapping[str, str]) -> Usage | None:
    """Return the token usage in the HTTP headers of InvokeModel's answer. These headers have the same names for all
    model families.
    """
    if _HEADERS[0] not in headers:
        return None
    counts = [count(headers.get(name, 0)) for name in _HEADERS]
    return None if counts[0] is None else Usage(*(number or 0 for number in counts))


def counted(reported: Mapping[str, Any]) -> Usage | None:
    """Return the token usage in `reported`. Model families use different names for the same count, such as
    `inputTokens` or `prompt_tokens`. All these names are recognized.

    Return None if there is no input count. Also return None if one value cannot be a number of tokens, for example -5,
    because the other counts can then be wrong, too.
    """
    counts = [_named(reported, names) for names in _COUNTS]
    if counts[0] is None or _WRONG in counts:
        return None
    usage = Usage(counts[0], counts[1] or 0, counts[2] or 0, counts[3] or 0)
    return _with_hour(usage, reported) if usage.cache_write_tokens else usage


def with_hour_of(usage: Usage, body: Mapping[str, Any]) -> Usage:
    """Return `usage` with the number of tokens that were written to the prompt cache for one hour. This number comes
    from `body`, the model's body, because the headers or metrics from which `usage` comes do not contain it.
    """
    reported = body.get(_USAGE)
    return _with_hour(usage, reported) if usage.cache_write_tokens and isinstance(reported, dict) else usage


def _with_hour(usage: Usage, reported: Mapping[str, Any]) -> Usage:
    details, creation = reported.get(_CACHE_DETAILS), reported.get(_CACHE_CREATION)
    hours = [creation.get(_ANTHROPIC_HOUR)] if isinstance(creation, dict) else [reported.get(_SHORT_HOUR)]
    if isinstance(details, list):
        hours += [each.get("inputTokens") for each in details if isinstance(each, dict) and each.get("ttl") == _AN_HOUR]
    hour = min(sum(count(each) or 0 for each in hours), usage.cache_write_tokens)
    return replace(usage, cache_write_1h_tokens=hour) if hour else usage


def without_double_writes(usage: Usage, most_input: int) -> Usage:
    """Return `usage`, the usage of a stream with reasoning, with a corrected number of cache writes.

    AWS sometimes counts the cache writes of such a stream twice. `most_input` is the estimated number of input tokens.
    If AWS reported more input tokens than `most_input`, the excess is subtracted from the cache writes. At most half
    of the cache writes are subtracted.
    """
    written = usage.cache_write_tokens
    beyond = usage.input_tokens + usage.cache_read_tokens + written - most_input
    excess = min(beyond, written - ceil(written / cache_writes_reported()))
    if excess <= 0:
        return usage
    hour = round(usage.cache_write_1h_tokens * (written - excess) / written)
    return replace(usage, cache_write_tokens=written - excess, cache_write_excess=excess, cache_write_1h_tokens=hour)


def count_response(tokens: int) -> dict[str, Any]:
    """Return a response of CountTokens with this number of tokens."""
    return {_COUNTS[0][0]: tokens}


def count(value: Any) -> int | None:
    """Return `value` as a number of tokens. A float such as `5.0` and a text such as `"5"` are accepted, too. Return
    None if the value cannot be a number of tokens.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        value = int(value) if len(value) <= _DIGITS and value.isascii() and value.isdecimal() else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    return value if isinstance(value, int) and 0 <= value <= MOST else None


def stop_reason(body: Mapping[str, Any]) -> str:
    """Return the stop reason as it is written in the body. Return an empty string if the body has no stop
    reason yet.
    """
    return next(stop_reasons(body), "")


def reason_of(value: Any) -> str:
    """Return the stop reason of a call. `value` is Converse's response or the transcript of a stream.

    The body of an InvokeModel response is not read: it can be read only once, and the caller reads it.
    """
    reason = value.get("stopReason") if isinstance(value, dict) else getattr(value, "stop_reason", None)
    return reason if isinstance(reason, str) else ""


def stop_reasons(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the stop reasons in `body`. The body itself can contain a stop reason. In addition, a list in the body can
    contain several answers, each with a stop reason. For example, OpenAI's list is `choices`.
    """
    for place in parts(body):
        for name in _STOP_REASONS:
            reason = place.get(name)
            if reason and isinstance(reason, str):
                yield reason


def is_complete(body: Mapping[str, Any], *, needs_reason: bool) -> bool:
    """Return whether `body` is a complete answer that was neither truncated nor filtered.

    Every stop reason in the body must mean a complete answer. If `needs_reason` is True, the body must contain at least
    one stop reason. Pass False for a body of InvokeModel: it can be an embedding, and an embedding has no stop reason.
    """
    if intervened(body) or body.get("error") or any(body.get("finish_reasons") or ()):
        return False
    reasons = [place.get(name) for place in parts(body) for name in _STOP_REASONS if place.get(name) is not None]
    return all(isinstance(reason, str) and reason.lower() in COMPLETE for reason in reasons) and (
        bool(reasons) or not needs_reason
    )


def parts(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the dictionaries that can contain the text or the stop reason of an answer. These are `body` itself, and
    then each answer in a list of `body`. The list of OpenAI's answers is `choices`, for example, and the list of
    Titan's is `results`.
    """
    yield body
    yield from _answers(body)


def _answers(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in _ANSWERS:
        listed = body.get(name)
        if isinstance(listed, list):
            yield from (answer for answer in listed if isinstance(answer, dict))


def _named(place: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """Return the number of tokens that `place` contains under one of `names`. `names` are the names that the model
    families use for the same count. Return None if `place` contains none of them. Return -1 if the value cannot be a
    number of tokens, for example -5.
    """
    for name in names:
        value = place.get(name)
        if value is not None:
            if type(value) is not int:
                value = count(value)
            return value if value is not None and 0 <= value <= MOST else _WRONG
    return None
