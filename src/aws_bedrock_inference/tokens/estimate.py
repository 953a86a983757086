"""Estimate the tokens of a call before it is sent. The usage that AWS reports later replaces the estimate, and improves
the next estimates.
"""

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
    """A body of InvokeModel that is not valid JSON. The message names the position of the error, but contains no
    value of the body.
    """


# A reported usage is ignored as impossible if it exceeds two tokens per byte of text plus 4000 tokens. A tokenizer
# produces at most one token per byte. The service adds tokens itself, such as a few hundred for instructions for tools.
_MOST_PER_BYTE = 2
_UNSEEN = 4000

UNMETERED = Estimate(metered=False)


@dataclass(frozen=True, slots=True)
class Weighed(Estimate):
    """An estimate with its two parts: the bytes of text, and the tokens of all other content. `learn` needs both."""

    text_bytes: int = 0
    other_tokens: int = 0


def estimate(operation: str, params: Mapping[str, Any], base_model: str, gauge: TokenGauge | None = None) -> Estimate:
    """Return the estimated tokens of a call of `operation` with boto3's `params` on the model `base_model`.

    The output tokens are the request's max_tokens, or the model's maximum if the request sets none. The tokens of text
    are computed with the tokens per byte that `gauge` (a `TokenGauge`) has learned. Without a gauge, four bytes count
    as one token. The operation `count_tokens` uses no quota, so its estimate is `UNMETERED`.

    Raises `BodyError` for a body of InvokeModel that no model can read.
    """
    if operation == "count_tokens":
        return UNMETERED
    facts = model_facts(base_model)
    request = _body(params) if "body" in params else params
    output = max_tokens(request)
    try:
        text, other = weigh(request, base_model)
    except RecursionError:  # only a body of InvokeModel can be nested so deeply
        text, other = Weight(len(params["body"]), 0)
    tokens = text // BYTES_PER_TOKEN + 1 if gauge is None else gauge.tokens(base_model, text)
    return Weighed(
        tokens + other,
        facts.max_output_tokens if output is None else output,
        facts.burndown,
        True,  # noqa: FBT003 - keywords would cost a fifth of the construction
        output is None,
        text,
        other,
    )


def learn(gauge: TokenGauge, base_model: str, guess: Estimate, usage: Usage) -> None:
    """Improve the tokens per byte in `gauge` with the usage of a call that ended successfully.

    The usage is ignored in three cases:

    * Half of the input tokens or more belong to pictures and other parts that are not text. The tokens of these parts
      are only estimated, so the tokens of the text cannot be computed well.
    * The input tokens equal the estimate. If a stream reports no usage, the client uses the estimate as the usage, and
      nothing can be learned from it.
    * The number of tokens per byte is impossible for any tokenizer.
    """
    if not isinstance(guess, Weighed):
        return
    tokens = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    if tokens != guess.input_tokens and tokens > 2 * guess.other_tokens:
        of_text = tokens - guess.other_tokens
        if of_text <= _MOST_PER_BYTE * guess.text_bytes + _UNSEEN:
            gauge.learn(base_model, guess.text_bytes, of_text)


def _body(params: Mapping[str, Any]) -> Any:
    """Return the content of an InvokeModel body, so that it can be measured.

    A body of JSON is parsed. A `str` that is not JSON is returned unchanged. For every other body, such as a file or
    bytes of another format, the result is an empty dictionary.
    """
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
    raise BodyError(f"body contains {constant}, which JSON cannot represent; pass a finite number")


_read = json.JSONDecoder(parse_constant=_refuse).decode
_write = json.JSONEncoder(ensure_ascii=False).encode
