"""Convert the arguments of `invoke` to Converse parameters. Reject invalid arguments with a message that states what
to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypedDict

from aws_bedrock_inference.bounds import WHOLE, is_number, shown, shown_name
from aws_bedrock_inference.call import NORMAL
from aws_bedrock_inference.dialects.request import CONVERSE_MAXIMUM, CONVERSE_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence


_LARGEST = WHOLE["integer"]

TIERS = ("priority", "default", "flex", "reserved")
"""Bedrock's service tiers, as botocore's model of Converse lists them (2026-11). All except `reserved` share one
quota.
"""


Tier: TypeAlias = Literal["priority", "default", "flex", "reserved", "match"]
"""The values of `tier`: Bedrock's service tiers, or `match` for the tier that corresponds to the call's priority."""


class ConverseOptions(TypedDict, total=False):
    """The additional parameters of `invoke`, with the same names as in Converse. `invoke` passes them to Converse.

    This class is only for type checkers. At run time, the installed boto3 determines which parameters are accepted.
    """

    modelId: str
    inferenceConfig: Mapping[str, Any]
    toolConfig: Mapping[str, Any]
    guardrailConfig: Mapping[str, Any]
    additionalModelRequestFields: Any
    additionalModelResponseFieldPaths: Sequence[str]
    promptVariables: Mapping[str, Any]
    requestMetadata: Mapping[str, str]
    performanceConfig: Mapping[str, str]
    serviceTier: Mapping[str, str]
    outputConfig: Mapping[str, Any]
    projectIdentifier: str


class BadRequestError(ValueError):
    """Invalid arguments. The clients convert this exception to `InvalidRequest`, which also names the route."""


class Prompt(NamedTuple):
    """The arguments of `invoke`. `more` are further parameters, which Converse receives unchanged.

    Every call creates a `Prompt`. It is a named tuple, because a dataclass takes longer to create.
    """

    prompt: str | None = None
    messages: Sequence[Mapping[str, Any]] | None = None
    system: str | Sequence[Mapping[str, Any]] | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    stop_sequences: Sequence[str] | None = None
    tools: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    tier: str | None = None
    more: Mapping[str, Any] = MappingProxyType({})

    def params(self, priority: float) -> dict[str, Any]:
        """Return Converse's parameters without `modelId`. If the argument `tier` is `match`, the service tier
        depends on `priority`.

        Raises `BadRequestError` for invalid arguments.
        """
        params: dict[str, Any] = {**self.more, "messages": _messages(self.prompt, self.messages)}
        if self.system is not None:
            params["system"] = (
                [{"text": _text(self.system, "system")}]
                if isinstance(self.system, str)
                else list(_items(self.system, "system", "a string, or a list such as [{'text': '...'}]"))
            )
        if self.tools is not None:
            params["toolConfig"] = _tool_config(self.tools)
        if self.tier is not None:
            params["serviceTier"] = {"type": _tier(self.tier, priority)}
        config = {
            CONVERSE_MAXIMUM: _max_tokens(self.max_tokens),
            "temperature": _temperature(self.temperature),
            "stopSequences": _stop_sequences(self.stop_sequences),
        }
        given = {name: value for name, value in config.items() if value is not None}
        if given:
            settings = params.get(CONVERSE_SETTINGS)
            params[CONVERSE_SETTINGS] = given if settings is None else {**_settings(settings), **given}
        return params


def _tier(tier: str, priority: float) -> str:
    """Return the service tier with the name `tier`. For `match`, return the tier that corresponds to `priority`."""
    if tier == "match":
        return "priority" if priority < NORMAL else "default" if priority == NORMAL else "flex"
    if tier not in TIERS:
        raise BadRequestError(
            f"tier={shown_name(tier, TIERS)}: pass one of {', '.join(TIERS)}, or 'match' for the call's priority"
        )
    return tier


def _messages(prompt: str | None, messages: Sequence[Mapping[str, Any]] | None) -> list[Any]:
    if (prompt is None) == (messages is None):
        given = "neither was" if prompt is None else "both were"
        raise BadRequestError(f"pass either prompt='...' or messages=[...]; {given} passed")
    if prompt is not None:
        return [{"role": "user", "content": [{"text": _text(prompt, "prompt")}]}]
    if not messages or not isinstance(messages, (list, tuple)):
        raise BadRequestError(
            "messages must be a list with at least one message: [{'role': 'user', 'content': [{'text': '...'}]}]"
        )
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _message(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    if not hasattr(message, "keys") or not {"role", "content"} <= message.keys():
        raise BadRequestError(
            f"{where} needs 'role' and 'content', such as {{'role': 'user', 'content': [{{'text': '...'}}]}}"
        )
    content = message["content"]
    if isinstance(content, str):
        content = [{"text": content}]
    for index, block in enumerate(_items(content, f"{where}['content']", "a string or a list of content blocks")):
        if hasattr(block, "keys") and "text" in block:
            _text(block["text"], f"{where}['content'][{index}]['text']")
    return {**message, "content": content}


def _text(text: Any, where: str) -> str:
    if not isinstance(text, str):
        raise BadRequestError(f"{where} must be a string, not {type(text).__name__}")
    if not text.strip():
        raise BadRequestError(f"{where} is blank; Bedrock refuses blank text")
    return text


def _max_tokens(value: Any) -> int | None:
    if value is None or (type(value) is int and 1 <= value <= _LARGEST):
        return value
    if is_number(value, least=1, most=_LARGEST, whole=True):
        return int(value)
    raise BadRequestError(
        f"max_tokens={shown(value)}: pass a whole number of tokens, at least 1 and at most {_LARGEST:,}"
    )


def _temperature(value: float | None) -> float | None:
    if value is None or (type(value) in (int, float) and 0 <= value <= 1):
        return value
    if is_number(value, least=0, most=1):
        return float(value)
    raise BadRequestError(f"temperature={shown(value)}: pass a number from 0 to 1")


def _stop_sequences(value: Any) -> list[str] | None:
    if value is None:
        return None
    listed = isinstance(value, (list, tuple))
    if listed and all(isinstance(sequence, str) and sequence for sequence in value):
        return list(value)
    given = f"[{', '.join(map(shown, value))}]" if listed else shown(value)
    raise BadRequestError(f"stop_sequences={given}: pass a list of strings that are not empty")


def _tool_config(tools: Any) -> dict[str, Any]:
    if isinstance(tools, Mapping):
        return dict(tools)
    return {"tools": list(_items(tools, "tools", "a list of tools, or a complete toolConfig"))}


def _settings(settings: Any) -> Mapping[str, Any]:
    if not isinstance(settings, Mapping):
        raise BadRequestError(f"{CONVERSE_SETTINGS} must be a dictionary, not {type(settings).__name__}")
    return settings


def _items(value: Any, where: str, wanted: str) -> Sequence[Any]:
    if isinstance(value, (list, tuple)):
        return value
    raise BadRequestError(f"{where} must be {wanted}, not {type(value).__name__}")
