"""Delivery of alerts: sinks that are down or slow or that refuse, and ten thousand alerts together."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time as wall
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.telemetry.alerts import Alert, Alerts, Sns, Webhook
from aws_bedrock_inference.telemetry.alerts.alert import alert_of
from aws_bedrock_inference.telemetry.alerts.delivery import MOST_QUEUED, NotDelivered, Outlet
from aws_bedrock_inference.telemetry.alerts.incident import Incident
from aws_bedrock_inference.telemetry.alerts.sinks import to_log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT = 60.0


@cache
def first() -> Alert:
    incident = Incident("i0", "failures", "service-capacity", "transient", 1e9, 1e9, share=0.12, usual=0.01)
    incident.reaches("model-a|eu-west-1", ["converse"], ["acme"])
    incident.rises("k", 100_000_000, 6)
    incident.sample = {"code": "ServiceUnavailableException", "request_id": "id-1", "message": "", "advice": ""}
    return alert_of(incident, 1e9, "shop", ended=False)


def alert(number: int = 0) -> Alert:
    return replace(first(), id=f"i{number}-start", incident=f"i{number}")


class Done:
    """Waits for alerts that an outlet is done with."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self._changed = threading.Condition()

    def __call__(self, alert: Alert) -> None:
        with self._changed:
            self.alerts.append(alert)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.alerts) >= count, PATIENT)


def passing(seconds: float = 0.0) -> NotDelivered:
    return NotDelivered(Fault(code="HTTP 503", message="", decision=Decision.RETRY, retry_after=seconds))


class Quick(Outlet):
    """An outlet whose waits take no time."""

    def __init__(self, sink: Callable[[Alert], Any], done: Done) -> None:
        self.now = 0.0
        super().__init__(sink, done, clock=lambda: self.now, chance=lambda: 0.5)

    def _waited(self, seconds: float) -> bool:
        self.now += seconds
        return True


def test_a_sink_that_was_down_gets_its_alerts_in_order_when_it_returns() -> None:
    got: list[str] = []
    done = Done()
    tries = iter([passing(), ConnectionRefusedError(), TimeoutError()])

    def sink(alert: Alert) -> None:
        if (error := next(tries, None)) is not None:
            raise error
        got.append(alert.id)

    outlet = Quick(sink, done)
    for number in range(3):
        outlet.put(alert(number))
    done.wait(3)
    assert got == ["i0-start", "i1-start", "i2-start"]
    assert outlet.lost == 0
    outlet.close(0.0)


def test_a_sink_that_refuses_permanently_is_not_called_again_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    asked: list[str] = []

    def sink(alert: Alert) -> None:
        asked.append(alert.id)
        raise NotDelivered(Fault(code="HTTP 404", message="", decision=Decision.FAIL))

    outlet = Quick(sink, done := Done())
    outlet.put(alert())
    done.wait(1)
    assert (asked, outlet.lost) == (["i0-start"], 1)
    assert "i0-start was not delivered" in caplog.text
    outlet.close(0.0)


def test_a_sink_that_never_returns_is_given_up_after_an_hour() -> None:
    def sink(_: Alert) -> None:
        raise passing()

    outlet = Quick(sink, done := Done())
    outlet.put(alert())
    done.wait(1)
    assert outlet.lost == 1
    outlet.close(0.0)


def test_ten_thousand_alerts_for_a_hanging_sink_delay_no_call_and_a_thousand_are_queued() -> None:
    may_go = threading.Event()
    got: list[str] = []

    def sink(alert: Alert) -> None:
        may_go.wait(PATIENT)
        got.append(alert.id)

    outlet = Outlet(sink, done := Done())
    for number in range(10_000):
        outlet.put(alert(number))
    assert (outlet.lost, len(outlet._queue)) == (10_000 - MOST_QUEUED, MOST_QUEUED)
    may_go.set()
    done.wait(10_000)
    assert got[-1] == "i9999-start"
    assert len(got) in (MOST_QUEUED, MOST_QUEUED + 1)  # one was on its way
    outlet.close(0.0)


def test_closing_waits_for_a_slow_sink_until_the_time_limit(caplog: pytest.LogCaptureFixture) -> None:
    got: list[str] = []
    outlet = Outlet(lambda alert: got.append(alert.id), Done())
    outlet.put(alert())
    outlet.close(wall.monotonic() + PATIENT)
    assert got == ["i0-start"]
    hung = threading.Event()
    stuck = Outlet(lambda _: hung.wait(PATIENT), Done())
    stuck.put(alert())
    stuck.close(wall.monotonic())
    hung.set()
    assert "1 alerts were not delivered" in caplog.text


@pytest.fixture
def hook() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], list[int]]]:
    """A webhook that answers with the next of its statuses, then with 200."""
    got: list[tuple[dict[str, str], bytes]] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook/s3cret", got, statuses
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_signed_json(hook: tuple[str, list[tuple[dict[str, str], bytes]], list[int]]) -> None:
    url, got, _ = hook
    sink = Webhook(url, headers={"Authorization": "Bearer t"}, secret="key", clock=lambda: 1234.5)
    sink(alert())
    ((headers, body),) = got
    signature = hmac.new(b"key", b"1234." + body, hashlib.sha256).hexdigest()
    assert headers["X-Signature"] == f"sha256={signature}"
    assert (headers["X-Timestamp"], headers["Authorization"]) == ("1234", "Bearer t")
    plain = json.loads(body)
    assert Alert.from_dict(plain) == alert()
    assert plain["summary"].startswith("shop: ")
    assert "s3cret" not in repr(sink) + sink.name


@pytest.mark.parametrize(
    ("status", "again"), [(503, Decision.RETRY), (429, Decision.RETRY), (404, Decision.FAIL), (302, Decision.FAIL)]
)
def test_the_status_of_a_webhook_decides_whether_it_is_retried(
    hook: tuple[str, list[tuple[dict[str, str], bytes]], list[int]], status: int, again: Decision
) -> None:
    url, got, statuses = hook
    statuses.append(status)
    with pytest.raises(NotDelivered) as raised:
        Webhook(url)(alert())
    assert raised.value.fault.decision is again
    assert len(got) == 1


def test_an_unreachable_webhook_is_retried() -> None:
    with pytest.raises(ConnectionRefusedError):
        Webhook("http://127.0.0.1:9", timeout=5.0)(alert())


def test_sns_messages_have_forms_for_programs_people_and_phones(alone: None, moto_url: str) -> None:
    session: Any = boto3.Session("AKIDEXAMPLE", "secret", region_name="eu-west-1")
    sns = session.client("sns", endpoint_url=moto_url)
    sqs = session.client("sqs", endpoint_url=moto_url)
    topic = sns.create_topic(Name="oncall")["TopicArn"]
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-1:123456789012:q")
    sink = Sns(f"sns://{topic}", session=session, endpoint_url=moto_url)
    sink(alert())
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    sent = json.loads(message["Body"])
    assert Alert.from_dict(json.loads(sent["Message"])) == alert()
    assert sent["Subject"].startswith("shop: ")
    assert len(sent["Subject"]) < 100
    for client in (sns, sqs):
        client.close()


def test_the_log_has_the_complete_alert(caplog: pytest.LogCaptureFixture) -> None:
    to_log(alert())
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.alert["cause"] == "service-capacity"  # type: ignore[attr-defined]
    assert "12.0% of the attempts" in record.getMessage()


@pytest.mark.parametrize("wrong", ["pager", "sns://topic", "arn:aws:sqs:eu-west-1:1:q", "https://", 5, None])
def test_an_invalid_sink_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="pass"):
        Alerts(wrong)


def test_a_program_that_cannot_start_threads_delivers_its_alerts_at_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    got: list[str] = []
    done = Done()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    outlet = Outlet(lambda alert: got.append(alert.id), done)
    outlet.put(alert(1))
    outlet.put(alert(2))
    outlet.close(wall.monotonic() + PATIENT)
    assert got == ["i1-start", "i2-start"] == [each.id for each in done.alerts]
