"""Look up prices in the table `prices.json`, which is updated before each release. Prices in the user's own file
(`BEDROCK_PRICES`) take precedence over the table.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache, lru_cache
from pkgutil import get_data
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Route, Usage
from aws_bedrock_inference.dialects.tier import DEFAULT
from aws_bedrock_inference.knowledge.models import target
from aws_bedrock_inference.pricing.own import VARIABLE, read
from aws_bedrock_inference.pricing.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOTHING = Usage()

# The price list of each quota pool. Provisioned Throughput has no entry, because it is charged by the hour.
_SCOPES = {"on-demand": "standard", "geographic": "standard", "global": "global"}

# The beginnings of Regions in other partitions, such as GovCloud and China, which have separate prices.
_APART = ("us-gov-", "cn-", "us-iso", "eu-isoe-")


def rates_of(model: str, region: str, *, tier: str = DEFAULT) -> Rates | None:
    """Return the prices of a model id, called in `region` at a service tier, or None if they are unknown.

    * `model`: the id as it is called. For example, a `global.` profile has its own price.
    * `region`: the Region that receives the call, even if another Region answers it.
    * `tier`: `default`, `flex`, `priority`, or `batch` for a batch job.

    Raises `ValueError` if the file in the environment variable BEDROCK_PRICES cannot be used.
    """
    return rates_on(_route(model, region), tier)


def rates_on(route: Route, tier: str = DEFAULT) -> Rates | None:
    """Return the prices of calls on `route`, or None if they are unknown."""
    known = route if route.base else _route(route.model, route.region)
    return _rates(known, tier, os.environ.get(VARIABLE, ""))


def cost_of(usage: Usage | None, route: Route, tier: str = DEFAULT) -> float | None:
    """Return the cost of a call on `route` in US dollars, or None if its usage or its price is unknown. A call that
    used no tokens costs nothing.
    """
    if usage is None or usage == _NOTHING:
        return None if usage is None else 0.0
    rates = rates_on(route, tier)
    return None if rates is None else rates.cost(usage)


def source() -> str:
    """Return the source of the prices and the date on which they were read, as text."""
    table = _table()
    return f"{table['source']}, {table['made']}"


def _route(model: str, region: str) -> Route:
    base, pool = target(model)
    return Route(model, region, base=base, pool=pool)


@lru_cache(maxsize=4096)  # bounded, because users of the program may choose the ids
def _rates(route: Route, tier: str, path: str) -> Rates | None:
    models = _table()["models"]
    own = read(path) if path else {}
    listed: dict[str, Any] = next((models[name] for name in _names(route.base) if name in models), {})
    rows = listed.get(_SCOPES.get(route.pool, ""), ())
    row = own.get(route.model) or own.get(route.base) or next((row for row in rows if _holds(row, route.region)), None)
    if row is None or tier == DEFAULT:
        return None if row is None else _made(row)
    factor = listed.get("tiers", {}).get(tier)
    return None if factor is None else _made(row).at_tier(factor)


def _names(base: str) -> Iterator[str]:
    """Yield the names under which the table can list a model: its id, the id without the version, and the id without
    the version and the date.
    """
    yield base
    bare = re.sub(r"(-v\d+(:\d+)?|-\d+:\d+|:\d+)$", "", base)
    yield bare
    yield re.sub(r"-\d{8}$", "", bare)


def _holds(row: dict[str, Any], region: str) -> bool:
    """Return whether the prices in `row` are valid for a Region. A row without a list of Regions is valid for all
    commercial Regions.
    """
    regions = row.get("regions")
    return region in regions if regions is not None else not region.startswith(_APART)


def _made(row: dict[str, Any]) -> Rates:
    prices = {name: price for name, price in row.items() if name != "regions"}
    long = prices.pop("long", None)
    return Rates(**{"input": None, **prices, "long": None if long is None else _made(long)})


@cache
def _table() -> dict[str, Any]:
    found = get_data(__package__, "prices.json")
    assert found is not None  # noqa: S101 - the loader of a package can read its data
    table: dict[str, Any] = json.loads(found)
    return table
