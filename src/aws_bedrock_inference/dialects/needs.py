"""Determine which abilities a request needs from a model, such as tools, images or a system prompt.

A `Need` is one such ability. The needs are read from Converse's parameters, or from a body of InvokeModel in the format
of any model family. The result contains the needs and the numbers of tokens, but no text or media of the request.

Sources of the field names:

* for Converse: botocore 1.44.8's service model
* for bodies of InvokeModel: the model parameter pages of the Bedrock user guide
* for bodies with the field `input`: OpenAI's Responses API
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.dialects.request import CONVERSE_SETTINGS, parsed_body
from aws_bedrock_inference.knowledge.abilities import Need, Needs, form_of_body
from aws_bedrock_inference.knowledge.models import target

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Estimate

_STREAMING = frozenset({"converse_stream", "invoke_model_with_response_stream"})
_TIERS = frozenset({"priority", "default", "flex", "reserved"})

# Blocks of content, by their member (Converse, Nova) or their `type` (Anthropic, OpenAI), and the settings in a block.
_BLOCKS = {
    "audio": Need.AUDIO,
    "cachePoint": Need.CACHE,
    "cache_control": Need.CACHE,
    "document": Need.DOCUMENT,
    "file": Need.DOCUMENT,
    "image": Need.IMAGE,
    "image_url": Need.IMAGE,
    "input_audio": Need.AUDIO,
    "input_file": Need.DOCUMENT,
    "input_image": Need.IMAGE,
    "reasoningContent": Need.UNSIGNED_REASONING,
    "thinking": Need.UNSIGNED_REASONING,
    "toolResult": Need.TOOLS,
    "toolUse": Need.TOOLS,
    "tool_result": Need.TOOLS,
    "tool_use": Need.TOOLS,
    "video": Need.VIDEO,
    "video_url": Need.VIDEO,
}
_TOOLS, _UNSIGNED = Need.TOOLS, Need.UNSIGNED_REASONING  # precomputed, because each block needs it
_MEDIA = frozenset({Need.AUDIO, Need.DOCUMENT, Need.IMAGE, Need.VIDEO})
_ROLES = {"system": Need.SYSTEM, "developer": Need.SYSTEM, "tool": Need.TOOLS, "function": Need.TOOLS}

# Members of a request whose presence alone shows the need.
_MEMBERS = {
    "guardrailConfig": Need.GUARDRAIL,
    "guardrailIdentifier": Need.GUARDRAIL,
    "images": Need.IMAGE,
    "instructions": Need.SYSTEM,
    "previous_response_id": Need.STORED_RESPONSE,
    "promptVariables": Need.PROMPT,
    "reasoning_effort": Need.EFFORT,
    "system": Need.SYSTEM,
    "toolConfig": Need.TOOLS,
    "tools": Need.TOOLS,
}
_CHOICES = {"any": Need.CHOICE_ANY, "required": Need.CHOICE_ANY, "tool": Need.CHOICE_TOOL, "function": Need.CHOICE_TOOL}
_THINKING = {
    "adaptive": Need.ADAPTIVE_THINKING,
    "disabled": Need.NO_THINKING,
    "enabled": Need.THINKING_BUDGET,
}

# The member for fields that Converse does not have, Nova's own fields, and the fields for reasoning of Nova and OpenAI.
_FIELDS, _FIELDS_OF_NOVA = "additionalModelRequestFields", frozenset({CONVERSE_SETTINGS, "reasoningConfig"})
_REASONING = frozenset({"reasoning", "reasoningConfig"})


def needs(operation: str, params: Mapping[str, Any], estimate: Estimate) -> Needs:
    """Return the abilities that a call needs from a model. `operation` is boto3's method, `params` are its parameters,
    and `estimate` is the estimated number of tokens of the call.
    """
    uses: set[Need] = set()
    form, model_id = "", params.get("modelId", "")
    native = "body" in params
    request = parsed_body(params) if native else params
    _read_members(params, uses)
    if isinstance(request, Mapping):
        if native:
            form = form_of_body(request, target(model_id).base)
            _read_members(request, uses)
        _read(request, uses)
    if operation.startswith("converse"):
        uses.add(Need.CONVERSE)
    if operation in _STREAMING:
        uses |= {Need.STREAM, Need.STREAMED_TOOLS} if Need.TOOLS in uses else {Need.STREAM}
    if params.get("projectIdentifier") not in (None, "default"):
        uses.add(Need.PROJECT)
    if ":prompt/" in str(model_id):
        uses.add(Need.PROMPT)
    bounded = estimate.metered and not estimate.unbounded
    tokens = estimate.output_tokens if bounded else None
    return Needs(frozenset(uses), estimate.input_tokens, tokens, form, _tier(params))


def _tier(params: Mapping[str, Any]) -> str:
    asked = params.get("serviceTier")
    tier = _dict(asked).get("type", asked)
    return tier if isinstance(tier, str) and tier in _TIERS else ""


def _read_members(request: Mapping[str, Any], uses: set[Need]) -> None:
    for name, need in _MEMBERS.items():
        if request.get(name):
            uses.add(need)


def _read(request: Mapping[str, Any], uses: set[Need]) -> None:
    asked = request.get("input")
    messages = _list(request.get("messages") or asked)
    _read_messages(messages, uses)
    _read_blocks(request.get("system"), uses)
    tools = _dict(request.get("toolConfig"))
    _read_tools(tools.get("tools") or request.get("tools"), uses)
    _read_choice(tools.get("toolChoice") or request.get("tool_choice"), uses)
    _read_settings(request, uses)
    fields = _dict(request.get(_FIELDS))
    if fields:
        if not fields.keys() <= _FIELDS_OF_NOVA:
            uses.add(Need.FIELDS)
        if not fields.keys().isdisjoint(_REASONING):
            uses.add(Need.OTHER_REASONING)
        _read_settings(fields, uses)
    # OpenAI's Responses, whose prompt is `input`, are stored unless the request sets `store` to false.
    if request.get("store", asked is not None and "messages" not in request) is True:
        uses.add(Need.STORE)


def _read_messages(messages: list[Any], uses: set[Need]) -> None:
    role = None
    for message in messages:
        if isinstance(message, dict):
            role = message.get("role")
            if isinstance(role, str) and role in _ROLES:
                uses.add(_ROLES[role])
            if message.get("tool_calls"):
                uses.add(Need.TOOLS)
            _read_blocks(message.get("content"), uses)
    if role == "assistant":
        uses.add(Need.PREFILL)


def _read_blocks(blocks: Any, uses: set[Need], *, of_result: bool = False) -> None:
    if not isinstance(blocks, list):
        return
    for block in blocks:
        if isinstance(block, dict):
            for name, value in block.items():
                if name in _BLOCKS and value:
                    _read_block(_BLOCKS[name], value, uses, of_result=of_result)
            kind = block.get("type")
            if isinstance(kind, str) and kind in _BLOCKS:
                _read_block(_BLOCKS[kind], block, uses, of_result=of_result)


def _read_block(need: Need, block: Any, uses: set[Need], *, of_result: bool) -> None:
    if need is _UNSIGNED and not _is_unsigned(_dict(block)):
        return
    uses.add(need)
    if not isinstance(block, dict):
        return
    if need is _TOOLS:
        if "content" in block:
            _read_blocks(block["content"], uses, of_result=True)
    elif need in _MEDIA:
        if "s3Location" in _dict(block.get("source")):
            uses.add(Need.S3)
        if of_result and need is Need.IMAGE:
            uses.add(Need.IMAGE_IN_RESULT)


def _is_unsigned(reasoning: dict[str, Any]) -> bool:
    """Return whether a block of readable reasoning lacks the signature of the model that wrote it."""
    readable = reasoning if "thinking" in reasoning else _dict(reasoning.get("reasoningText"))
    return bool(readable) and not readable.get("signature")


def _read_tools(tools: Any, uses: set[Need]) -> None:
    _read_blocks(tools, uses)
    for tool in _list(tools):
        spec = _dict(tool)
        spec = _dict(spec.get("toolSpec") or spec.get("function") or spec)
        if spec.get("strict") is True:
            uses.add(Need.STRICT_TOOLS)


def _read_choice(choice: Any, uses: set[Need]) -> None:
    """Add to `uses` what a tool choice requires of the model. The choice can have any form: Converse's `{"any": {}}`,
    Anthropic's `{"type": "any"}` or OpenAI's `"required"`.
    """
    names = (choice, *_dict(choice), _dict(choice).get("type"))
    uses |= {_CHOICES[name] for name in names if isinstance(name, str) and name in _CHOICES}


def _read_settings(request: Mapping[str, Any], uses: set[Need]) -> None:
    _read_sampling(_dict(request.get(CONVERSE_SETTINGS)) or request, uses)
    thinking = _dict(request.get("thinking") or request.get("reasoning_config")).get("type")
    if isinstance(thinking, str) and thinking in _THINKING:
        uses.add(_THINKING[thinking])
    output = _dict(request.get("outputConfig") or request.get("output_config"))
    if effort := output.get("effort") or _dict(request.get("reasoning")).get("effort"):
        uses.add(Need.EFFORT)
        if effort in ("xhigh", "max"):
            uses.add(Need.EFFORT_ABOVE_HIGH)
    formats = (
        output.get("textFormat"),
        output.get("format"),
        request.get("output_format"),
        request.get("response_format"),
        _dict(request.get("text")).get("format"),
    )
    if any(_dict(each).get("type") == "json_schema" for each in formats):
        uses.add(Need.SCHEMA)


def _read_sampling(settings: Mapping[str, Any], uses: set[Need]) -> None:
    temperature = settings.get("temperature")
    top_p = settings.get("topP", settings.get("top_p"))
    if temperature not in (None, 1) or top_p not in (None, 1):
        uses.add(Need.SAMPLING)
    if temperature is not None and top_p is not None:
        uses.add(Need.TWO_SAMPLINGS)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
