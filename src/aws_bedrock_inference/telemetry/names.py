"""The names of OpenTelemetry's metrics and attributes, in the version of the conventions that an environment variable
selects. `names.toml` contains the names.
"""

from __future__ import annotations

import os
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE: dict[str, Any] = tomllib.loads(files(__package__).joinpath("names.toml").read_text(encoding="utf-8"))

CLOUDWATCH: dict[str, Any] = _TABLE["cloudwatch"]
"""The names of the CloudWatch metrics, their namespace and their limits."""

PROVIDER = "aws.bedrock"
OWN = "aws_bedrock_inference."
"""The prefix of names that are specific to this package."""


class Metric(NamedTuple):
    """The description of an OpenTelemetry instrument, which records a metric.

    `kind` is `histogram`, `counter` or `gauge`. `buckets` contains the bucket boundaries of a histogram.
    """

    name: str
    kind: str
    unit: str
    description: str
    buckets: tuple[float, ...]


class Names:
    """The names of one version of the conventions. `metrics` contains the metrics of this version, by their keys."""

    def __init__(self, *, new: bool) -> None:
        self.new = new
        self.operations: Mapping[str, str] = _TABLE["operations"]
        self.attributes: Mapping[str, str] = {
            key: name if isinstance(name, str) else name["new" if new else "old"]
            for key, name in _TABLE["attributes"].items()
        }
        self.metrics: Mapping[str, Metric] = {
            key: _metric(entry, name) for key, entry in _TABLE["metrics"].items() if (name := _name(entry, new=new))
        }


def names(environment: Mapping[str, str] | None = None) -> Names:
    """Return the names in the version of the conventions that the variable OTEL_SEMCONV_STABILITY_OPT_IN selects.

    If the variable does not select the newer version, return the names of the older version.
    """
    chosen = (os.environ if environment is None else environment).get(_TABLE["variable"], "")
    return Names(new=_TABLE["token"] in {token.strip() for token in chosen.split(",")})


def _name(entry: Mapping[str, Any], *, new: bool) -> str | None:
    return entry.get("name") or entry.get("new" if new else "old")


def _metric(entry: Mapping[str, Any], name: str) -> Metric:
    buckets = ()
    if entry["kind"] == "histogram":
        buckets = tuple(_TABLE["buckets"]["seconds" if entry["unit"] == "s" else "tokens"])
    return Metric(name, entry["kind"], entry["unit"], entry["description"], buckets)
