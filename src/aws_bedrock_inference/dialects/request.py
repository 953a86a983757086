"""What requests say in each model family's words: how long the answer may be, and which members hold the prompt.

Every spelling stands here once. Sources: botocore 1.44.5's service model for Converse, the model parameter pages of
the Bedrock user guide for the models' own bodies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Converse's and Nova's settings of generation, and the longest answer in Converse's.
CONVERSE_SETTINGS, CONVERSE_MAXIMUM = "inferenceConfig", "maxTokens"
_TITAN_SETTINGS = "textGenerationConfig"

# The longest answer: Anthropic, Mistral, Cohere, AI21, DeepSeek; Converse and Nova; Nova's other name; Llama; Titan;
# OpenAI.
_MAXIMUM = ("max_tokens", CONVERSE_MAXIMUM, "max_new_tokens", "max_gen_len", "maxTokenCount", "max_completion_tokens")

# Members that may hold it; elsewhere it stands in the body itself.
_SETTINGS = (CONVERSE_SETTINGS, _TITAN_SETTINGS, "inference_params")

# Members of a Converse request, and of its settings.
_CONVERSE = frozenset({
    "messages", "system", CONVERSE_SETTINGS, "toolConfig", "guardrailConfig", "additionalModelRequestFields",
    "promptVariables", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig", "serviceTier",
    "outputConfig",
})  # fmt: skip
_CONVERSE_IN_SETTINGS = frozenset({CONVERSE_MAXIMUM, "temperature", "topP", "stopSequences"})

# Members of a Converse request that CountTokens takes (service model, ConverseTokensRequest).
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")

# Members whose content is not text: what it is instead.
_APART = {
    "audio": "audio",
    "document": "document",
    "image": "image",
    "image_url": "image",
    "images": "image",
    "inputImage": "image",
    "source": "source",
    "toolConfig": "tools",
    "tools": "tools",
    "video": "video",
}

# Members that say how to answer and are no part of the prompt.
_UNSEEN = (
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "anthropic_beta",
    "anthropic_version",
    "cachePoint",
    "cache_control",
    "guardrailConfig",
    CONVERSE_SETTINGS,
    "modelId",
    "performanceConfig",
    "requestMetadata",
    "schemaVersion",
    "serviceTier",
    "stop_sequences",
    _TITAN_SETTINGS,
    "tool_choice",
    "type",
)

# Members that hold free JSON: what a tool was asked, and what it answered. The model reads the names in it too.
_JSON = ("input", "json")

KINDS = {**_APART, **dict.fromkeys(_UNSEEN, "unseen"), **dict.fromkeys(_JSON, "json")}
"""Kinds of members by their names; what has none is text, or holds text."""


def max_tokens(request: Any) -> int | None:
    """Return how many tokens the answer to `request` may have: Converse's parameters, or a model's own body, parsed;
    None where it does not say.
    """
    if not isinstance(request, dict):
        return None
    for name in _SETTINGS:
        settings = request.get(name)
        if isinstance(settings, dict):
            found = _first(settings)
            if found is not None:
                return found
    return _first(request)


def is_converse(body: Mapping[str, Any]) -> bool:
    """Whether `body` is made only of Converse's members, and so may go to Converse."""
    messages, settings = body.get("messages"), body.get(CONVERSE_SETTINGS, {})
    return (
        isinstance(messages, list)
        and isinstance(settings, dict)
        and body.keys() <= _CONVERSE
        and settings.keys() <= _CONVERSE_IN_SETTINGS
        and all(isinstance(message, dict) and isinstance(message.get("content"), list) for message in messages)
    )


def counted_members(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of Converse's parameters CountTokens takes."""
    return {name: params[name] for name in _COUNTED if name in params}


def _first(place: dict[str, Any]) -> int | None:
    for name in _MAXIMUM:
        value = place.get(name)
        if isinstance(value, int):
            return int(value)
    return None
