"""Read the prompt and the maximum length of the answer from requests of each model family.

Sources of the field names:

* for Converse: botocore 1.44.8's service model
* for bodies of InvokeModel: the model parameter pages of the Bedrock user guide
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import is_number

if TYPE_CHECKING:
    from collections.abc import Mapping

# The generation settings of Converse and Nova, and Converse's maximum answer length.
CONVERSE_SETTINGS, CONVERSE_MAXIMUM = "inferenceConfig", "maxTokens"
_TITAN_SETTINGS = "textGenerationConfig"

# The names of the maximum answer length: Anthropic, Mistral, Cohere, AI21, DeepSeek; Converse and Nova; Nova's other
# name; Llama; Titan; OpenAI.
_MAXIMUM = ("max_tokens", CONVERSE_MAXIMUM, "max_new_tokens", "max_gen_len", "maxTokenCount", "max_completion_tokens")

# The largest maximum answer length that reserves quota, in tokens. Today, models write up to 128,000. AWS refuses a
# request with a larger maximum, so such a request must not reserve more.
_LONGEST = 1_000_000

# Members that can contain the maximum. Otherwise it is in the body itself.
_SETTINGS = (CONVERSE_SETTINGS, _TITAN_SETTINGS, "inference_params")

# Members of a Converse request, and of its settings.
CONVERSE_MEMBERS = frozenset({
    "messages", "system", CONVERSE_SETTINGS, "toolConfig", "guardrailConfig", "additionalModelRequestFields",
    "promptVariables", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig", "serviceTier",
    "outputConfig", "projectIdentifier",
})  # fmt: skip
_CONVERSE_IN_SETTINGS = frozenset({CONVERSE_MAXIMUM, "temperature", "topP", "stopSequences"})

# Members of a Converse request that CountTokens accepts (service model, ConverseTokensRequest).
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")

# Members whose content is not text, with the kind of their content.
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

# Members that configure the answer and are not part of the prompt.
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
    "projectIdentifier",
    "requestMetadata",
    "schemaVersion",
    "serviceTier",
    "stop_sequences",
    _TITAN_SETTINGS,
    "tool_choice",
    "type",
)

# Members with free JSON: the input and the result of a tool. The model also reads the names in it.
_JSON = ("input", "json")

KINDS = {**_APART, **dict.fromkeys(_UNSEEN, "unseen"), **dict.fromkeys(_JSON, "json")}
"""The kinds of content by the name of the member that contains it. A member without a kind is text or contains text."""


def max_tokens(request: Any) -> int | None:
    """Return the maximum number of tokens in the answer to `request`, or None if the request sets no number.

    `request` is Converse's parameters or the parsed body of a model. A number below 0 becomes 0, and a number above
    1,000,000 becomes 1,000,000. AWS refuses such numbers anyway.
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


def parsed_body(params: Any) -> Any:
    """Return the JSON in the body of InvokeModel's `params`. Return None if the body is not JSON."""
    body = params.get("body") if hasattr(params, "get") else None
    if not isinstance(body, (str, bytes, bytearray)):
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def smallest_request(*, native: bool) -> dict[str, Any]:
    """Return the parameters of the smallest request that a model answers. It is a Converse request or, with `native`, a
    body for an imported model.
    """
    if native:
        return {"body": json.dumps({"prompt": "Hi", **dict.fromkeys(("max_tokens", "max_gen_len"), 1)})}
    messages = [{"role": "user", "content": [{"text": "Hi"}]}]
    return {"messages": messages, CONVERSE_SETTINGS: {CONVERSE_MAXIMUM: 1}}


def is_converse(body: Mapping[str, Any]) -> bool:
    """Return whether `body` has only members of Converse, so that it can be sent to Converse."""
    messages, settings = body.get("messages"), body.get(CONVERSE_SETTINGS, {})
    return (
        isinstance(messages, list)
        and isinstance(settings, dict)
        and body.keys() <= CONVERSE_MEMBERS
        and settings.keys() <= _CONVERSE_IN_SETTINGS
        and all(isinstance(message, dict) and isinstance(message.get("content"), list) for message in messages)
    )


def counted_members(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of Converse's parameters that CountTokens accepts."""
    return {name: params[name] for name in _COUNTED if name in params}


def _first(place: dict[str, Any]) -> int | None:
    for name in _MAXIMUM:
        value: Any = place.get(name)
        if value is None:
            continue
        if type(value) is int and 0 <= value <= _LONGEST:
            return value
        if is_number(value) or type(value) is int:
            return int(min(max(value, 0), _LONGEST))
    return None
