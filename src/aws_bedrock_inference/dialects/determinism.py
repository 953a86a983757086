"""Recognize requests whose answer is always the most likely one. For such a request, an earlier answer is as good as a
new answer.

Sources of the field names, read 2026-11:

* for Converse: botocore 1.44.8's service model
* for bodies of InvokeModel: the model parameter pages of the Bedrock user guide
"""

from __future__ import annotations

from typing import Any

from aws_bedrock_inference.knowledge.models import draws_nothing

_TEMPERATURE = "temperature"

# The names of top k: Anthropic, Mistral and Llama; Nova; Cohere.
_TOP_K = ("top_k", "topK", "k")

# Members that contain temperature and top k: Converse and Nova; Titan; Nova's other name; the fields that Converse
# passes on.
_SETTINGS = ("inferenceConfig", "textGenerationConfig", "inference_params", "additionalModelRequestFields")

# Tools that AWS runs and whose results can change. In Converse, they have the member `systemTool`. In Anthropic's
# format, their types begin with these words.
_SYSTEM_TOOL = "systemTool"
_OUTSIDE = ("web_search", "web_fetch", "code_execution", "mcp")


def is_deterministic(request: Any, base_model: str) -> bool:
    """Return whether the model's answer to `request` is always the most likely one. `request` is Converse's parameters
    or the parsed body of a model.

    This is the case if a request meets two conditions:

    * It sets the temperature to 0, or it sets top k to 1 and sets no temperature. With top k 1, only the most likely
      token is allowed.
    * It offers no tool that AWS runs, such as a web search, because the results of such a tool can change.

    A model that does not sample, such as an embedding model, needs neither condition.
    """
    if draws_nothing(base_model):
        return True
    pinned = False
    places = [request] if isinstance(request, dict) else []
    for place in places:  # the loop adds the members that can contain settings
        temperature = place.get(_TEMPERATURE)
        if temperature is not None and temperature != 0:
            return False
        pinned = pinned or temperature is not None or any(place.get(name) == 1 for name in _TOP_K)
        if _looks_outside(place):
            return False
        places += [place[name] for name in _SETTINGS if name in place and isinstance(place[name], dict)]
    return pinned


def _looks_outside(place: dict[str, Any]) -> bool:
    config = place.get("toolConfig")
    tools = config.get("tools") if isinstance(config, dict) else place.get("tools")
    if tools is not None and isinstance(tools, (list, tuple)) and any(map(_is_outside, tools)):
        return True
    return bool(place.get("mcp_servers"))


def _is_outside(tool: Any) -> bool:
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    return _SYSTEM_TOOL in tool or (isinstance(kind, str) and kind.startswith(_OUTSIDE))
