"""The cost of calls in US dollars: prices as data with a date, and the arithmetic on the usage of a call.

    rates_of("global.anthropic.claude-sonnet-4-6", "eu-west-1").cost(reply.usage)

An unknown price is None, never zero. A cost is a float, because it is for reports and limits, not for invoices, and a
float can be written to JSON, databases and metrics as it is. The cost is computed in whole units of 1e-12 dollars and
rounded once, so it is the float nearest to the exact amount.
"""

from __future__ import annotations

from aws_bedrock_inference.pricing.rates import Rates, dollars
from aws_bedrock_inference.pricing.table import cost_of, rates_of, rates_on, source

__all__ = ["Rates", "cost_of", "dollars", "rates_of", "rates_on", "source"]
