"""The cost of calls in US dollars: prices as data with a date, and the arithmetic on the usage of a call.

    rates_of("global.anthropic.claude-sonnet-4-6", "eu-west-1").cost(reply.usage)

A price that is not known is None, never zero. A cost is a float: it is for reports and limits, not an invoice, and so
goes into JSON, databases, metrics and other arithmetic as it is. It is computed in whole millionths of a millionth of
a dollar and rounded once, so it is the float nearest to the exact figure.
"""

from __future__ import annotations

from aws_bedrock_inference.pricing.rates import Rates, dollars
from aws_bedrock_inference.pricing.table import cost_of, rates_of, rates_on, source

__all__ = ["Rates", "cost_of", "dollars", "rates_of", "rates_on", "source"]
