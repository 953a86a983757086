"""The InvokeModel formats of the model families that accept one text, `prompt`, and continue it.

Formats: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html and public recordings, 2026-11-29.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aws_bedrock_inference.simulator.answers import FILTERED, MAXIMUM, STOP, Prompt
from aws_bedrock_inference.simulator.claude import metrics, require
from aws_bedrock_inference.simulator.converse import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage
    from aws_bedrock_inference.simulator.request import Asked


def pieces(text: str) -> list[str]:
    """Return the pieces of a text for a stream, at least one piece."""
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)] or [""]


class Completion:
    """The format with one text in the request and its continuation in the answer. Subclasses define the names of the
    settings and of the stop reasons.
    """

    required: ClassVar[tuple[str, ...]] = ("prompt",)
    maximum: ClassVar = "max_tokens"
    stops: ClassVar = "stop"
    reasons: ClassVar = {MAXIMUM: "length"}
    end: ClassVar = "stop"

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from the text and the settings of a body."""
        require(body, *self.required)
        prompt = Prompt(max_tokens=body.get(self.maximum), stop_sequences=tuple(body.get(self.stops) or ()))
        prompt.add(body["prompt"])
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Return the body of a complete answer."""
        return self.piece(self.text(answer), self.reason(answer), answer, usage)

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer. The last chunk has the stop reason."""
        *firsts, last = pieces(self.text(answer))
        for text in firsts:
            yield self.piece(text, None, answer, usage)
        end = self.piece(last, self.reason(answer), answer, usage)
        yield {**end, "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds)}

    def text(self, answer: Answer) -> str:
        """Return the text of the answer."""
        return answer.text

    def reason(self, answer: Answer) -> str:
        """Return the family's name for the stop reason."""
        return self.reasons.get(answer.stop, self.end)

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:
        """Return the body of a complete answer, or one chunk of a streamed answer.

        `text` is the complete text or the piece in this chunk. `reason` is the stop reason, or None for each chunk
        before the last.
        """
        raise NotImplementedError


class Llama(Completion):
    """The format of Meta Llama."""

    maximum = "max_gen_len"
    stops = "stop_sequences"  # Llama has no such setting

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:  # noqa: ARG002 - Completion's
        """Return the body of a complete answer, or one chunk of a streamed answer. The text is in `generation`."""
        return {
            "generation": text,
            "prompt_token_count": usage.input,
            "generation_token_count": usage.output,
            "stop_reason": reason,
        }

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer. Each chunk has the number of tokens so far, and the first chunk also
        has the number of prompt tokens.
        """
        written = 0
        for number, chunk in enumerate(super().chunks(answer, usage, milliseconds)):
            written = min(usage.output, written + -(-PIECE // 4))
            last = chunk["stop_reason"] is not None
            counts = {
                "prompt_token_count": None if number else usage.input,
                "generation_token_count": usage.output if last else written,
            }
            yield {**chunk, **counts}


class Mistral(Completion):
    """The format of Mistral's first models."""

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:  # noqa: ARG002 - Completion's
        """Return the body of a complete answer, or one chunk of a streamed answer. The text is in `outputs`."""
        return {"outputs": [{"text": text, "stop_reason": reason}]}


class DeepSeek(Completion):
    """The format of DeepSeek R1, which reasons before it answers."""

    def text(self, answer: Answer) -> str:
        """Return the reasoning, the tag that ends the reasoning, and the answer."""
        return f"{answer.reasoning}\n</think>\n\n{answer.text}" if answer.reasoning else answer.text

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:  # noqa: ARG002 - Completion's
        """Return the body of a complete answer, or one chunk of a streamed answer. The text is in `choices`."""
        return {"choices": [{"text": text, "stop_reason": reason}]}


class OpenAIText(Completion):
    """The format of imported models and of Marketplace endpoints: OpenAI's older Completions format."""

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:
        """Return the body of a complete answer, or one chunk of a streamed answer. The text is in `choices`, and the
        token counts are in `usage`.
        """
        return {
            "object": "text_completion",
            "id": answer.identity,
            "created": 0,
            "model": self.asked.base,
            "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": reason}],
            "usage": {
                "prompt_tokens": usage.input,
                "completion_tokens": usage.output,
                "total_tokens": usage.input + usage.output,
            },
        }


class Jurassic(Completion):
    """The format of AI21 Jurassic-2, which does not stream."""

    maximum = "maxTokens"
    stops = "stopSequences"
    end = "endoftext"
    reasons: ClassVar = {MAXIMUM: "length", STOP: "stop"}

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:  # noqa: ARG002 - Completion's
        """Return a body with the text in `completions`, but without the likelihood of each token."""
        data = {"text": text, "tokens": []}
        return {
            "id": 1234,
            "prompt": {"text": self.asked.body.get("prompt", ""), "tokens": []},
            "completions": [{"data": data, "finishReason": {"reason": reason}}],
        }


class ClaudeText(Completion):
    """The format of Anthropic's Text Completions, for Claude 2 and older."""

    required = ("prompt", "max_tokens_to_sample")
    maximum = "max_tokens_to_sample"
    stops = "stop_sequences"
    end = "stop_sequence"
    reasons: ClassVar = {MAXIMUM: "max_tokens"}

    def piece(self, text: str, reason: str | None, answer: Answer, usage: Usage) -> dict[str, Any]:  # noqa: ARG002 - Completion's
        """Return the body of a complete answer, or one chunk of a streamed answer. The text is in `completion`.

        The field `stop` of the body, or of the last chunk, depends on the end of the answer:

        * A stop sequence of the request ended the answer: `stop` is this stop sequence.
        * The model ended the answer itself: `stop` is Claude's own stop sequence, two line breaks and `Human:`.
        * The answer was truncated: `stop` is None.

        In all other chunks, `stop` is None.
        """
        stop = (answer.stop_sequence or "\n\nHuman:") if reason == "stop_sequence" else None
        return {"type": "completion", "completion": text, "stop_reason": reason, "stop": stop}


class CohereText(Completion):
    """The format of Cohere Command. The request can ask for several answers."""

    stops = "stop_sequences"
    end = "COMPLETE"
    reasons: ClassVar = {MAXIMUM: "MAX_TOKENS", FILTERED: "ERROR_TOXIC"}

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Return the body of the response. The request's `num_generations` sets the number of answers in `generations`.
        The default is one answer.
        """
        reason = self.reason(answer)
        found = [
            {"id": f"{answer.identity}-{number}", "text": answer.text, "finish_reason": reason}
            for number in range(self._number)
        ]
        return {"id": answer.identity, "generations": found, "prompt": self.asked.body.get("prompt", "")}

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed response: the pieces of each answer, then one chunk with the stop reason.

        If the request asks for several answers, the field `index` of each piece is the number of its answer, from 0.
        """
        for number in range(self._number):
            which = {"index": number} if self._number > 1 else {}
            for text in pieces(answer.text):
                yield {**which, "text": text, "is_finished": False}
        end = {"finish_reason": self.reason(answer), "is_finished": True}
        yield {**end, "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds)}

    @property
    def _number(self) -> int:
        wanted = self.asked.body.get("num_generations")
        return wanted if isinstance(wanted, int) and 1 <= wanted <= 5 else 1  # noqa: PLR2004 - the model's maximum
