"""The token usage and the stop reason in answers, in the field names of each model family.

Each field name is listed here once. Sources: botocore 1.44.5's service model for Converse, the model parameter pages of
the Bedrock user guide for the models' own bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Llama has its counts in the body itself.
_LLAMA_INPUT, _LLAMA_OUTPUT = "prompt_token_count", "generation_token_count"

# The spellings of each count, in the order of `Usage`: by Converse and Nova, by Anthropic, in the metrics of a stream's
# last chunk, by OpenAI and AI21, by Llama, and in this package's own short form, where those differ.
_COUNTS = (
    ("inputTokens", "input_tokens", "inputTokenCount", "prompt_tokens", _LLAMA_INPUT),
    ("outputTokens", "output_tokens", "outputTokenCount", "completion_tokens", _LLAMA_OUTPUT),
    ("cacheReadInputTokens", "cache_read_input_tokens", "cacheReadInputTokenCount", "cache_read_tokens"),
    ("cacheWriteInputTokens", "cache_creation_input_tokens", "cacheWriteInputTokenCount", "cache_write_tokens"),
)
_USAGE = "usage"
_METRICS = "amazon-bedrock-invocationMetrics"

# Titan has the input count beside the answers and the output count in each answer; an embedding has input only.
_TITAN_INPUT, _TITAN_OUTPUT, _TITAN_RESULTS = "inputTextTokenCount", "tokenCount", "results"

# Headers of InvokeModel's answers, in the order of `Usage`.
_HEADERS = (
    "x-amzn-bedrock-input-token-count",
    "x-amzn-bedrock-output-token-count",
    "x-amzn-bedrock-cache-read-input-token-count",
    "x-amzn-bedrock-cache-write-input-token-count",
)

# Why the model stopped: Converse and Nova; Anthropic, Llama, Mistral and DeepSeek; OpenAI, AI21 and Cohere; Titan.
_STOP_REASONS = ("stopReason", "stop_reason", "finish_reason", "completionReason")

# Lists that hold the answers of a body: Titan's; Mistral's; OpenAI's, AI21's and DeepSeek's; Cohere Command's.
_ANSWERS = (_TITAN_RESULTS, "outputs", "choices", "generations")

# Stop reasons of truncated and of blocked answers, in lower case.
TRUNCATED = frozenset({"max_tokens", "model_context_window_exceeded", "length"})
FILTERED = frozenset({"guardrail_intervened", "content_filtered", "refusal"})


def usage_of(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage in a complete answer of Converse or of a model; None if it has none."""
    reported = body.get(_USAGE)
    if isinstance(reported, dict):
        return counted(reported)
    if isinstance(body.get(_TITAN_INPUT), int):
        return Usage(body[_TITAN_INPUT], sum(_count(result, (_TITAN_OUTPUT,)) or 0 for result in _answers(body)))
    return counted(body) if _LLAMA_OUTPUT in body else None


def usage_of_generation(body: Mapping[str, Any]) -> Usage | None:
    """Return the usage of an answer that was generated; None also for an embedding, whose output is no tokens."""
    if _TITAN_INPUT in body and not isinstance(body.get(_TITAN_RESULTS), list):
        return None
    return usage_of(body)


def usage_in_chunk(chunk: Mapping[str, Any]) -> Usage | None:
    """Return the usage in the metrics that Bedrock adds to the last chunk of a stream in any dialect."""
    metrics = chunk.get(_METRICS)
    return (counted(metrics) or Usage()) if metrics else None


def usage_in_headers(headers: Mapping[str, str]) -> Usage | None:
    """Return the usage in the headers of InvokeModel's answer; they are the same for all dialects."""
    if _HEADERS[0] not in headers:
        return None
    return Usage(*(int(headers.get(name, 0)) for name in _HEADERS))


def counted(reported: Mapping[str, Any]) -> Usage | None:
    """Return the counts in one mapping, by any of their names; None without an input and an output count."""
    input_tokens, output_tokens = _count(reported, _COUNTS[0]), _count(reported, _COUNTS[1])
    if input_tokens is None and output_tokens is None:
        return None
    return Usage(
        input_tokens or 0, output_tokens or 0, _count(reported, _COUNTS[2]) or 0, _count(reported, _COUNTS[3]) or 0
    )


def stop_reason(body: Mapping[str, Any]) -> str:
    """Return the stop reason as the body has it; empty if there is none yet."""
    for place in parts(body):
        for name in _STOP_REASONS:
            if place.get(name):
                return str(place[name])
    return ""


def parts(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings in which a flat dialect may have a field: the body, then each answer in its lists."""
    yield body
    yield from _answers(body)


def _answers(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in _ANSWERS:
        listed = body.get(name)
        if isinstance(listed, list):
            yield from (answer for answer in listed if isinstance(answer, dict))


def _count(place: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    for name in names:
        value = place.get(name)
        if isinstance(value, int):
            return value
    return None
