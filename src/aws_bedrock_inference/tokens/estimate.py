"""The estimated cost of a call before it is sent. The settlement corrects the estimate; its usage, the next ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.bounds import encodable
from aws_bedrock_inference.call import Estimate
from aws_bedrock_inference.dialects.request import max_tokens
from aws_bedrock_inference.dialects.unsendable import SURROGATE, says_json, unsendable
from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.tokens.content import Weight, weigh
from aws_bedrock_inference.tokens.media import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.tokens.ratio import TokenGauge


class BodyError(ValueError):
    """A body of InvokeModel that is not what JSON allows. The message names the place and shows no value."""


# Usage that teaches nothing: more tokens than these for each byte of text, beside what the service adds unseen (its
# instructions for tools are some hundred tokens). A tokenizer makes at most one token of a byte.
_MOST_PER_BYTE = 2
_UNSEEN = 4000

UNMETERED = Estimate(metered=False)


@dataclass(frozen=True, slots=True)
class Weighed(Estimate):
    """An estimate that knows what it was made of, so that the real usage can correct the next one."""

    text_bytes: int = 0
    other_tokens: int = 0


def estimate(operation: str, params: Mapping[str, Any], base_model: str, gauge: TokenGauge | None = None) -> Estimate:
    """Return what `operation` with boto3's `params` may cost on `base_model`.

    An unset maximum counts as the model's own. Text counts as `gauge` has learnt, or as a token for four bytes.

    Raises `BodyError` for a body of InvokeModel that no model can read.
    """
    if operation == "count_tokens":
        return UNMETERED
    facts = model_facts(base_model)
    request = _body(params) if "body" in params else params
    output = max_tokens(request)
    try:
        text, other = weigh(request, base_model)
    except RecursionError:  # only a body of InvokeModel is nested that deeply here
        text, other = Weight(len(params["body"]), 0)
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
    the usage is the guess itself, as of a stream that reported none, or a number that no tokenizer makes.
    """
    if not isinstance(guess, Weighed):
        return
    tokens = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if tokens != guess.input_tokens and tokens > 2 * guess.other_tokens:
        of_text = tokens - guess.other_tokens
        if of_text <= _MOST_PER_BYTE * guess.text_bytes + _UNSEEN:
            gauge.learn(base_model, guess.text_bytes, of_text)


def _body(params: Mapping[str, Any]) -> Any:
    """Return the JSON in a body; of another one what can be counted of it."""
    body = params["body"]
    if not isinstance(body, (str, bytes, bytearray)):
        return {}
    if not says_json(params):
        return str(body) if isinstance(body, str) else {}
    try:
        text = body if isinstance(body, str) else body.decode()
        body = _read(text)
        halved = ("\\ud" in text or "\\uD" in text) and not encodable(_write(body))
    except RecursionError:
        return {}
    except BodyError:
        raise
    except ValueError:
        return str(body) if isinstance(body, str) else {}
    if halved:
        raise BodyError(unsendable({"body": body}) or f"body {SURROGATE}")
    return body


def _refuse(constant: str) -> None:
    raise BodyError(f"body has {constant}, which JSON cannot hold; give a finite number")


_read = json.JSONDecoder(parse_constant=_refuse).decode
_write = json.JSONEncoder(ensure_ascii=False).encode
