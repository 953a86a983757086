"""Whether a request asks for the most likely answer, so that an earlier answer is as good as a new one.

Each field name is listed here once. Sources: botocore 1.44.8's service model for Converse, the model parameter pages of
the Bedrock user guide for the models' own bodies, read 2026-11.
"""

from __future__ import annotations

from typing import Any

from aws_bedrock_inference.knowledge.models import draws_nothing

_TEMPERATURE = "temperature"

# Anthropic, Mistral and Llama; Nova; Cohere.
_TOP_K = ("top_k", "topK", "k")

# Members that hold such settings: Converse and Nova; Titan; Nova's other name; what Converse passes on.
_SETTINGS = ("inferenceConfig", "textGenerationConfig", "inference_params", "additionalModelRequestFields")

# Tools that the service runs and that look at the world outside: Converse's, by a member; Anthropic's, by their type.
_SYSTEM_TOOL = "systemTool"
_OUTSIDE = ("web_search", "web_fetch", "code_execution", "mcp")


def is_deterministic(request: Any, base_model: str) -> bool:
    """Return whether `request`, Converse's parameters or the parsed body of a model, leaves nothing to chance: its
    temperature is 0 or it takes the most likely token alone (top k 1), and the service runs no tool that looks outside.
    Models that compute, such as embeddings, always do so.
    """
    if draws_nothing(base_model):
        return True
    if not isinstance(request, dict):
        return False
    places = list(_places(request))
    temperatures = [place[_TEMPERATURE] for place in places if place.get(_TEMPERATURE) is not None]
    pinned = bool(temperatures) and not any(temperatures)
    greedy = any(place.get(name) == 1 for place in places for name in _TOP_K)
    return (pinned or greedy) and not any(map(_looks_outside, places))


def _places(request: dict[str, Any]) -> Any:
    """Yield the request and the members in it that may hold settings, also those inside of what is passed on."""
    yield request
    for name in _SETTINGS:
        settings = request.get(name)
        if isinstance(settings, dict):
            yield from _places(settings)


def _looks_outside(place: dict[str, Any]) -> bool:
    if place.get("mcp_servers"):
        return True
    config = place.get("toolConfig")
    tools = config.get("tools") if isinstance(config, dict) else place.get("tools")
    return isinstance(tools, list) and any(map(_is_outside, tools))


def _is_outside(tool: Any) -> bool:
    if not isinstance(tool, dict):
        return False
    kind = tool.get("type")
    return _SYSTEM_TOOL in tool or (isinstance(kind, str) and kind.startswith(_OUTSIDE))
