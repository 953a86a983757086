"""Faults that do not depend on the record that met them: each other one meets them, too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.knowledge.lifecycle import heals_after

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

DAY = frozenset({"tokens-per-day-exhausted", "daily-quota-exhausted"})
"""Causes that are over when the day is."""

BUDGET_EXHAUSTED = "budget-exhausted"

NEVER = frozenset({"on-demand-not-supported-use-inference-profile", BUDGET_EXHAUSTED, "price-unknown"})
"""Causes that pass only when somebody changes the command."""

_KINDS = frozenset({Kind.DENIED, Kind.NOT_FOUND, Kind.UNREACHABLE})


def hits_every_record(fault: Fault) -> bool:
    """Return whether the fault affects every record: credentials, access, the model, the endpoint, the daily quota."""
    return fault.kind in _KINDS or fault.cause in DAY | NEVER or heals_after(fault.cause) is not None
