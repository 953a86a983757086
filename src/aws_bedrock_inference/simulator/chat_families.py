"""The InvokeModel formats of models that accept a list of messages, such as OpenAI, Mistral Large and Cohere Command R.

Formats: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html and public recordings, 2026-11-29.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from aws_bedrock_inference.simulator.answers import FILTERED, MAXIMUM, STOP, TOOL, Prompt
from aws_bedrock_inference.simulator.claude import metrics, require
from aws_bedrock_inference.simulator.families import pieces
from aws_bedrock_inference.simulator.tools import ANY, NONE, ONE, Offer
from aws_bedrock_inference.simulator.wishes import json_format

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.simulator.answers import Answer, Usage
    from aws_bedrock_inference.simulator.request import Asked


class OpenAIChat:
    """OpenAI's Chat Completions, the format of most model families in Bedrock."""

    reasons: ClassVar = {MAXIMUM: "length", FILTERED: "content_filter", TOOL: "tool_calls"}

    def __init__(self, asked: Asked) -> None:
        self.asked = asked

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `messages`, `tools` and the settings of a body."""
        require(body, "messages")
        stops = body.get("stop") or ()
        prompt = Prompt(
            max_tokens=body.get("max_completion_tokens", body.get("max_tokens")),
            stop_sequences=(stops,) if isinstance(stops, str) else tuple(stops),
            offer=_offer(body),
            format=json_format(body),
        )
        for tool in body.get("tools") or ():
            prompt.add(json.dumps(tool, sort_keys=True))
        for message in body["messages"]:
            _read_message(prompt, message)
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Return the body of an answer, with one choice."""
        message = {"role": "assistant", "content": _content(answer), **_tool_calls(answer)}
        return {
            **self._head(answer, "chat.completion"),
            "choices": [{"index": 0, "message": message, **self._reason(answer)}],
            "usage": _usage(usage),
        }

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer: the deltas of one choice."""
        head = self._head(answer, "chat.completion.chunk")

        def chunk(delta: dict[str, Any], reason: dict[str, Any]) -> dict[str, Any]:
            return {**head, "choices": [{"index": 0, "delta": delta, **reason}]}

        none: dict[str, Any] = dict.fromkeys(self._reason(answer))
        yield chunk({"role": "assistant", "content": ""}, none)
        if answer.tool:
            yield chunk(_tool_calls(answer), none)
        else:
            for text in pieces(_content(answer) or ""):
                yield chunk({"content": text}, none)
        end = {**chunk({}, self._reason(answer)), "usage": _usage(usage)}
        yield {**end, "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds)}

    def _reason(self, answer: Answer) -> dict[str, Any]:
        return {"finish_reason": self.reasons.get(answer.stop, "stop")}

    def _head(self, answer: Answer, kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{answer.identity}", "object": kind, "created": 0, "model": self.asked.base}


class MistralChat(OpenAIChat):
    """The format of Mistral Large. It is like Chat Completions, with other field names. In a stream, each chunk
    contains the new text in the field `message`, not in `delta`.
    """

    def _reason(self, answer: Answer) -> dict[str, Any]:
        return {"stop_reason": self.reasons.get(answer.stop, "stop")}

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer. Each chunk contains a `message` that holds only the new text."""
        for chunk in super().chunks(answer, usage, milliseconds):
            (choice,) = chunk["choices"]
            message = {"role": "assistant", "content": "", **choice.pop("delta")}
            yield {**chunk, "choices": [{**choice, "message": message}]}


class CohereChat:
    """The format of Cohere Command R: `message` is the last message, `chat_history` contains the earlier messages."""

    reasons: ClassVar = {MAXIMUM: "MAX_TOKENS", STOP: "STOP_SEQUENCE", FILTERED: "ERROR_TOXIC"}

    def __init__(self, asked: Asked) -> None:
        self._request = asked.body

    def read(self, body: dict[str, Any]) -> Prompt:
        """Return the prompt from `message`, `chat_history` and the settings of a body."""
        require(body, "message")
        prompt = Prompt(max_tokens=body.get("max_tokens"), stop_sequences=tuple(body.get("stop_sequences") or ()))
        for tool in body.get("tools") or ():
            prompt.add(json.dumps(tool, sort_keys=True))
        for turn in [body.get("preamble"), *(turn["message"] for turn in body.get("chat_history") or ())]:
            if turn is not None:
                prompt.add(turn)
        prompt.add(body["message"])
        prompt.offer.ask(body["message"])
        return prompt

    def body(self, answer: Answer, usage: Usage, milliseconds: int) -> dict[str, Any]:  # noqa: ARG002 - Dialect's
        """Return the body of an answer. `chat_history` contains all messages up to and including this answer."""
        turns = [
            *(self._request.get("chat_history") or []),
            {"role": "USER", "message": self._request.get("message", "")},
            {"role": "CHATBOT", "message": answer.text},
        ]
        return {
            "response_id": answer.identity,
            "text": answer.text,
            "generation_id": answer.identity,
            "chat_history": turns,
            "finish_reason": self.reasons.get(answer.stop, "COMPLETE"),
        }

    def chunks(self, answer: Answer, usage: Usage, milliseconds: int) -> Iterator[dict[str, Any]]:
        """Return the chunks of a streamed answer: the start, the text in pieces, and the complete answer at the end."""
        yield {"is_finished": False, "event_type": "stream-start", "generation_id": answer.identity}
        for text in pieces(answer.text):
            yield {"is_finished": False, "event_type": "text-generation", "text": text}
        whole = self.body(answer, usage, milliseconds)
        yield {
            "is_finished": True,
            "event_type": "stream-end",
            "response": whole,
            "finish_reason": whole["finish_reason"],
            "amazon-bedrock-invocationMetrics": metrics(usage, milliseconds),
        }


def _read_content(prompt: Prompt, content: Any) -> None:
    if content is None:
        return
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        if part.get("type") == "text":
            prompt.add(part["text"])
        else:
            prompt.add_media()


def _read_message(prompt: Prompt, message: dict[str, Any]) -> None:
    first = len(prompt.parts)
    _read_content(prompt, message.get("content"))
    text = "\n".join(prompt.parts[first:])
    if message.get("role") == "user":
        prompt.offer.ask(text)
    elif message.get("role") in {"system", "developer"}:
        prompt.system = f"{prompt.system}\n{text}"
    for use in message.get("tool_calls") or ():
        prompt.add(json.dumps(use, sort_keys=True))
        prompt.offer.use(use["function"]["name"])


def _offer(body: dict[str, Any]) -> Offer:
    functions = [tool["function"] for tool in body.get("tools") or ()]
    offer = Offer({function["name"]: function.get("parameters") for function in functions})
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        offer.require(ONE, choice["function"]["name"])
    elif choice in {"any", "required"}:
        offer.require(ANY)
    elif choice == "none":
        offer.require(NONE)
    return offer


def _content(answer: Answer) -> str | None:
    """Return the text of the answer. Its reasoning comes first, inside a tag."""
    if answer.tool:
        return None
    return f"<reasoning>{answer.reasoning}</reasoning>{answer.text}" if answer.reasoning else answer.text


def _tool_calls(answer: Answer) -> dict[str, Any]:
    if not answer.tool:
        return {}
    function = {"name": answer.tool.name, "arguments": answer.text}
    return {"tool_calls": [{"index": 0, "id": f"call_{answer.identity}", "type": "function", "function": function}]}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
    }
