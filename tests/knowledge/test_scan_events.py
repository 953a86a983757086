"""Each event of a log is found once and with its own cause, in any format and with anything between the events."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.scan import LogScan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
THROTTLED = (
    "An error occurred (ThrottlingException) when calling the Converse operation: Too many tokens, please wait before "
    "trying again."
)
PYTHON = f"""Traceback (most recent call last):
  File "/srv/ask.py", line 31, in ask
    return client.converse(**request)
botocore.errorfactory.ThrottlingException: {THROTTLED}"""
CHAINED = f"""{PYTHON}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/main.py", line 9, in main
    raise RuntimeError("no answer") from error
RuntimeError: no answer"""
JAVA = """software.amazon.awssdk.services.s3.model.NoSuchBucketException: The specified bucket does not exist \
(Service: S3, Status Code: 404, Request ID: 7Q1)
\tat software.amazon.awssdk.protocols.xml.Handler.handle(Handler.java:156)
\tat com.acme.Store.load(Store.java:20)
Caused by: java.lang.IllegalStateException: no bucket
\t... 31 more"""
GO = """panic: operation error DynamoDB: PutItem, https response error StatusCode: 400, RequestID: 4K2, \
ConditionalCheckFailedException: The conditional request failed

goroutine 1 [running]:
main.save(...)
\t/src/main.go:41 +0x1d
exit status 2"""
DOTNET = """Amazon.Lambda.Model.TooManyRequestsException: Rate Exceeded.
 ---> Amazon.Runtime.Internal.HttpErrorResponseException: Exception of type 'HttpErrorResponseException' was thrown.
   at Amazon.Runtime.HttpWebRequestMessage.GetResponseAsync(CancellationToken token)
   --- End of inner exception stack trace ---
   at Shop.Orders.Send()"""
NODE = """ExpiredTokenException: The security token included in the request is expired
    at throwDefaultError (/app/node_modules/client.js:8:22) {
  '$fault': 'client',
  '$metadata': {
    httpStatusCode: 403,
  }
}"""
DENIED = """An error occurred (AccessDeniedException) when calling the InvokeModel operation: User: \
arn:aws:iam::123456789012:user/kim is not authorized to perform: bedrock:InvokeModel on resource: \
arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0 because no identity-based policy allows the \
bedrock:InvokeModel action"""
WRAPPED = """The model call failed:
ValidationException: The model returned the following errors:
messages.0: all messages must have non-empty content"""
TEXTS = (THROTTLED, PYTHON, CHAINED, JAVA, GO, DOTNET, NODE, DENIED, WRAPPED)
ALONE = {text: explain(text).cause for text in TEXTS}

CALM = (
    "2026-11-21 03:00:00,001 INFO web: request completed in 12 ms",
    "2026-11-21 03:00:00,002 DEBUG shop.orders: 3 rows",
    '10.0.0.7 - - [21/Nov/2026:03:00:00 +0000] "GET /items HTTP/1.1" 200 512',
    "2026-11-21T03:00:00Z START RequestId: 4e1d0c55-0000-4000-8000-000000000001 Version: $LATEST",
    '{"time": "2026-11-21T03:00:00Z", "level": "info", "msg": "served", "status": 200}',
    "[2026-11-21 03:00:00 +0000] [7] [INFO] Booting worker with pid: 7",
)


def scanned(content: bytes, piece: int = 1 << 18) -> LogScan:
    scan = LogScan(now=NOW)
    scan.read(content[at : at + piece] for at in range(0, len(content), piece))
    return scan


def counts(scan: LogScan) -> Counter[str]:
    return Counter({finding.cause: finding.count for finding in scan.by_cause()})


def alone(texts: Sequence[str]) -> Counter[str]:
    return Counter(ALONE[text] for text in texts)


def test_the_texts_of_these_tests_are_known() -> None:
    assert "unknown" not in ALONE.values()


EVENTS = st.lists(st.sampled_from(TEXTS), max_size=6)


@given(EVENTS, st.data(), st.integers(1, 5_000))
def test_the_same_events_are_found_whatever_is_between_them_and_however_bytes_are_split(
    texts: list[str], data: st.DataObject, piece: int
) -> None:
    log = ""
    for text in texts:
        between = data.draw(st.lists(st.sampled_from(CALM), max_size=4))
        log += "".join(f"{line}\n" * data.draw(st.sampled_from([1, 1, 1, 700])) for line in between)
        log += f"2026-11-21 03:00:01,500 ERROR app: {text}\n"
    assert counts(scanned(log.encode(), piece)) == alone(texts)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("noise", CALM)
def test_noise_beyond_the_buffer_does_not_split_an_event(text: str, noise: str) -> None:
    far = f"{noise}\n" * (200_000 // len(noise))
    log = f"{far}2026-11-21 03:00:01,500 ERROR app: {text}\n" * 2 + far
    assert counts(scanned(log.encode(), 10_007)) == alone([text, text])


@pytest.mark.parametrize("piece", [1, 40, 97, 1_000])
def test_the_first_line_of_an_event_needs_no_mark_and_may_come_much_earlier(piece: int) -> None:
    reply = f"called the model\nname: ThrottlingException\nmessage: {THROTTLED}\ncode: ThrottlingException"
    log = "".join(f"2026-11-21 03:00:0{at} app: {reply}\n{CALM[0]}\n" for at in range(5))
    assert counts(scanned(log.encode(), piece)) == {"throttled-tokens-per-minute": 5}


@given(st.permutations(TEXTS))
def test_the_order_of_files_does_not_matter(texts: Sequence[str]) -> None:
    scan = LogScan(now=NOW)
    for text in texts:
        scan.read([f"2026-11-21 03:00:01,500 ERROR app: {text}".encode()])
    assert counts(scan) == alone(TEXTS)


def compose(text: str) -> str:
    return "\n".join(f"api-1  | {line}" for line in f"2026-11-21 03:00:01 ERROR app: {text}".split("\n"))


def kubernetes(text: str) -> str:
    return "\n".join(f"2026-11-21T03:00:01.5Z stderr F {line}" for line in f"ERROR app: {text}".split("\n"))


def syslog(text: str) -> str:
    return "\n".join(f"Nov 21 03:00:01 web1 app[712]: {line}" for line in f"ERROR app: {text}".split("\n"))


def journald(text: str) -> str:
    return "\n".join(f"2026-11-21T03:00:01+0000 web1 app[712]: {line}" for line in f"ERROR app: {text}".split("\n"))


def coloured(text: str) -> str:
    return f"\x1b[2m2026-11-21T03:00:01.5Z\x1b[0m \x1b[31mERROR\x1b[0m app: {text}"


def pino(text: str) -> str:
    error = {"type": "Error", "message": text.partition("\n")[0], "stack": text}
    return json.dumps({"level": 50, "time": 1795230001500, "pid": 7, "err": error, "msg": "no answer"})


def structlog(text: str) -> str:
    return json.dumps({"event": "no answer", "exception": text, "level": "error", "timestamp": "2026-11-21T03:00:01Z"})


def docker(text: str) -> str:
    return json.dumps({"log": f"ERROR app: {text}\n", "stream": "stderr", "time": "2026-11-21T03:00:01.5Z"})


def lambda_log(text: str) -> str:
    number = "RequestId: 4e1d0c55-0000-4000-8000-000000000001"
    shown = text.replace("\n  ", "\n\u00a0\u00a0")
    return f"START {number} Version: $LATEST\n[ERROR] {shown}\nEND {number}\nREPORT {number} Duration: 9 ms"


def tailed(text: str) -> str:
    return f"2026-11-21T03:00:01.500000+00:00 2026/11/21/[$LATEST]0f1e {text}"


def event_of_cli(text: str) -> str:
    event = {"logStreamName": "web/1", "timestamp": 1795230001500, "message": text, "eventId": "3812"}
    return "\n".join(f"        {line}" for line in json.dumps(event, indent=4).split("\n")) + ","


FORMS = (compose, kubernetes, syslog, journald, coloured, pino, structlog, docker, lambda_log, tailed, event_of_cli)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_events_are_found_in_the_forms_of_many_logs(form: Callable[[str], str], text: str, ending: str) -> None:
    log = "".join(f"{form(each)}\n" for each in (text, THROTTLED, text))
    assert counts(scanned(log.replace("\n", ending).encode(), 4_096)) == alone([text, THROTTLED, text])


@pytest.mark.parametrize("text", [PYTHON, CHAINED])
def test_a_traceback_whose_every_line_has_a_time_is_one_event(text: str) -> None:
    log = "".join(f"2026-11-21T03:00:01.5Z {line}\n" for line in f"{text}\nserved\n{text}\nserved".split("\n"))
    assert counts(scanned(log.encode())) == alone([text, text])


@pytest.mark.parametrize("text", [PYTHON, CHAINED, GO, JAVA, DOTNET, NODE])
@pytest.mark.parametrize("noise", ["", "Processing item 3\n", f"{CALM[0]}\n"])
def test_each_traceback_without_a_time_is_an_event(text: str, noise: str) -> None:
    log = f"{noise}{text}\n{noise}" * 3
    assert counts(scanned(log.encode())) == alone([text] * 3)


def test_each_complete_answer_of_the_aws_cli_is_one_event() -> None:
    events = [{"timestamp": 1795230001500 + at, "message": text, "eventId": "1"} for at, text in enumerate(TEXTS * 40)]
    log = json.dumps({"events": events, "searchedLogStreams": []}, indent=4).encode()
    assert counts(scanned(log, 1_000)) == alone(TEXTS * 40)


def test_info_lines_around_a_traceback_are_not_part_of_it() -> None:
    log = f"{CALM[0]}\n{PYTHON}\n{THROTTLED}\n{CALM[1]}\n{DENIED}\n"
    assert counts(scanned(log.encode())) == alone([PYTHON, THROTTLED, DENIED])


def test_a_line_above_one_mebibyte_is_cut_at_the_same_place_however_it_is_split() -> None:
    log = b"x" * 1_048_500 + THROTTLED.encode() + b"x" * 1_100_000 + DENIED.encode() + b"\n"
    assert counts(scanned(log, 1 << 23)) == counts(scanned(log, 4_099)) == counts(scanned(log))


def test_rows_are_split_by_action_and_by_model() -> None:
    other = DENIED.replace("bedrock:InvokeModel", "bedrock:Converse").replace("InvokeModel", "Converse")
    log = f"ERROR {DENIED}\nERROR {other}\nERROR {DENIED}\nERROR {DENIED.replace('nova-lite', 'nova-pro')}\n"
    (finding,) = scanned(log.encode()).by_cause()
    assert [(part.subject, part.count) for part in finding.by_subject()] == [
        (("bedrock:InvokeModel", "amazon.nova-lite-v1:0"), 2),
        (("bedrock:Converse", "amazon.nova-lite-v1:0"), 1),
        (("bedrock:InvokeModel", "amazon.nova-pro-v1:0"), 1),
    ]
    assert {part.confidence for part in finding.by_subject()} == {"high"}


def test_the_rows_of_one_cause_are_bounded_and_lose_no_event() -> None:
    actions = [f"bedrock:Do{chr(65 + at)}" for at in range(26)]
    log = "".join(f"ERROR {DENIED.replace('bedrock:InvokeModel', action)}\n" for action in actions)
    (finding,) = scanned(log.encode()).by_cause()
    assert len(finding.parts) == 9
    assert finding.count == 26


@pytest.mark.parametrize("text", TEXTS)
def test_the_example_contains_the_words_that_decided(text: str) -> None:
    log = "2026-11-21 03:00:01,500 ERROR app: failed again, " + "and so on, " * 60 + text + "\n"
    (finding,) = scanned(log.encode()).by_cause()
    decided = " ".join(explain(text).decided_by.lower().split())
    assert decided in finding.example.lower()
    assert len(finding.example) <= 300


def test_the_causes_of_a_scan_are_slugs_of_the_catalogue() -> None:
    assert set(counts(scanned("".join(f"ERROR {text}\n" for text in TEXTS).encode()))) <= set(catalogue().causes)


def test_the_times_of_all_events_are_in_one_timeline() -> None:
    log = "".join(
        f"{(NOW - timedelta(hours=at)).isoformat()} ERROR {DENIED.replace('InvokeModel', f'Do{chr(65 + at)}')}\n"
        for at in range(12)
    )
    (finding,) = scanned(log.encode()).by_cause()
    assert finding.timeline.buckets.total() == finding.count == 12
    assert (finding.first, finding.last) == (NOW - timedelta(hours=11), NOW)
