"""The bodies of InvokeModel: Anthropic Messages, Amazon Nova and Amazon Titan Text.

Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aws_bedrock_inference.simulator import converse
from aws_bedrock_inference.simulator.answers import FILTERED, MAXIMUM, STOP, Prompt
from aws_bedrock_inference.simulator.claude import Anthropic, metrics, require

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage


class Dialect(Protocol):
    """The format of the requests and answers of one model family."""

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt of a request; raises ServiceError for a body that is not of this family."""

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:
        """Return the body of a whole answer."""

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer."""


def dialect(model: str) -> Dialect:
    """Return the dialect of a base model; what is not Anthropic's or Titan's speaks Nova's."""
    if model.startswith("anthropic."):
        return Anthropic()
    return Titan() if model.startswith("amazon.titan") else Nova()


class Nova:
    """Converse's shape, in the body."""

    def read(self, body: dict[str, Any]) -> Prompt:
        """Read `messages`, `system` and `inferenceConfig`."""
        require(body, "messages")
        return converse.read(body)

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:
        """Write Converse's answer without its metrics."""
        written = converse.body(answer, usage, milliseconds)
        del written["metrics"]
        return written

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Write Converse's events, each under its name."""
        for name, event in converse.events(answer, usage, milliseconds):
            yield {name: event}


class Titan:
    """`inputText` in, `results` out."""

    _REASONS: ClassVar = {MAXIMUM: "LENGTH", STOP: "STOP_CRITERIA_MET", FILTERED: "CONTENT_FILTERED"}

    def read(self, body: dict[str, Any]) -> Prompt:
        """Read `inputText` and `textGenerationConfig`."""
        require(body, "inputText")
        settings = body.get("textGenerationConfig") or {}
        stops = tuple(settings.get("stopSequences") or ())
        prompt = Prompt(max_tokens=settings.get("maxTokenCount"), stop_sequences=stops)
        prompt.add(body["inputText"])
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Write one result."""
        reason = self._REASONS.get(answer.stop, "FINISH")
        result = {"tokenCount": usage.output, "outputText": answer.text, "completionReason": reason}
        return {"inputTextTokenCount": usage.input, "results": [result]}

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Write pieces of text; the last one says why it ended."""
        pieces = [answer.text[at : at + converse.PIECE] for at in range(0, len(answer.text), converse.PIECE)] or [""]
        for piece in pieces[:-1]:
            yield {"outputText": piece, "index": 0, "completionReason": None}
        yield {
            "outputText": pieces[-1],
            "index": 0,
            "totalOutputTextTokenCount": usage.output,
            "completionReason": self._REASONS.get(answer.stop, "FINISH"),
            "inputTextTokenCount": usage.input,
            "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds),
        }
