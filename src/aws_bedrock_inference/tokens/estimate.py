"""The estimated cost of a call before it is sent. The settlement corrects the estimate; its usage, the next ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.dialects.request import max_tokens
from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.tokens.content import weigh
from aws_bedrock_inference.tokens.media import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.tokens.ratio import TokenGauge

UNMETERED = Estimate(metered=False)


@dataclass(frozen=True, slots=True)
class Weighed(Estimate):
    """An estimate that knows what it was made of, so that the real usage can correct the next one."""

    text_bytes: int = 0
    other_tokens: int = 0


def estimate(operation: str, params: Mapping[str, Any], base_model: str, gauge: TokenGauge | None = None) -> Estimate:
    """Return what `operation` with boto3's `params` may cost on `base_model`.

    An unset maximum counts as the model's own. Text counts as `gauge` has learnt, or as a token for four bytes.
    """
    if operation == "count_tokens":
        return UNMETERED
    facts = model_facts(base_model)
    request = _body(params["body"]) if "body" in params else params
    output = max_tokens(request)
    text, other = weigh(request, base_model)
    tokens = text // BYTES_PER_TOKEN + 1 if gauge is None else gauge.tokens(base_model, text)
    return Weighed(
        tokens + other,
        facts.max_output_tokens if output is None else output,
        facts.burndown,
        True,  # noqa: FBT003 - by position: keywords cost a fifth of the construction
        output is None,
        text,
        other,
    )


def learn(gauge: TokenGauge, base_model: str, guess: Estimate, usage: Usage) -> None:
    """Teach `gauge` from the usage of a call that ended well.

    Nothing is learnt where the text was the smaller part, since the ratio would take the error of the others, nor where
    the usage is the guess itself, as of a stream that reported none.
    """
    if not isinstance(guess, Weighed):
        return
    tokens = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if tokens != guess.input_tokens and tokens > 2 * guess.other_tokens:
        gauge.learn(base_model, guess.text_bytes, tokens - guess.other_tokens)


def _body(body: Any) -> Any:
    try:
        return json.loads(body)
    except (ValueError, TypeError):
        return str(body) if isinstance(body, str) else {}
