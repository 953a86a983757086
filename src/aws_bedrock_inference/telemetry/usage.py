"""Calculate the usage and the cost of a call for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Usage
    from aws_bedrock_inference.events import CallEnded


def all_input(usage: Usage) -> int:
    """Return the number of input tokens of a call.

    It includes the tokens that were read from the prompt cache or written to it. Bedrock counts these tokens
    separately.
    """
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def known_cost(event: CallEnded) -> float | None:
    """Return the cost of a call in US dollars, or None if the cost is unknown.

    `event.cost` raises `ValueError` if the user's price file has an error. This function then returns None, because a
    call must not fail only because its metrics cannot be calculated.
    """
    try:
        return event.cost
    except ValueError:
        return None
