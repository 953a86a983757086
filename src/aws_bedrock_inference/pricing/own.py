"""Read your own prices from a TOML file. The environment variable `BEDROCK_PRICES` contains the path of the file.

Prices are US dollars per million tokens. An example of the file:

    ["anthropic.claude-sonnet-4-6"]  # a base model, in all Regions and through all profiles
    input = 2.7
    output = 13.5

    ["arn:aws:bedrock:eu-west-1:111122223333:application-inference-profile/a1b2c3"]  # calls with this ARN only
    input = 3.0
    output = 15.0

The path is an environment variable and not an argument, so that `reply.cost`, events, the log and the command all use
the same prices.
"""

from __future__ import annotations

import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.pricing.rates import Rates

VARIABLE = "BEDROCK_PRICES"

_NAMES = tuple(each.name for each in fields(Rates) if not each.name.startswith("long"))


@cache
def read(path: str) -> dict[str, dict[str, float]]:
    """Return the prices in the file at `path`, as one dictionary for each model id. The file is read only once. A price
    that a model's dictionary does not contain is unknown.

    Raises `ValueError` if the file cannot be read or is invalid. The message states the reason.
    """
    where = f"{VARIABLE}={path}"
    try:
        given = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{where}: {error.strerror}. Set {VARIABLE} to a readable TOML file, or unset it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{where}: the file is not valid TOML: {error}") from None
    for model, table in given.items():
        _check(f"{where}: [{model!r:.80}]", table)
    return given


def _check(where: str, table: Any) -> None:
    if not isinstance(table, dict) or not table:
        raise ValueError(
            f"{where}: write a table of prices in US dollars per million tokens, such as input = 3.0 and output = 15.0"
        )
    for name, price in table.items():
        if name not in _NAMES:
            raise ValueError(f"{where}: {name!r:.40} is not the name of a price; use {', '.join(_NAMES)}")
        if not is_number(price, least=0):
            raise ValueError(f"{where}: {name} = {shown(price)}: set US dollars per million tokens, 0 or more")
