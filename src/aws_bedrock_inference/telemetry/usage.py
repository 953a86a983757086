"""The use and the cost of a call, as metrics count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.events import CallEnded


def all_input(usage: Usage) -> int:
    """Return the input tokens of a call, those included that were read from the prompt cache or written to it. Bedrock
    counts them apart.
    """
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def known_cost(event: CallEnded) -> float | None:
    """Return the cost of a call in US dollars; None if it is not known, or the user's file of prices cannot be used, of
    which those are told who ask for a cost themselves.
    """
    try:
        return event.cost
    except ValueError:
        return None
