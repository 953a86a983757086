"""Write pricing/prices.json from the package genai-prices and from tools/prices.toml.

Run it with `make prices`, in an environment with genai-prices. One row of the result contains the prices of one model
in some Regions. A row without Regions is valid for every commercial Region.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices.data_snapshot import get_snapshot

HERE = Path(__file__).parent
TARGET = HERE.parent / "src/aws_bedrock_inference/pricing/prices.json"

# The names of prices in genai-prices, and the names in this package. A model with other prices is omitted, because the
# price of its text tokens is not its whole cost.
NAMES = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "cache_write_1h_mtok": "cache_write_1h",
}
SCOPES = {"global": "global", "regional": "standard"}


def main() -> None:
    """Write the file, and print a summary of its content."""
    now = datetime.now(tz=UTC)
    own = tomllib.loads((HERE / "prices.toml").read_text(encoding="utf-8"))
    models: dict[str, dict[str, Any]] = {}
    for (scope, name), rates in read(now).items():
        if name not in own["disputed"]["models"]:
            models.setdefault(name, {})[scope] = rows(scope, name, rates, own)
    for scope in ("standard", "global"):
        for name in own["regional"][scope]:
            models.setdefault(name, {}).setdefault(scope, rows(scope, name, None, own))
    for name, found in models.items():
        found["tiers"] = {each["name"]: each["factor"] for each in own["tiers"] if matches(each["patterns"], name)}
    written = {
        "unit": "US dollars per million tokens",
        "source": f"genai-prices {version('genai-prices')}",
        "also": "tools/prices.toml",
        "licence": "MIT, see NOTICE",
        "made": now.date().isoformat(),
        "models": dict(sorted(models.items())),
    }
    TARGET.write_text(laid_out(written), encoding="utf-8")
    print(f"{TARGET.name}: {len(models)} models, from {written['source']}")


def read(now: datetime) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the current rates that genai-prices lists for AWS, by scope and model. If two versions of a model have
    different prices, the version remains in the model's name.
    """
    provider = next(each for each in get_snapshot().providers if each.id == "aws")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    versions = Counter(without_version(model.id) for model in provider.models)
    for model in provider.models:
        prices = {
            name: price
            for name, price in vars(model.get_prices(now)).items()
            if price is not None and not name.startswith("_")
        }
        if prices.keys() <= NAMES.keys():
            scope, _, rest = model.id.partition(".")
            name = rest if scope in SCOPES else model.id
            one = versions[without_version(model.id)] == 1
            found[SCOPES.get(scope, "standard"), without_version(name) if one else name] = rates_of(prices)
    return found


def rates_of(prices: dict[str, Any]) -> dict[str, Any]:
    """Return the rates of a model. They include the rates for long prompts, if the model has such rates."""
    tiered = {name: price for name, price in prices.items() if hasattr(price, "tiers")}
    rates: dict[str, Any] = {NAMES[name]: float(getattr(price, "base", price)) for name, price in prices.items()}
    if tiered:
        starts = {tier.start for price in tiered.values() for tier in price.tiers}
        if len(starts) != 1 or len(tiered) != len(prices):
            raise SystemExit(f"more than one limit of a long prompt: {prices}")
        rates["long"] = {NAMES[name]: float(price.tiers[0].price) for name, price in tiered.items()}
        rates["long_from"] = starts.pop()
    return rates


def rows(scope: str, name: str, rates: dict[str, Any] | None, own: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a model: one row for each group of Regions with the same prices."""
    for price, free in (("cache_write", "free_cache_writes"), ("output", "free_output")):
        if rates is not None and matches(own[free]["patterns"], name):
            rates = {**rates, price: 0.0}
    listed = own["regional"][scope].get(name)
    if listed is None:
        everywhere = matches(own["everywhere"]["patterns"], name)
        return [dict(rates or {}) if everywhere else {"regions": own["american"]["regions"], **(rates or {})}]
    return [regional(row, rates) for row in listed]


def regional(row: list[Any], rates: dict[str, Any] | None) -> dict[str, Any]:
    """Return the row for the Regions and prices in one entry of tools/prices.toml.

    The entry contains no cache price. It is computed from `rates`: in each Region, a cache read costs the same fraction
    of the input price.
    """
    price, output, regions = row
    found = {"regions": regions.split(), "input": price, "output": output}
    if rates is not None and "cache_read" in rates:
        found["cache_read"] = round(rates["cache_read"] * price / rates["input"], 9)
    if rates is not None and rates.get("cache_write") == 0:
        found["cache_write"] = 0.0
    return found


def without_version(model: str) -> str:
    """Return a model's id without its version. Ids of the same model are written with or without the version."""
    return re.sub(r"(-v\d+(:\d+)?|-\d+:\d+|:\d+)$", "", model)


def matches(patterns: list[str], name: str) -> bool:
    """Return whether one of the patterns matches the complete name."""
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def laid_out(written: dict[str, Any]) -> str:
    """Return JSON with one price per line, so that a diff shows the prices that have changed."""
    lines = [json.dumps(f"{key}") + ": " + json.dumps(value) for key, value in written.items() if key != "models"]
    models = []
    for name, found in written["models"].items():
        parts = [f'"tiers": {json.dumps(found["tiers"])}'] if found["tiers"] else []
        for scope in ("standard", "global"):
            if scope in found:
                prices = ",\n".join(f"   {json.dumps(row)}" for row in found[scope])
                parts.append(f'"{scope}": [\n{prices}]')
        models.append(f'"{name}": {{' + ",\n  ".join(parts) + "}")
    return "{" + ",\n".join([*lines, '"models": {\n' + ",\n".join(models) + "}"]) + "}\n"


if __name__ == "__main__":
    main()
