"""The prices of a model's tokens, and the cost of a call at these prices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Usage

# Sums are in units of 1e-12 dollars. A token costs a whole number of units, because rates have at most six decimals.
DOLLAR = 10**12
_UNITS = 10**6


def dollars(cost: float | None) -> str:
    """Return a cost in US dollars as text. A cost of at least one dollar is rounded to cents, and a smaller cost to
    millionths of a dollar.
    """
    if cost is None:
        return "cost unknown"
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.6f}"


@dataclass(frozen=True, slots=True)
class Rates:
    """The prices of one model in US dollars per million tokens. None means that a price is unknown.

    * `cache_write`, `cache_write_1h`: the prices of cache writes with a lifetime of five minutes and of one hour.
    * `long`, `long_from`: the prices for long prompts, or None if the model has none. They apply to all tokens of a
      request whose prompt, including its cached parts, has more than `long_from` tokens.
    """

    input: float | None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    long: Rates | None = None
    long_from: int = 0

    def cost(self, usage: Usage) -> float | None:
        """Return the cost of `usage`, or None if a price that it needs is unknown.

        If `usage` covers several requests, their average prompt size decides whether the prices for long prompts
        apply.
        """
        written = usage.cache_write_tokens
        prompts = usage.input_tokens + usage.cache_read_tokens + written
        if self.long is not None and prompts > self.long_from * usage.requests:
            return self.long.cost(usage)
        parts = (
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_read_tokens, self.cache_read),
            (written - usage.cache_write_1h_tokens, self.cache_write),
            (usage.cache_write_1h_tokens, self.cache_write_1h),
        )
        total = 0
        for tokens, rate in parts:
            if tokens:
                if rate is None:
                    return None
                total += tokens * round(rate * _UNITS)
        return total / DOLLAR

    def at_tier(self, factor: float) -> Rates:
        """Return the prices of a service tier that costs `factor` times these prices. The tier's prices for cached
        tokens are unknown.
        """
        return replace(
            self,
            input=_times(self.input, factor),
            output=_times(self.output, factor),
            cache_read=None,
            cache_write=None,
            cache_write_1h=None,
            long=self.long.at_tier(factor) if self.long is not None else None,
        )


def _times(rate: float | None, factor: float) -> float | None:
    return None if rate is None else rate * factor
