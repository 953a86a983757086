"""Compute the cost of calls in US dollars, from a dated table of prices and the tokens that a call used.

    rates_of("global.anthropic.claude-sonnet-4-6", "eu-west-1").cost(reply.usage)

An unknown price is None, never zero. A cost is a float, because JSON, databases and metrics accept it. The costs of
all tokens of a call are added in whole units of 1e-12 dollars. The sum is rounded only once, so the float is the
nearest one to the exact cost.
"""

from __future__ import annotations

from aws_bedrock_inference.pricing.rates import Rates, dollars
from aws_bedrock_inference.pricing.table import cost_of, rates_of, rates_on, source

__all__ = ["Rates", "cost_of", "dollars", "rates_of", "rates_on", "source"]
