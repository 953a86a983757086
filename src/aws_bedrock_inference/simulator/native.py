"""Select the format of a body of InvokeModel. Also define the formats of Amazon Nova and Amazon Titan Text.

`model_rules.toml` names the format of each model. Source:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aws_bedrock_inference.simulator import chat_families, converse, families
from aws_bedrock_inference.simulator.answers import FILTERED, MAXIMUM, STOP, Prompt
from aws_bedrock_inference.simulator.claude import Anthropic, metrics, require
from aws_bedrock_inference.simulator.embeddings import embedding_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage
    from aws_bedrock_inference.simulator.request import Asked


class Dialect(Protocol):
    """The format of the requests and answers of one model family."""

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt of a request. Raises ServiceError for a body that is not in this family's format."""

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:
        """Return the body of a complete answer."""

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer."""


def dialect(asked: Asked) -> Dialect:
    """Return the format of a request to a model that answers with text."""
    return _DIALECTS[asked.format](asked)


def read(asked: Asked, body: dict[str, Any]) -> Prompt:
    """Return the prompt from a body in the format of the request. Raises ServiceError."""
    return (embedding_format(asked.format, asked.base) or dialect(asked)).read(body)


class Nova:
    """The format of Amazon Nova. It is like Converse, with a few differences."""

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `messages`, `system` and `inferenceConfig`."""
        require(body, "messages")
        return converse.read(body)

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:
        """Return the body of an answer, which is Converse's answer without its metrics."""
        written = converse.body(answer, usage, milliseconds)
        del written["metrics"]
        return {**written, "usage": {**_usage(usage), "totalTokens": usage.total}}

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Yield the chunks of a streamed answer. Each chunk is a dictionary with one event of ConverseStream.

        Unlike ConverseStream, Nova ends the content block after every delta and continues with the next block index.
        """
        index = 0
        for name, event in converse.events(answer, usage, milliseconds):
            if name == "contentBlockStop":
                continue
            if name == "metadata":
                metadata = {"usage": _usage(usage), "metrics": {}, "trace": {}}
                yield {name: metadata, "amazon-bedrock-invocationMetrics": _metrics(usage, milliseconds)}
                continue
            yield {name: {**event, "contentBlockIndex": index} if "contentBlockIndex" in event else event}
            if name == "contentBlockDelta":
                yield {"contentBlockStop": {"contentBlockIndex": index}}
                index += 1


class Titan:
    """The format of Amazon Titan Text, with `inputText` in the request and `results` in the answer."""

    _REASONS: ClassVar = {MAXIMUM: "LENGTH", STOP: "STOP_CRITERIA_MET", FILTERED: "CONTENT_FILTERED"}

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `inputText` and `textGenerationConfig`."""
        require(body, "inputText")
        settings = body.get("textGenerationConfig") or {}
        stops = tuple(settings.get("stopSequences") or ())
        prompt = Prompt(max_tokens=settings.get("maxTokenCount"), stop_sequences=stops)
        prompt.add(body["inputText"])
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Return the body of an answer, with one result."""
        reason = self._REASONS.get(answer.stop, "FINISH")
        result = {"tokenCount": usage.output, "outputText": answer.text, "completionReason": reason}
        return {"inputTextTokenCount": usage.input, "results": [result]}

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return one chunk with the complete answer, because Titan does not split its answers."""
        yield {
            "outputText": answer.text,
            "index": 0,
            "totalOutputTextTokenCount": usage.output,
            "completionReason": self._REASONS.get(answer.stop, "FINISH"),
            "inputTextTokenCount": usage.input,
            "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds),
        }


_DIALECTS: dict[str, Callable[[Asked], Dialect]] = {
    "claude": lambda asked: Anthropic(asked.base),
    "claude-text": families.ClaudeText,
    "nova": lambda _: Nova(),
    "titan": lambda _: Titan(),
    "llama": families.Llama,
    "mistral-text": families.Mistral,
    "deepseek-text": families.DeepSeek,
    "jurassic": families.Jurassic,
    "openai-text": families.OpenAIText,
    "cohere-text": families.CohereText,
    "cohere-chat": chat_families.CohereChat,
    "mistral-chat": chat_families.MistralChat,
    "openai-chat": chat_families.OpenAIChat,
}


def _usage(usage: Usage) -> dict[str, int]:
    return {"inputTokens": usage.input, "outputTokens": usage.output, **_cache(usage)}


def _metrics(usage: Usage, milliseconds: int) -> dict[str, int]:
    return {**metrics(usage, milliseconds), **_cache(usage)}


def _cache(usage: Usage) -> dict[str, int]:
    return {"cacheReadInputTokenCount": usage.cache_read, "cacheWriteInputTokenCount": usage.cache_write}
