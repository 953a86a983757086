"""Create a text or a number that a JSON schema allows."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, inf, isfinite
from typing import Any

from aws_bedrock_inference.simulator.pattern_example import pattern_example

TEXT = "simulated"
LONGEST = 1_000_000
"""The maximum number of characters of a text, or of items of a list. It is more than any model can write."""

_FORMATS = {  # {n} is a number from 1 to 28
    "date-time": "2026-01-{n:02}T09:30:00Z",
    "date": "2026-01-{n:02}",
    "time": "09:{n:02}:00Z",
    "duration": "P{n}D",
    "email": "simulated.{n}@example.com",
    "idn-email": "simulated.{n}@example.com",
    "hostname": "host{n}.example.com",
    "idn-hostname": "host{n}.example.com",
    "ipv4": "192.0.2.{n}",
    "ipv6": "2001:db8::{n}",
    "ipv4network": "192.0.2.{n}/32",
    "ipv4interface": "192.0.2.{n}/24",
    "ipv6network": "2001:db8::{n}/128",
    "ipv6interface": "2001:db8::{n}/64",
    "ipvanyaddress": "192.0.2.{n}",
    "ipvanyinterface": "192.0.2.{n}/32",
    "ipvanynetwork": "192.0.2.{n}/32",
    "uri": "https://example.com/{n}",
    "url": "https://example.com/{n}",
    "iri": "https://example.com/{n}",
    "multi-host-uri": "https://example.com/{n}",
    "uri-reference": "/simulated/{n}",
    "iri-reference": "/simulated/{n}",
    "uri-template": "https://example.com/{n}/{{id}}",
    "uuid": "6f1b0c52-3f0e-4c7a-9a51-0d8e2f4b7c{n:02x}",
    "uuid4": "6f1b0c52-3f0e-4c7a-9a51-0d8e2f4b7c{n:02x}",
    "json-string": "{n}",
    "json-pointer": "/simulated/{n}",
    "relative-json-pointer": "{n}",
    "regex": "^simulated{{{n}}}$",
    "byte": "c2ltdWxhdGVk",
    "base64url": "c2ltdWxhdGVk",
}


class Impossible(Exception):
    """Raised if no finite value satisfies the schema, or if this module finds no such value."""


def string(schema: dict[str, Any], variant: int) -> str:
    """Return a text that has the length, the pattern and the format that a schema requires. Another `variant` selects
    a different text, if the schema allows several.
    """
    least, most = whole(schema.get("minLength"), 0), whole(schema.get("maxLength"), inf)
    if least > most:
        raise Impossible
    least = min(least, LONGEST)
    pattern = schema.get("pattern")
    if isinstance(pattern, str):
        found = pattern_example(pattern, least, most, variant)
        if found is None:
            raise Impossible
        return found
    kind = "json-string" if schema.get("contentMediaType") == "application/json" else str(schema.get("format"))
    named = _FORMATS.get(kind, "").format(n=variant % 28 + 1)
    if named and least <= len(named) <= most:
        return named
    text = varied(TEXT, variant)
    text *= max(1, ceil(least / len(text)))
    if len(text) <= most:
        return text
    return text[len(text) - int(most) :] if variant else text[: int(most)]


def varied(text: str, variant: int) -> str:
    """Return `text` for variant 0. For a higher `variant`, return `text` with a number at its end."""
    return f"{text} {variant + 1}" if variant else text


def _limits(schema: dict[str, Any]) -> tuple[float, float, bool, bool]:
    """Return the bounds of a number: the minimum, the maximum, and two booleans. The first boolean is True if the
    minimum itself is not allowed, and the second is True if the maximum itself is not allowed.
    """
    low, high = _number_or(schema.get("minimum"), -inf), _number_or(schema.get("maximum"), inf)
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    least = _number_or(above, -inf)
    greatest = _number_or(below, inf)
    open_low, open_high = above is True or least >= low > -inf, below is True or greatest <= high < inf
    open_low, open_high = open_low or least > low, open_high or greatest < high
    return max(low, least), min(high, greatest), open_low, open_high


def number(schema: dict[str, Any], variant: int) -> float:
    """Return a number that the schema allows. Another `variant` selects a different number, if the schema allows
    several. The number is 1 if `variant` is 0, the bounds allow 1, and the schema has no `multipleOf`.
    """
    low, high, open_low, open_high = _limits(schema)
    step = _number_or(schema.get("multipleOf"), 0)
    if step > 0:
        return _multiple(step, low, high, open_low=open_low, open_high=open_high, variant=variant)
    middle = (low / 2 + high / 2) if low > -inf and high < inf else low + 1 if low > -inf else high - 1
    share = (low + (high - low) / (variant + 2)) if low > -inf and high < inf else middle
    for value in (1.0 + variant, low + variant, high - variant, middle, share):
        above, below = low < value if open_low else low <= value, value < high if open_high else value <= high
        if above and below and isfinite(value):
            return float(value)
    raise Impossible


def integer(schema: dict[str, Any], variant: int) -> int:
    """Return an integer that the schema allows. Another `variant` selects a different integer, if the schema allows
    several. The integer is 1 if `variant` is 0 and the schema allows 1.
    """
    low, high, open_low, open_high = _limits(schema)
    step = _number_or(schema.get("multipleOf"), 1)
    unit = Fraction(repr(step)).numerator  # the smallest integer multiple: 1 for 0.5
    if unit <= 0:
        raise Impossible
    return int(_multiple(unit, low, high, open_low=open_low, open_high=open_high, variant=variant))


def _multiple(step: float, low: float, high: float, *, open_low: bool, open_high: bool, variant: int) -> float:
    """Return a multiple of `step` between the bounds `low` and `high`. With `open_low`, the value `low` itself is not
    allowed. With `open_high`, the value `high` itself is not allowed.

    If `variant` is 0, the result is the smallest positive multiple between the bounds. If none of them is positive, the
    result is the largest one. A higher `variant` selects another multiple, if the bounds allow one.
    """
    least = (floor(low / step) + 1 if open_low else ceil(low / step)) if low > -inf else -inf
    greatest = (ceil(high / step) - 1 if open_high else floor(high / step)) if high < inf else inf
    if least > greatest:
        raise Impossible
    start = min(max(1, least), greatest)
    number = start + variant if start + variant <= greatest else max(least, start - variant)
    if number in {inf, -inf}:
        raise Impossible
    return int(number) * (int(step) if step == floor(step) else step)


def _number_or(value: Any, default: float) -> float:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else default


def whole(value: Any, default: float) -> float:
    """Return `value`, the count that a JSON schema sets for a keyword such as `minLength`. If `value` is negative,
    return 0. If `value` is not a number, return `default`.
    """
    return max(0, value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default
