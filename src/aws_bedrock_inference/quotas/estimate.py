"""What a call may cost, guessed before it is sent; the settlement corrects the guess.

Rough on purpose: a token is about four bytes of text in the languages and tokenizers Bedrock serves, and media count
as a flat sum.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.knowledge.models import model_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

BYTES_PER_TOKEN = 4

# A flat guess for one image or document: Anthropic's vision guide gives width x height / 750, which is about this for
# a large image.
MEDIA_TOKENS = 1600

# Members that hold media, in Converse and in the models' own bodies; their content is not text.
_MEDIA = frozenset({"bytes", "data", "s3Location", "redactedContent"})

# Where each dialect says how much it may answer.
_MAXIMUM = ("max_tokens", "maxTokens", "max_new_tokens", "max_gen_len", "maxTokenCount", "max_completion_tokens")
_CONFIGURATIONS = ("inferenceConfig", "textGenerationConfig", "inference_params")

UNMETERED = Estimate(metered=False)


def estimate(operation: str, params: Mapping[str, Any], base_model: str) -> Estimate:
    """Return what `operation` with boto3's `params` may cost on `base_model`; an unset maximum counts as the model's
    own.
    """
    if operation == "count_tokens":
        return UNMETERED
    facts = model_facts(base_model)
    request = _body(params["body"]) if "body" in params else params
    output = _maximum(request)
    return Estimate(
        input_tokens=_bytes(request) // BYTES_PER_TOKEN + 1,
        output_tokens=facts.max_output_tokens if output is None else output,
        burndown=facts.burndown,
    )


def _body(body: Any) -> Any:
    try:
        return json.loads(body)
    except (ValueError, TypeError):
        return str(body) if isinstance(body, str) else {}


def _maximum(request: Any) -> int | None:
    if not isinstance(request, dict):
        return None
    for place in (request, *(request.get(name) for name in _CONFIGURATIONS)):
        if isinstance(place, dict):
            for name in _MAXIMUM:
                if isinstance(place.get(name), int):
                    return int(place[name])
    return None


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="replace"))
    if isinstance(value, dict):
        return sum(
            MEDIA_TOKENS * BYTES_PER_TOKEN if name in _MEDIA else _bytes(part)
            for name, part in value.items()
            if name != "modelId"
        )
    if isinstance(value, (list, tuple)):
        return sum(map(_bytes, value))
    return 0
