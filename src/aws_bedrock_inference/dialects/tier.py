"""Read the service tier of a call: the tier that the answer states, or otherwise the tier in the request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = "default"
OPTIMIZED = "latency-optimized"
"""The name that this package uses for answers with optimized latency. In the service, latency is a separate setting
and not a tier.
"""

# The names of the settings in Converse and InvokeModel.
_LATENCIES = ("performanceConfig", "performanceConfigLatency")
_TIER = "serviceTier"
_SETTINGS = frozenset({*_LATENCIES, _TIER})


def tier_of(request: Mapping[str, Any], answer: Any = None) -> str:
    """Return the service tier of a call: the tier that `answer` states, or otherwise the tier in `request`.

    The two tiers can differ, because AWS can use another tier if the requested tier has no capacity. `answer` is a
    response, or the transcript of a stream.
    """
    stated = answer if isinstance(answer, dict) else getattr(answer, "metadata", {})
    if _SETTINGS.isdisjoint(stated) and _SETTINGS.isdisjoint(request):  # a shortcut for the most frequent case
        return DEFAULT
    if any(_value(stated.get(name) or request.get(name), "latency") == "optimized" for name in _LATENCIES):
        return OPTIMIZED
    return _value(stated.get(_TIER) or request.get(_TIER), "type") or DEFAULT


def _value(setting: Any, key: str) -> str:
    """Return the value of a setting, such as the service tier. In Converse, the setting is a dictionary, such as
    `{"type": "flex"}`, and `key` is `type`. In InvokeModel, the setting is a text, such as `"flex"`.
    """
    value = setting.get(key) if isinstance(setting, dict) else setting
    return value if isinstance(value, str) else ""
