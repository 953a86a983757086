"""The included dashboard and alarms: their queries run and name only existing metrics."""

from __future__ import annotations

import json
import re
import threading
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from support.prometheus_server import Prometheus, program

from aws_bedrock_inference.telemetry.names import CLOUDWATCH, Names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHIPPED = files("aws_bedrock_inference.telemetry") / "dashboards"
GRAFANA: dict[str, Any] = json.loads((SHIPPED / "grafana.json").read_text(encoding="utf-8"))
ALARMS: dict[str, Any] = json.loads((SHIPPED / "cloudwatch-alarms.json").read_text(encoding="utf-8"))
QUERIES = [(target["legendFormat"], target["expr"]) for panel in GRAFANA["panels"] for target in panel["targets"]]

# Seconds: far more than a busy machine needs.
PATIENT = 60.0


def prometheus_names(*, new: bool) -> set[str]:
    """Return the names of the metrics as OpenTelemetry's exporter for Prometheus writes them."""
    found = set()
    for metric in Names(new=new).metrics.values():
        name = metric.name.replace(".", "_") + ("_seconds" if metric.unit == "s" else "")
        ends = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_count", "_sum"]}[metric.kind]
        found |= {name + end for end in ends}
    return found


@pytest.mark.parametrize(("legend", "query"), QUERIES, ids=[query[:60] for _, query in QUERIES])
def test_each_query_names_existing_metrics(legend: str, query: str) -> None:
    known = prometheus_names(new=False) | prometheus_names(new=True)
    for name in re.findall(r"\b(?:aws_bedrock_inference|gen_ai_client)_\w+(?=[{\[)]| \()", query):
        labels = re.search(rf"by \([^)]*\b{name}\b", query)
        assert name in known or labels, name
    for pattern in re.findall(r'__name__=~"([^"]+)"', query):
        for new in (False, True):
            assert any(re.fullmatch(pattern, name) for name in prometheus_names(new=new)), pattern


def test_all_metrics_of_this_package_are_on_the_dashboard() -> None:
    shown = json.dumps(GRAFANA)
    ours = {name for name in prometheus_names(new=True) if name.startswith("aws_bedrock_inference")}
    unseen = {name for name in ours if re.sub(r"_(bucket|count|sum)$", "", name) not in shown}
    # Calls without a price are not a metric of the dashboard; other services have their own dashboards.
    assert {re.sub(r"_seconds_(bucket|count|sum)$", "", name) for name in unseen} == {
        "aws_bedrock_inference_call_duration",
        "aws_bedrock_inference_cost_unknown_total",
    }


@pytest.fixture(params=[False, True], ids=["old", "new"])
def scraped(
    alone: None, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Prometheus]:
    """A server that scrapes a program, with the names of each version."""
    if request.param:
        monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental")
    with program(tmp_path) as port:
        server = Prometheus(tmp_path, port)
        yield server
        server.close()


def test_a_real_prometheus_answers_every_query(request: pytest.FixtureRequest, scraped: Prometheus) -> None:
    wanted = {query for legend, query in QUERIES if legend != "lost"}  # no letter is lost here
    if "old" in request.node.name:  # input and output are in one query
        wanted = {query for query in wanted if not query.startswith("label_replace")}
    looks = threading.Event()
    for _ in range(int(PATIENT / 0.1)):
        wanted = {query for query in wanted if not scraped.numbers(filled(query))}
        if not wanted:
            break
        looks.wait(0.1)
    assert not wanted
    shares = scraped.numbers(next(query for _, query in QUERIES if "quota_limit" in query))
    assert min(shares) >= 0
    assert any(0 < share <= 1.01 for share in shares)  # other tests of this process can have used more than an estimate


def filled(query: str) -> str:
    """Return a query with Grafana's variables filled in."""
    return query.replace("$__rate_interval", "5s").replace("$model", ".*")


def metrics_of(properties: dict[str, Any]) -> list[str]:
    inner = [
        each["MetricStat"]["Metric"]["MetricName"] for each in properties.get("Metrics", []) if "MetricStat" in each
    ]
    return inner or [properties["MetricName"]]


def test_the_alarms_name_existing_metrics() -> None:
    named = {name for each in ALARMS["Resources"].values() for name in metrics_of(each["Properties"])}
    assert named <= CLOUDWATCH["metrics"].keys()
    assert ALARMS["Parameters"]["Namespace"]["Default"] == CLOUDWATCH["namespace"]


def test_cloudwatch_accepts_the_alarms(moto_url: str) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:alerts"
    given = {name: parameter.get("Default", topic) for name, parameter in ALARMS["Parameters"].items()}

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            return given[value["Ref"]] if "Ref" in value else {name: resolved(each) for name, each in value.items()}
        return [resolved(each) for each in value] if isinstance(value, list) else value

    keys: dict[str, Any] = {"aws_access_key_id": "x", "aws_secret_access_key": "y"}
    watch = boto3.client("cloudwatch", region_name="us-east-1", endpoint_url=moto_url, **keys)
    for name, resource in ALARMS["Resources"].items():
        assert resource["Type"] == "AWS::CloudWatch::Alarm"
        watch.put_metric_alarm(AlarmName=name, **resolved(resource["Properties"]))  # of the same names
    assert {alarm["AlarmName"] for alarm in watch.describe_alarms()["MetricAlarms"]} == ALARMS["Resources"].keys()
    watch.close()
