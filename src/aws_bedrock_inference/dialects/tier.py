"""The service tier of a call: the tier that the answer states, or else the tier that the request asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"
OPTIMIZED = "latency-optimized"
"""This package's name for the tier of answers with optimized latency. In the service it is a separate setting."""

# The names of the settings in Converse and InvokeModel.
_LATENCIES = ("performanceConfig", "performanceConfigLatency")
_TIER = "serviceTier"
_SETTINGS = frozenset({*_LATENCIES, _TIER})


def tier_of(request: Mapping[str, Any], answer: Any = None) -> str:
    """Return the service tier. `answer`, a response or the transcript of a stream, takes precedence: a tier without
    capacity may pass the call to another tier.
    """
    stated = answer if isinstance(answer, dict) else getattr(answer, "metadata", {})
    if _SETTINGS.isdisjoint(stated) and _SETTINGS.isdisjoint(request):  # a shortcut for the most frequent case
        return DEFAULT
    if any(_value(stated.get(name) or request.get(name), "latency") == "optimized" for name in _LATENCIES):
        return OPTIMIZED
    return _value(stated.get(_TIER) or request.get(_TIER), "type") or DEFAULT


def _value(setting: Any, key: str) -> str:
    """Return the value of a setting, which is inside a structure in Converse, but not in InvokeModel."""
    value = setting.get(key) if isinstance(setting, dict) else setting
    return value if isinstance(value, str) else ""
