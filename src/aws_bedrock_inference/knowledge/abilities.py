"""Compare what a request requires with what a model supports, and find the reason why the model certainly cannot
answer.

A "need" is one feature that the request uses. A request is refused only if it is known that the model lacks a needed
feature. The facts about models are data with sources and dates in `abilities.toml`, which is read at the first use.
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

# A prompt is refused as too long only if its estimate exceeds the model's maximum by this factor. The estimate counts
# four bytes as one token, but some texts have six bytes per token.
_SURE = 1.5


class Need(StrEnum):
    """The features that a request can use and that not every model, Region or account supports."""

    CONVERSE = "converse"
    STREAM = "stream"
    SYSTEM = "system"
    PREFILL = "prefill"
    """A last message from the assistant, which the model continues."""
    SAMPLING = "sampling"
    TWO_SAMPLINGS = "two_samplings"
    """A request that sets both temperature and top_p."""
    CACHE = "cache"
    """Prompt cache points that the request sets."""
    FIELDS = "fields"
    """Request fields that are not part of Converse and that Nova models do not support."""
    OTHER_REASONING = "other_reasoning"
    """A request field that switches reasoning on, in the form of Nova or of OpenAI's models."""
    UNSIGNED_REASONING = "unsigned_reasoning"
    """Reasoning in the conversation that was written by a model that does not sign its reasoning."""

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
    """A prompt from Amazon Bedrock Prompt management, which specifies the model itself."""
    STORE = "store"
    """A request whose answer AWS stores."""
    STORED_RESPONSE = "stored_response"
    """A request that continues an earlier answer that AWS has stored."""


@dataclass(frozen=True, slots=True)
class Needs:
    """The requirements of one request: the features that it uses (`uses`), and its size in tokens. It contains no text
    of the request.

    `max_tokens` is None if the request sets no maximum. `form` is the model family in whose format the body of
    InvokeModel is written. `form` is empty for Converse and for an unknown format. `tier` is the requested service
    tier.
    """

    uses: frozenset[Need] = frozenset()
    input_tokens: int = 0
    max_tokens: int | None = None
    form: str = ""
    tier: str = ""


def unable(base_model_id: str, needs: Needs) -> str | None:
    """Return the reason why a model certainly cannot meet `needs` (the features that a request uses), as a sentence
    without a full stop. Return None if the model can meet them, or if this is unknown.
    """
    for need, says in _lacks(base_model_id).items():
        if need in needs.uses:
            return f"{base_model_id} {says}"
    return _other_form(base_model_id, needs) or _too_long(base_model_id, needs)


def bound(needs: Needs, *, elsewhere: bool) -> str | None:
    """Return the reason why a request cannot be sent to another model, for example because it continues a stored
    response. Return None if there is no such reason.

    If `elsewhere` is True, return the reason why the request cannot be sent to another Region or account. For example,
    a guardrail exists only in its own Region and account.
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
    """Return the model family in whose format a body of InvokeModel is written.

    If the body does not show the family, return the family of `base_model_id`, which is the model for which the body
    was written. The result is empty if that family is unknown, too.
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
    return f"{base} accepts bodies in {called[theirs]} format, but the request has {called[needs.form]} format"


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
    """Return the features that a model does not support, in the order of `abilities.toml`."""
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
