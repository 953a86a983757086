"""The facts about models in `model_rules.toml`: which requests the simulator accepts and how it answers."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_RULES: dict[str, Any] = tomllib.loads(files(__package__).joinpath("model_rules.toml").read_text(encoding="utf-8"))
MESSAGES: dict[str, Any] = _RULES["messages"]
"""The parts of a request of Anthropic's Messages API."""

_KEPT = 4096  # maximum number of cached results, because clients can send any number of ids
_ID, _ARN = re.compile(_RULES["ids"]["model"]), re.compile(_RULES["ids"]["arn"])


class Media(NamedTuple):
    """The types of content blocks that a model accepts, such as `image`.

    * `takes`: the types that it accepts in addition to text and documents.
    * `s3`: the types that it accepts as an object in S3, in a message.
    * `s3_in_tool_results`: the types that it accepts as an object in S3, in a tool result.
    """

    takes: frozenset[str]
    s3: frozenset[str]
    s3_in_tool_results: frozenset[str]


class Vectors(NamedTuple):
    """The dimensions and types of the vectors that an embedding model returns, and the longest input that it
    accepts.
    """

    length: int
    lengths: tuple[int, ...]
    by_type: bool
    characters: int
    texts: int


@lru_cache(maxsize=_KEPT)
def is_id(model: str) -> bool:
    """Return whether `model` has the format of a model id or an ARN.

    The caller removes a prefix such as `us.` from `model` before the call.
    """
    return bool((_ARN if model.startswith("arn:") else _ID).fullmatch(model))


@lru_cache(maxsize=_KEPT)
def listed(name: str, base: str) -> bool:
    """Return whether the list `name` in `model_rules.toml` contains the model. Each list names the models that share
    one special behaviour.
    """
    return matches(base, _RULES["lists"][name])


@lru_cache(maxsize=_KEPT)
def media(base: str) -> Media:
    """Return the types of content blocks that the model accepts."""
    found = _first("media", base)
    s3 = frozenset(found["s3"])
    return Media(frozenset(found["takes"]), s3, frozenset(found.get("s3_in_tool_results", s3)))


@lru_cache(maxsize=_KEPT)
def tool_prompt_tokens(base: str, *, forced: bool) -> int:
    """Return the number of prompt tokens that the model uses for instructions about tools, in addition to the tools
    themselves. `forced` is True if the model must use a tool.
    """
    found = _first("tool_prompt", base)
    tokens: int = found.get("forced", found["tokens"]) if forced else found["tokens"]
    return tokens


@lru_cache(maxsize=_KEPT)
def claude_name(base: str) -> str:
    """Return Anthropic's own name of a model. For example, the name of `anthropic.claude-v2:1` is `claude-2.1`."""
    known: str | None = _RULES["claude"].get(base)
    return known or re.sub(r"-v\d+(:.*)?$", "", base.removeprefix("anthropic."))


def body_format(base: str, body: Mapping[str, Any]) -> str:
    """Return the name of the format in which a body of InvokeModel is written. If the model accepts several formats,
    the keys of the body show which format it is. For example, a body for Claude 2 is in the Messages API's format if it
    contains `messages`, and in the older Text Completions format if it contains `prompt`.
    """
    if base.startswith("arn:"):
        entries = [entry for entry in _RULES["native"] if entry.get("by_arn", True)]
    else:
        entries = [entry for entry in _RULES["native"] if matches(base, entry["models"])]
    marked = (entry["format"] for entry in entries if _is_marked(entry, body))
    return next(marked, entries[0]["format"] if entries else "nova")


def streams(body_format: str) -> bool:
    """Return whether InvokeModelWithResponseStream supports this format."""
    return all(entry.get("streams", True) for entry in _RULES["native"] if entry["format"] == body_format)


@lru_cache(maxsize=_KEPT)
def vectors(base: str) -> Vectors:
    """Return the facts about an embedding model: the dimensions and types of its vectors, and its longest input."""
    found = _first("vectors", base)
    lengths = tuple(found["lengths"])
    return Vectors(found["length"], lengths, found["by_type"], found["characters"], found.get("texts", 1))


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether one of the patterns matches the name."""
    return _matches(name, tuple(patterns))


@lru_cache(maxsize=_KEPT)
def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_marked(entry: dict[str, Any], body: Mapping[str, Any]) -> bool:
    return all(mark in body for mark in entry["marks"]) and not any(key in body for key in entry.get("unmarked", ()))


def _first(section: str, base: str) -> dict[str, Any]:
    found: dict[str, Any] = next(entry for entry in _RULES[section] if matches(base, entry["models"]))
    return found
