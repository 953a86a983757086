"""Alerts under hostile conditions: clocks that are set back, sinks that lie, foreign reports and texts."""

from __future__ import annotations

import json
import socket
from dataclasses import replace

import pytest
from support.doubles import ROUTE, UNAVAILABLE

from aws_bedrock_inference.call import Route, Usage
from aws_bedrock_inference.events import CallEnded
from aws_bedrock_inference.fault import Decision, Fault, Kind
from aws_bedrock_inference.telemetry.alerts import Alert, Webhook
from aws_bedrock_inference.telemetry.alerts.counted import counted
from aws_bedrock_inference.telemetry.alerts.delivery import SCHEDULE, NotDelivered, Outlet
from aws_bedrock_inference.telemetry.alerts.member import Member
from aws_bedrock_inference.telemetry.alerts.report import Report
from aws_bedrock_inference.telemetry.alerts.store import MemoryAlerts
from aws_bedrock_inference.telemetry.alerts.tally import Tally
from aws_bedrock_inference.telemetry.alerts.turn import LAPSE, look

BEGIN = 1.8e9
KEY = "AKIAIOSFODNN7PLANTED"
PROMPT = "my prompt about the sky"
SHORT = 60.0


def ended(fault: Fault | None = None, route: Route = ROUTE, tenant: str = "") -> CallEnded:
    return CallEnded("converse", route, fault, Usage(1000, 500), 1, 0.5, tenant=tenant)


class Service:
    """One process whose clock can be set, with twenty calls in ten seconds."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.told: list[Alert] = []
        self.member = Member(MemoryAlerts(lambda: self.now), "shop", self._deliver, lambda: self.now)

    def _deliver(self, alert: Alert) -> None:
        self.told.append(alert)
        self.member.delivered(alert)

    def runs(self, minutes: int, failing: int = 0) -> list[tuple[str, str]]:
        """Return the alerts of these minutes."""
        self.told.clear()
        for _ in range(6 * minutes):
            tally = Tally()
            for number in range(20 + failing):
                tally.ended(ended(UNAVAILABLE if number < failing else None))
            self.member.step(counted(tally.take(), None, 0.0))
            self.now += 10.0
        return [(alert.rule, alert.state) for alert in self.told]


@pytest.mark.parametrize("back", [90.0, 3600.0, 40 * 86400.0])
def test_a_clock_that_was_set_back_suppresses_no_alert(back: float) -> None:
    service = Service()
    service.runs(60)
    service.now -= back
    assert service.runs(20) == []
    began = service.now
    assert service.runs(5, failing=5) == [("failures", "open")]
    (alert,) = service.told
    assert abs(seconds_of(alert.start) - began) <= SHORT  # in the time of the clock as it is now
    assert service.runs(12) == [("failures", "ended")]
    assert seconds_of(service.told[0].end) - began <= 6 * SHORT


def test_an_incident_with_a_clock_set_back_is_one_incident_and_ends() -> None:
    service = Service()
    service.runs(60)
    assert service.runs(5, failing=5) == [("failures", "open")]
    service.now -= 7200.0
    assert service.runs(2, failing=5) == []
    assert service.runs(12) == [("failures", "ended")]


def seconds_of(text: str) -> float:
    from datetime import datetime  # noqa: PLC0415 - one test's

    return datetime.fromisoformat(text).timestamp()


def test_an_alert_of_a_dead_process_passes_on_even_if_the_clock_was_set_back() -> None:
    new = Report.from_json('[1,[],[["m|r","o","","access-denied","permanent",1,"","","",""]],[],[],[],[],[]]')
    memory, first = look("", [(BEGIN, new.to_json())], BEGIN, "shop")
    assert len(first) == 1
    memory, none = look(memory, [], BEGIN - LAPSE / 2, "shop")
    assert none == []
    assert look(memory, [], BEGIN - 3600.0, "shop")[1][0] == first[0]


def test_an_unreadable_memory_suppresses_no_alert(caplog: pytest.LogCaptureFixture) -> None:
    service = Service()
    service.member = Member(
        MemoryAlerts(lambda: service.now, {"shop": "[99,{},{}]"}), "shop", service._deliver, lambda: service.now
    )
    service.runs(20)
    assert service.runs(5, failing=5) == [("failures", "open")]
    assert caplog.text.count("this process examines only its own counts") == 1
    assert "Update aws-bedrock-inference" in caplog.text


def test_a_malformed_report_does_not_hide_the_others() -> None:
    strange = '[1,[[5,"c","t","x",1,null,0,0]],[["a","o","t",["x"],"transient",1]],[],[],[],[],[]]'
    new = '[1,[],[["m|r","o","","access-denied","permanent",1,"","","",""]],[],[],[],[],[]]'
    assert len(look("", [(BEGIN, strange), (BEGIN, new)], BEGIN, "shop")[1]) == 1


def test_a_report_contains_only_valid_codes_ids_and_names() -> None:
    tally = Tally()
    strange = Fault(
        code=f"Refused {PROMPT} {KEY}", message="", kind=Kind.UNKNOWN, cause="unknown", request_id=f"id of {PROMPT}"
    )
    tally.ended(ended(strange, Route(f"arn:aws:bedrock:us-east-1:123456789012:inference-profile/{KEY}|x"), KEY))
    tally.ended(ended(None, Route(f"model {KEY}"), KEY))
    text = counted(tally.take(), None, 0.0).to_json()
    assert PROMPT not in text
    assert KEY not in text
    failed = json.loads(text)[2][0]
    assert failed[0].count("|") == 1
    assert "an unnamed error" in failed


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), True),
        (
            NotDelivered(Fault(code="HTTP 429", message="", decision=Decision.RETRY, retry_after=7200.0)),
            True,
        ),
        (NotDelivered(Fault(code="HTTP 404", message="", decision=Decision.FAIL)), False),
    ],
)
def test_a_sink_that_may_return_is_retried_within_a_minute(error: Exception, waits: bool) -> None:  # noqa: FBT001
    waited: list[float] = []
    attempts = 0

    def sink(_: Alert) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise error

    class Quick(Outlet):
        def _waited(self, seconds: float) -> bool:
            waited.append(seconds)
            return True

    outlet = Quick(sink, lambda _: None, clock=lambda: 0.0, chance=lambda: 0.5)
    assert outlet._deliver(an_alert()) is waits
    assert [0 < seconds <= SCHEDULE.cap for seconds in waited] == [True] * waits


def an_alert() -> Alert:
    report = Report.from_json('[1,[],[["m|r","o","","access-denied","permanent",1,"","","",""]],[],[],[],[],[]]')
    (alert,) = look("", [(BEGIN, report.to_json())], BEGIN, "shop")[1]
    return replace(alert)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("https://user:hunter2@host/hook", {}),
        ("https://host/a hook", {}),
        ("https://host/\r\nhook", {}),
        ("https://host/", {"headers": {"X-Key": "hunter2\r\nX-Other: 1"}}),
        ("https://host/", {"headers": {"X-Key": None}}),
        ("https://host/", {"headers": {"X-Key": "hunter2€"}}),
        ("https://host/", {"timeout": 0}),
    ],
)
def test_a_webhook_with_an_impossible_url_is_refused_at_creation(url: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Webhook") as refused:
        Webhook(url, **options)  # type: ignore[arg-type]  # that is tried
    assert "hunter2" not in str(refused.value)
