"""Faults of one record among many: whether the other records meet the same fault, and whether it ends soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Category, Decision, Kind
from aws_bedrock_inference.knowledge.lifecycle import heals_after

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

DAY = frozenset({"tokens-per-day-exhausted", "daily-quota-exhausted"})
"""Causes that end with the day."""

BUDGET_EXHAUSTED = "budget-exhausted"

NEVER = frozenset({"on-demand-not-supported-use-inference-profile", BUDGET_EXHAUSTED, "price-unknown"})
"""Causes that end only when somebody changes the command."""

_KINDS = frozenset({Kind.DENIED, Kind.NOT_FOUND, Kind.UNREACHABLE})


def hits_every_record(fault: Fault) -> bool:
    """Return whether the fault affects every record: credentials, access, the model, the endpoint, the daily quota."""
    return fault.kind in _KINDS or fault.cause in DAY | NEVER or heals_after(fault.cause) is not None


def passes_soon(fault: Fault) -> bool:
    """Return whether the fault is transient, so that a later attempt of the same run can succeed."""
    heals = fault.decision is Decision.RETRY or fault.category is Category.TRANSIENT
    return heals and fault.cause not in DAY | NEVER
