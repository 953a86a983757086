"""Alerts as a listener of the process: the facts of calls that they contain, and those that they never contain."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from support.answers import REPLY, fault
from support.doubles import ROUTE, THROTTLE, UNAVAILABLE, session
from support.wire import Wire, answer

from aws_bedrock_inference import BedrockClient, BedrockError, Quota
from aws_bedrock_inference.call import Route, Usage
from aws_bedrock_inference.events import CallEnded, DeadLetterKept, DeadLetterLost, FellBack, RetryScheduled
from aws_bedrock_inference.flow import ABANDONED
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.telemetry.alerts import Alert, Alerts
from aws_bedrock_inference.telemetry.alerts.counted import counted, recognised
from aws_bedrock_inference.telemetry.alerts.report import Report
from aws_bedrock_inference.telemetry.alerts.tally import HEARD, MOST_ROWS, Tally
from aws_bedrock_inference.telemetry.observing import observe

PROMPT = "my prompt about the sky"
SECRET = "AKIAIOSFODNN7EXAMPLE"
NOVA = Route("amazon.nova-lite-v1:0", "us-east-1", base="amazon.nova-lite-v1:0")
PLACE = f"{ROUTE.model}|us-east-1"


def client_of(wire: Wire) -> BedrockClient:
    return BedrockClient("amazon.nova-lite-v1:0", session=session(), endpoint_url=wire.url)


def ended(**fields: Any) -> CallEnded:
    usual = {"operation": "converse", "route": ROUTE, "fault": None, "usage": Usage(1000, 500)}
    return CallEnded(**{**usual, "attempts": 1, "seconds": 0.5, **fields})


def of(*events: Any, quota: Any = None) -> Report:
    tally = Tally()
    for event in events:
        HEARD[type(event)](tally, event)
    return counted(tally.take(), quota, 0.0)


def test_a_permanent_failure_raises_an_alert_with_remedies_and_no_prompt_or_secret() -> None:
    got: list[Alert] = []
    said = f"You don't have access to the model with the specified model ID. {PROMPT} {SECRET}"
    stop = observe(alerts=Alerts(got.append, service="shop"))
    with (
        Wire(fault(403, "AccessDeniedException", said)) as wire,
        client_of(wire) as client,
        pytest.raises(BedrockError),
    ):
        client.invoke(PROMPT, tenant="acme")
    stop()
    (alert,) = got
    assert (alert.rule, alert.state, alert.tenants, alert.operations) == ("new", "open", ("acme",), ("converse",))
    assert alert.sample["code"] == "AccessDeniedException"
    assert alert.remedies
    text = json.dumps(alert.to_dict()) + repr(alert)
    assert PROMPT not in text
    assert SECRET not in text
    assert not PROCESS.heard


def test_answers_are_counted_with_tokens_cost_and_stop_reason() -> None:
    report = of(
        *[ended(route=NOVA, tenant="acme")] * 3,
        ended(route=NOVA, tenant="acme", stop="max_tokens"),
        ended(route=NOVA, tenant="acme", stop="guardrail_intervened"),
        ended(route=NOVA, attempts=0),  # from a cache
    )
    (row,) = report.answers
    assert (row.place, row.tenant, row.number, row.tokens) == ("amazon.nova-lite-v1:0|us-east-1", "acme", 5, 7500)
    assert (row.refused, row.truncated) == (1, 1)
    assert row.cost == pytest.approx(5 * (ended(route=NOVA).cost or 0.0))


def test_each_failed_attempt_is_counted_once_when_it_fails() -> None:
    report = of(
        RetryScheduled(ROUTE, THROTTLE, 1, 0.5),
        RetryScheduled(ROUTE, UNAVAILABLE, 2, 0.5),
        FellBack(ROUTE, ROUTE, UNAVAILABLE, 1, 3),
        FellBack(ROUTE, ROUTE, UNAVAILABLE, 0, 3),  # nothing was sent there
        ended(fault=UNAVAILABLE, usage=None),
        ended(fault=ABANDONED, usage=None),  # the program's own
        ended(),
    )
    assert {(row.cause, row.kind): row.number for row in report.failures if not row.operation} == {
        (THROTTLE.cause, "transient"): 1,
        (UNAVAILABLE.cause, "transient"): 2,
    }
    assert [(row.cause, row.number) for row in report.failures if row.operation] == [(UNAVAILABLE.cause, 1)]
    assert sum(row.number for row in report.answers) == 1


def test_dead_letters_are_counted() -> None:
    report = of(
        DeadLetterKept(ROUTE, THROTTLE, "id"),
        DeadLetterKept(ROUTE, THROTTLE, "id"),
        DeadLetterLost(ROUTE, THROTTLE, "place", "the disk is full"),
    )
    assert [(row.place, row.kept, row.lost) for row in report.letters] == [(PLACE, 2, 1)]


def test_the_limits_of_a_quota_are_reported_with_their_usage() -> None:
    report = of(*[ended(route=NOVA)] * 4, quota=Quota(rpm=60, tpm=100_000, tpd=1_000_000))
    (use,) = report.uses
    assert (use.quota, use.requests, use.tokens) == (NOVA.quota_key, 4, 6000)
    assert (use.rpm, use.tpm, use.tpd) == (60, 100_000, 1_000_000)
    assert Report.from_json(report.to_json()) == report


def test_the_memory_for_ten_thousand_kinds_of_failures_is_bounded() -> None:
    tally = Tally()
    for number in range(10_000):
        throttle = replace(THROTTLE, cause=f"cause-{number}", message="x" * 10_000)
        HEARD[CallEnded](tally, ended(fault=throttle, usage=None, tenant=f"tenant-{number}"))
        HEARD[CallEnded](tally, ended(tenant=f"tenant-{number}"))
    counts = tally.take()
    assert len(counts.failures) <= 2 * MOST_ROWS
    assert len(counts.answers) <= MOST_ROWS + 1
    assert sum(row.count for row in counts.answers.values()) == 10_000
    assert max(len(row.message) for row in counts.failures.values()) <= 2000


def test_the_text_of_a_sample_comes_from_the_catalogue() -> None:
    said = "Too many tokens, please wait before trying again."
    assert recognised(THROTTLE.cause, f"{PROMPT}: {said}") == recognised(THROTTLE.cause, said) != ""
    assert recognised("request-invalid", PROMPT) == ""
    assert recognised("no-such-cause", said) == ""


def test_an_event_costs_no_request_and_starts_one_thread() -> None:
    watching = Alerts(lambda _: None).sink()
    for _ in range(100):
        watching(ended())
        watching("no event of ours")
    thread = watching._thread
    assert thread is not None
    assert thread.daemon
    watching.after_fork()
    assert watching._thread is None
    watching(ended())
    watching.close()
    watching.close()
    watching(ended())
    thread.join(0)


def test_a_program_delivers_its_alerts_before_it_exits() -> None:
    program = """
import sys
from dataclasses import replace
from aws_bedrock_inference.telemetry.alerts import Alerts
from aws_bedrock_inference.telemetry.observing import observe
from aws_bedrock_inference.listeners import PROCESS
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.call import Route
from aws_bedrock_inference import classify
said = "no identity-based policy allows the bedrock:InvokeModel action"
fault = classify(f"An error occurred (AccessDeniedException) when calling the Converse operation: {said}")
observe(alerts=Alerts(lambda alert: print(alert.state, alert.cause)))
PROCESS.notify(CallEnded("converse", Route("m", "eu-west-1"), fault, None, 1, 0.1))
"""
    run = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=os.environ, check=True
    )
    assert run.stdout.startswith("open iam-denied")


def test_the_default_sink_is_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Wire(answer(REPLY)) as wire, client_of(wire) as client:
        stop = observe(alerts=Alerts())
        client.invoke("Why?")
        stop()
    assert "aws_bedrock_inference.alerts" not in {record.name for record in caplog.records}


@pytest.mark.parametrize(("options", "words"), [({"service": "a\nb"}, "service="), ({"quota": 5}, "quota=5")])
def test_invalid_options_are_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Alerts("log", **options)
