"""The requirements of a request, and why a model certainly cannot meet them. Unknown abilities are not refused.

The facts are data with sources and dates, in `abilities.toml`, which is read at the first use.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.data import text_of_file
from aws_bedrock_inference.knowledge.models import model_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

# The input is estimated at four bytes per token, but some texts have six. Only an excess above this factor is refused.
_SURE = 1.5


class Need(StrEnum):
    """The kinds of features that a request uses and that not every model, Region or account supports."""

    CONVERSE = "converse"
    STREAM = "stream"
    SYSTEM = "system"
    PREFILL = "prefill"
    """A last message from the assistant, which the model continues."""
    SAMPLING = "sampling"
    TWO_SAMPLINGS = "two_samplings"
    """Temperature and top_p together."""
    CACHE = "cache"
    """Prompt cache points that the request sets."""
    FIELDS = "fields"
    """Request fields outside Converse's own that only models other than Nova support."""
    OTHER_REASONING = "other_reasoning"
    """A field for reasoning that Nova or OpenAI's models support."""
    UNSIGNED_REASONING = "unsigned_reasoning"
    """Reasoning in the conversation, from a model that does not sign it."""

    IMAGE = "image"
    IMAGE_IN_RESULT = "image_in_result"
    DOCUMENT = "document"
    VIDEO = "video"
    AUDIO = "audio"
    S3 = "s3"

    TOOLS = "tools"
    STREAMED_TOOLS = "streamed_tools"
    STRICT_TOOLS = "strict_tools"
    CHOICE_ANY = "choice_any"
    CHOICE_TOOL = "choice_tool"
    SCHEMA = "schema"

    EFFORT = "effort"
    EFFORT_ABOVE_HIGH = "effort_above_high"
    THINKING_BUDGET = "thinking_budget"
    ADAPTIVE_THINKING = "adaptive_thinking"
    NO_THINKING = "no_thinking"

    GUARDRAIL = "guardrail"
    PROJECT = "project"
    PROMPT = "prompt"
    """A prompt of Prompt management, which specifies its own model."""
    STORE = "store"
    """AWS stores the answer."""
    STORED_RESPONSE = "stored_response"
    """An earlier answer that AWS has stored."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The requirements of one request: kinds and counts, without any content.

    `max_tokens` is None when the request sets no maximum. `form` is the model family whose format the body of
    InvokeModel has; it is empty for Converse and for an unknown format. `tier` is the requested service tier.
    """

    uses: frozenset[Need] = frozenset()
    input_tokens: int = 0
    max_tokens: int | None = None
    form: str = ""
    tier: str = ""


def unable(base_model_id: str, needs: Needs) -> str | None:
    """Return why a model certainly cannot meet `needs`, as a sentence without a full stop; None if it can or if this
    is unknown.
    """
    for need, says in _lacks(base_model_id).items():
        if need in needs.uses:
            return f"{base_model_id} {says}"
    return _other_form(base_model_id, needs) or _too_long(base_model_id, needs)


def bound(needs: Needs, *, elsewhere: bool) -> str | None:
    """Return why a request cannot go to another model, or with `elsewhere` to another Region or account; None if it
    can.
    """
    if Need.STORED_RESPONSE in needs.uses:
        return "the request continues a stored response, which exists only where it was created"
    if Need.PROMPT in needs.uses:
        return "the request names a prompt of Prompt management, which specifies its own model"
    if elsewhere and Need.GUARDRAIL in needs.uses:
        return "the request names a guardrail, which exists only in its own Region and account"
    if elsewhere and Need.PROJECT in needs.uses:
        return "the request names a project, which exists only in its own Region and account"
    return None


def form_of_body(body: Mapping[str, Any], base_model_id: str) -> str:
    """Return the family whose format a body of InvokeModel has: by the body itself, or else by the model that it was
    written for; empty if neither shows it.
    """
    for form in _data()["form"]:
        if any(mark in body for mark in form["marks"]):
            return str(form["name"])
    return _form(base_model_id)


def _other_form(base: str, needs: Needs) -> str | None:
    theirs = _form(base)
    if not needs.form or not theirs or theirs == needs.form:
        return None
    called = {form["name"]: form["called"] for form in _data()["form"]}
    return f"{base} accepts bodies in {called[theirs]} format, but the request has {called[needs.form]}"


def _too_long(base: str, needs: Needs) -> str | None:
    context = _context(base)
    if context is not None and needs.input_tokens > _SURE * context:
        return f"{base} reads up to {context:,} tokens, but the request has about {needs.input_tokens:,}"
    facts = model_facts(base)
    known = "max_output_tokens" not in facts.guessed
    if known and needs.max_tokens is not None and needs.max_tokens > facts.max_output_tokens:
        return f"{base} writes up to {facts.max_output_tokens:,} tokens, but max_tokens is {needs.max_tokens:,}"
    return None


@lru_cache(maxsize=4096)
def _lacks(base: str) -> dict[str, str]:
    """Return what a model does not support, in the order of the file."""
    return {need: entry["says"] for entry in _data()["lacks"] if _matches(entry, base) for need in entry["needs"]}


@lru_cache(maxsize=4096)
def _context(base: str) -> int | None:
    return next((int(entry["tokens"]) for entry in _data()["context"] if _matches(entry, base)), None)


@lru_cache(maxsize=4096)
def _form(base: str) -> str:
    return next((str(entry["name"]) for entry in _data()["form"] if _matches(entry, base)), "")


def _matches(entry: Mapping[str, Any], base: str) -> bool:
    return any(re.fullmatch(pattern, base, re.DOTALL) for pattern in entry["patterns"])


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(text_of_file("abilities.toml"))
