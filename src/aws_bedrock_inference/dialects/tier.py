"""The service tier of a call: the one that the answer names, else the one that the request asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"
OPTIMIZED = "latency-optimized"
"""Our name for the tier of answers with optimized latency, which the service has as a setting of its own."""

# The settings, as Converse and InvokeModel call them.
_LATENCIES = ("performanceConfig", "performanceConfigLatency")
_TIER = "serviceTier"
_SETTINGS = frozenset({*_LATENCIES, _TIER})


def tier_of(request: Mapping[str, Any], answer: Any = None) -> str:
    """Return the service tier. The `answer` counts, a response or the transcript of a stream: a tier without room may
    give the call to another one.
    """
    told = answer if isinstance(answer, dict) else getattr(answer, "metadata", {})
    if _SETTINGS.isdisjoint(told) and _SETTINGS.isdisjoint(request):  # nearly always, and each call comes here
        return DEFAULT
    if any(_value(told.get(name) or request.get(name), "latency") == "optimized" for name in _LATENCIES):
        return OPTIMIZED
    return _value(told.get(_TIER) or request.get(_TIER), "type") or DEFAULT


def _value(setting: Any, key: str) -> str:
    """Return what a setting says, which Converse has in a structure and InvokeModel has not."""
    value = setting.get(key) if isinstance(setting, dict) else setting
    return value if isinstance(value, str) else ""
