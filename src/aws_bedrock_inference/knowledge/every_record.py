"""Decide what the fault of one record of a batch means for the other records: whether they get the same fault, and
whether the fault ends soon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Category, Decision, Kind
from aws_bedrock_inference.knowledge.lifecycle import heals_after

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

DAY = frozenset({"tokens-per-day-exhausted", "daily-quota-exhausted"})
"""The causes that end when the day ends, such as an exhausted daily quota."""

BUDGET_EXHAUSTED = "budget-exhausted"

NEVER = frozenset({"on-demand-not-supported-use-inference-profile", BUDGET_EXHAUSTED, "price-unknown"})
"""The causes that end only when somebody changes the command."""

_KINDS = frozenset({Kind.DENIED, Kind.NOT_FOUND, Kind.UNREACHABLE})


def hits_every_record(fault: Fault) -> bool:
    """Return whether the fault affects every record of the batch.

    Examples of such faults: the credentials are invalid, access to the model is denied, the model does not exist, the
    endpoint cannot be reached, or the daily quota or the budget is exhausted.
    """
    return fault.kind in _KINDS or fault.cause in DAY | NEVER or heals_after(fault.cause) is not None


def passes_soon(fault: Fault) -> bool:
    """Return whether the fault of a record is temporary, so that a later attempt in the same run can succeed."""
    heals = fault.decision is Decision.RETRY or fault.category is Category.TRANSIENT
    return heals and fault.cause not in DAY | NEVER
