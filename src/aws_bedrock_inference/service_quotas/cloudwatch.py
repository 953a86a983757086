"""Read the account's recent usage from CloudWatch. CloudWatch counts separately for each model id that callers use. For
example, a model and its inference profile have separate counts.
"""

from __future__ import annotations

import tomllib
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference import clock
from aws_bedrock_inference.service_quotas.advice import advice_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from aws_bedrock_inference.clock import Clock

_MINUTES = 1440
_METRICS = ("tokens", "calls", "throttles")

# The maximum number of queries of one GetMetricData (botocore 1.44.5, service model).
_QUERIES = 500

_NEEDED = "cloudwatch:ListMetrics and cloudwatch:GetMetricData"


class UsageUnknown(RuntimeError):
    """The usage could not be read from CloudWatch."""


class Counts(NamedTuple):
    """The usage in a period: the `tokens` of finished calls, the number of accepted `calls`, and the number of
    `throttles`.
    """

    tokens: int = 0
    calls: int = 0
    throttles: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """The usage of one model id.

    * `minute`: the usage in the newest minute for which CloudWatch has data. If CloudWatch has no data for the last
      five minutes, the usage is 0.
    * `day`: the usage in the last 24 hours.
    * `busiest`: the tokens in the minute with the most tokens of the last 24 hours.
    """

    model: str
    minute: Counts
    day: Counts
    busiest: int


def used_lately(
    session: Any = None, *, region_name: str | None = None, endpoint_url: str | None = None, now: Clock = clock.wall
) -> tuple[Used, ...]:
    """Return the usage of each model id in one Region, sorted by id. Models without calls in the last two weeks are
    not listed.

    * `session`: a boto3 session. Default: a new session.
    * `endpoint_url`: an endpoint of CloudWatch.

    The required permissions are cloudwatch:ListMetrics and cloudwatch:GetMetricData. AWS charges for each metric that
    is read.

    Raises `UsageUnknown` if CloudWatch does not answer, and botocore's `NoRegionError` if no Region is found.
    """
    import boto3  # noqa: PLC0415 - heavy, and only this code needs it
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
    client = (session or boto3.Session()).client(
        "cloudwatch", region_name=region_name, endpoint_url=endpoint_url, config=config
    )
    last = int(now() // facts()["cloudwatch"]["period"])
    try:
        models = sorted({model for metric in _METRICS for model in _models(client, metric)})
        counted = _counted(client, models, last)
    except (BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UsageUnknown(
            f"the usage in {client.meta.region_name} is unknown: {reason}. {advice_for(error, _NEEDED)}"
        ) from error
    return tuple(_used(model, {metric: counted[model, metric] for metric in _METRICS}, last) for model in models)


@cache
def facts() -> Mapping[str, Any]:
    """Return the content of `usage.toml`: the CloudWatch metrics of Bedrock, and texts about them."""
    return tomllib.loads(files(__package__).joinpath("usage.toml").read_text(encoding="utf-8"))


def _models(client: Any, metric: str) -> Iterator[str]:
    """Yield the model ids for which CloudWatch has the metric `metric`.

    CloudWatch also lists the metric with additional dimensions next to the model id. These entries are ignored, because
    they count the same calls a second time.
    """
    known = facts()["cloudwatch"]
    for page in client.get_paginator("list_metrics").paginate(Namespace=known["namespace"], MetricName=known[metric]):
        for found in page["Metrics"]:
            dimensions = found["Dimensions"]
            if [each["Name"] for each in dimensions] == [known["dimension"]]:
                yield dimensions[0]["Value"]


def _counted(client: Any, models: list[str], last: int) -> dict[tuple[str, str], dict[int, float]]:
    """Return the value of each metric of each model, for each of the 1440 minutes before the minute `last`.

    The result maps a model id and a metric to its values by minute. Minutes are numbered from the epoch.
    """
    counted: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    series = [(model, metric) for model in models for metric in _METRICS]
    period = facts()["cloudwatch"]["period"]
    for start in range(0, len(series), _QUERIES):
        asked = {f"q{number}": each for number, each in enumerate(series[start : start + _QUERIES])}
        for page in client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[_query(name, *each) for name, each in asked.items()],
            StartTime=datetime.fromtimestamp((last - _MINUTES) * period, UTC),
            EndTime=datetime.fromtimestamp(last * period, UTC),
        ):
            for result in page["MetricDataResults"]:
                minutes = (int(time.timestamp() // period) for time in result["Timestamps"])
                counted[asked[result["Id"]]].update(zip(minutes, result["Values"], strict=True))
    return counted


def _query(name: str, model: str, metric: str) -> dict[str, Any]:
    known = facts()["cloudwatch"]
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": known["namespace"],
                "MetricName": known[metric],
                "Dimensions": [{"Name": known["dimension"], "Value": model}],
            },
            "Period": known["period"],
            "Stat": known["statistic"],
        },
    }


def _used(model: str, minutes: Mapping[str, Mapping[int, float]], last: int) -> Used:
    newest = max((minute for counted in minutes.values() for minute in counted), default=0)
    fresh = newest >= last - facts()["cloudwatch"]["late"]
    return Used(
        model,
        minute=Counts(*(round(minutes[metric].get(newest, 0)) for metric in _METRICS)) if fresh else Counts(),
        day=Counts(*(round(sum(minutes[metric].values())) for metric in _METRICS)),
        busiest=round(max(minutes["tokens"].values(), default=0)),
    )
