"""Convert requests of OpenAI's chat completions into arguments of `invoke`.

If a request contains a member that Bedrock's Converse does not support, the request is refused, because omitting the
member would change the answer. The requests have the form of the lines in OpenAI's batch files (OpenAI's API
specification 2.3.0, read 2026-11).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UntranslatableError(Exception):
    """Raised if a request cannot be translated into a request of Converse. The message contains the name of the member
    that causes the problem, such as `body.n`, but no text of the prompt.
    """


CHAT_COMPLETIONS = "/v1/chat/completions"

# Members that have no effect at these values. At any other value they are refused.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "parallel_tool_calls": (True,),
    "presence_penalty": (0,),
    "store": (False,),
    "stream": (False,),
    "top_logprobs": (0,),
}

# Members of a body that are translated, in addition to its messages. The model of the run replaces `model`.
_TRANSLATED = (
    *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "tools"),
    *("tool_choice", "response_format", "service_tier", "metadata"),
)
_TIERS = {"auto": None, "default": "default", "flex": "flex", "priority": "priority"}
_ROLES = {"user": "user", "tool": "user", "assistant": "assistant"}
_INSTRUCTING = ("system", "developer")
_IMAGE = re.compile(r"data:image/(png|jpe?g|gif|webp);base64,(.*)", re.DOTALL)


def translated(body: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `invoke` for the body of a chat completion. Raises `UntranslatableError` if a member
    cannot be translated; the message contains the member's name.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        if name not in _TRANSLATED and not any(_same(value, neutral) for neutral in _NEUTRAL.get(name, ())):
            raise _refusal(f"body.{name}")
    system, messages = _conversation(_list(given.get("messages"), "body.messages"))
    settings = {"topP": _number(given["top_p"], "body.top_p")} if "top_p" in given else {}
    arguments = {
        "messages": messages,
        "system": system or None,
        "max_tokens": _max_tokens(given),
        "temperature": _number(given["temperature"], "body.temperature") if "temperature" in given else None,
        "stop_sequences": _stop(given.get("stop")),
        "tools": _tools(given),
        "tier": _tier(given.get("service_tier", "auto")),
        "inferenceConfig": settings or None,
        "outputConfig": _output(given.get("response_format")),
        "requestMetadata": given.get("metadata"),
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _refusal(name: str, *, why: str = "has no equivalent in Bedrock's Converse") -> UntranslatableError:
    return UntranslatableError(
        f'"{name:.80}" {why}, so it cannot be translated. Remove it, or write the record in another format'
    )


def _same(value: Any, neutral: Any) -> bool:
    return bool(value == neutral) and isinstance(value, bool) is isinstance(neutral, bool)


def _conversation(messages: list[Any]) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return the system prompts and the messages. Consecutive messages of the same role are merged for Converse."""
    system: list[Any] = []
    turns: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        where = f"body.messages[{index}]"
        role = _object(message, where).get("role")
        if role in _INSTRUCTING:
            if turns:
                raise _refusal(where, why=f"has the role {role} after the conversation has begun")
            _only(message, where, "role", "content")
            system += _texts(message.get("content"), f"{where}.content")
        elif role in _ROLES:
            content = _CONTENTS[role](message, where)
            if turns and turns[-1]["role"] == _ROLES[role]:
                turns[-1]["content"] += content
            else:
                turns.append({"role": _ROLES[role], "content": content})
        else:
            raise _refusal(f"{where}.role", why="is not system, developer, user, assistant or tool")
    if not turns:
        raise UntranslatableError('"body.messages" contains no user message. Add one')
    return system, turns


def _user(message: dict[str, Any], where: str) -> list[Any]:
    _only(message, where, "role", "content")
    return _parts(message.get("content"), f"{where}.content", image=True)


def _assistant(message: dict[str, Any], where: str) -> list[Any]:
    _only(message, where, "role", "content", "tool_calls")
    content = _texts(message["content"], f"{where}.content") if message.get("content") else []
    return content + [
        {"toolUse": _tool_use(call, f"{where}.tool_calls[{index}]")}
        for index, call in enumerate(_list(message.get("tool_calls") or [], f"{where}.tool_calls"))
    ]


def _tool(message: dict[str, Any], where: str) -> list[Any]:
    _only(message, where, "role", "content", "tool_call_id")
    content = _texts(message.get("content"), f"{where}.content")
    return [
        {"toolResult": {"toolUseId": _string(message.get("tool_call_id"), f"{where}.tool_call_id"), "content": content}}
    ]


_CONTENTS: dict[Any, Callable[[dict[str, Any], str], list[Any]]] = {
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
}


def _texts(content: Any, where: str) -> list[Any]:
    return _parts(content, where, image=False)


def _parts(content: Any, where: str, *, image: bool) -> list[Any]:
    """Return Converse's blocks for the content of a message: a text, or a list of parts."""
    if isinstance(content, str):
        return [{"text": content}]
    return list(_blocks(_list(content, where), where, image=image))


def _blocks(parts: list[Any], where: str, *, image: bool) -> Iterator[dict[str, Any]]:
    for index, part in enumerate(parts):
        place = f"{where}[{index}]"
        kind = _object(part, place).get("type")
        if kind == "text":
            _only(part, place, "type", "text")
            yield {"text": _string(part.get("text"), f"{place}.text")}
        elif kind == "image_url" and image:
            _only(part, place, "type", "image_url")
            yield {"image": _image(part.get("image_url"), f"{place}.image_url")}
        else:
            raise _refusal(place, why="is not text" + (" or an image" if image else ""))


def _image(value: Any, where: str) -> dict[str, Any]:
    _only(_object(value, where), where, "url", "detail")
    if value.get("detail") not in (None, "auto"):
        raise _refusal(f"{where}.detail")
    found = _IMAGE.fullmatch(_string(value.get("url"), f"{where}.url"))
    if found is None:
        raise _refusal(
            f"{where}.url", why="is not a data URL of a png, jpeg, gif or webp image, and images are not downloaded"
        )
    try:
        data = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        raise UntranslatableError(f'"{where}.url" is not valid base64. Encode the image again') from None
    return {"format": found[1].replace("jpg", "jpeg"), "source": {"bytes": data}}


def _tool_use(call: Any, where: str) -> dict[str, Any]:
    _only(_object(call, where), where, "id", "type", "function")
    function = _function(call, where)
    _only(function, f"{where}.function", "name", "arguments")
    try:
        given = json.loads(_string(function.get("arguments"), f"{where}.function.arguments") or "{}")
    except (ValueError, RecursionError):
        raise UntranslatableError(f'"{where}.function.arguments" is not JSON. Write a JSON object') from None
    return {"toolUseId": _string(call.get("id"), f"{where}.id"), "name": function["name"], "input": given}


def _tools(given: dict[str, Any]) -> dict[str, Any] | None:
    choice = given.get("tool_choice", "auto")
    tools = _list(given.get("tools") or [], "body.tools")
    if not tools:
        if choice not in ("auto", "none"):
            raise UntranslatableError('"body.tool_choice" is set, but "body.tools" is missing. Set both or neither')
        return None
    specs = [{"toolSpec": _tool_spec(tool, f"body.tools[{index}]")} for index, tool in enumerate(tools)]
    return {"tools": specs} if choice == "auto" else {"tools": specs, "toolChoice": _choice(choice)}


def _tool_spec(tool: Any, where: str) -> dict[str, Any]:
    _only(_object(tool, where), where, "type", "function")
    function = _function(tool, where)
    _only(function, f"{where}.function", "name", "description", "parameters", "strict")
    spec = {
        "name": function["name"],
        "description": function.get("description") or None,
        "inputSchema": {"json": function.get("parameters") or {"type": "object", "properties": {}}},
        "strict": function.get("strict") or None,
    }
    return {name: value for name, value in spec.items() if value is not None}


def _choice(choice: Any) -> dict[str, Any]:
    if choice == "required":
        return {"any": {}}
    if isinstance(choice, dict) and choice.keys() == {"type", "function"}:
        return {"tool": {"name": _function(choice, "body.tool_choice")["name"]}}
    raise _refusal("body.tool_choice", why="is not auto, required or a function")


def _function(value: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the function in `value`, which is a tool, a tool call or a tool choice. Raise `UntranslatableError` if
    `value` contains no function, or if the function has no name.
    """
    if value.get("type") != "function":
        raise _refusal(f"{where}.type", why='is not "function"')
    function = _object(value.get("function"), f"{where}.function")
    _string(function.get("name"), f"{where}.function.name")
    return function


def _output(wanted: Any) -> dict[str, Any] | None:
    if wanted is None or wanted == {"type": "text"}:
        return None
    if _object(wanted, "body.response_format").get("type") != "json_schema":
        raise _refusal("body.response_format", why="is not text or json_schema")
    _only(wanted, "body.response_format", "type", "json_schema")
    where = "body.response_format.json_schema"
    form = _object(wanted.get("json_schema"), where)
    _only(form, where, "name", "description", "schema", "strict")
    schema = {
        "schema": json.dumps(_object(form.get("schema"), f"{where}.schema"), ensure_ascii=False),
        **{name: form[name] for name in ("name", "description") if form.get(name)},
    }
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": schema}}}


def _max_tokens(given: dict[str, Any]) -> Any:
    both = [given[name] for name in ("max_completion_tokens", "max_tokens") if name in given]
    if both and both[0] != both[-1]:
        raise UntranslatableError('"body.max_tokens" and "body.max_completion_tokens" differ. Set only one of them')
    return both[0] if both else None


def _tier(tier: Any) -> str | None:
    if not isinstance(tier, str) or tier not in _TIERS:
        raise _refusal("body.service_tier", why=f"is not one of {', '.join(_TIERS)}")
    return _TIERS[tier]


def _stop(stop: Any) -> list[Any] | None:
    return [stop] if isinstance(stop, str) else stop


def _number(value: Any, where: str) -> Any:
    """Return `value`, a temperature or a top_p, if it is a number from 0 to 1. Otherwise, raise `UntranslatableError`.
    OpenAI allows a temperature up to 2, but Converse only up to 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise _refusal(where, why="is not from 0 to 1, the range that Bedrock accepts")
    return value


def _only(value: dict[str, Any], where: str, *known: str) -> None:
    for name, member in value.items():
        if name not in known and member is not None:
            raise _refusal(f"{where}.{name}")


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UntranslatableError(f'"{where}" must be an object, as in OpenAI\'s chat completions')
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise UntranslatableError(f'"{where}" must be a list, as in OpenAI\'s chat completions')
    return value


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise UntranslatableError(f'"{where}" must be text, as in OpenAI\'s chat completions')
    return value
