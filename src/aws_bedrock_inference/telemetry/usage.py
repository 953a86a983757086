"""Token counts as OpenTelemetry's conventions count them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Usage


def all_input(usage: Usage) -> int:
    """Return the input tokens of a call, those included that were read from the prompt cache or written to it. Bedrock
    counts them apart.
    """
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
