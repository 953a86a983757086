"""The errors of a log are found by cause, in any format and size, and no text breaks the scan."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.knowledge import logs
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.evidence import Evidence, completed
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.findings import Finding, Timeline
from aws_bedrock_inference.knowledge.logs import LogError, blocks, time_of
from aws_bedrock_inference.knowledge.scan import LogScan

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
THROTTLED = (
    "An error occurred (ThrottlingException) when calling the Converse operation: Too many tokens, please wait before "
    "trying again."
)
DENIED = (
    "An error occurred (AccessDeniedException) when calling the InvokeModel operation: User: "
    "arn:aws:iam::123456789012:user/bob is not authorized to perform: bedrock:InvokeModel because no identity-based "
    "policy allows the bedrock:InvokeModel action"
)
CALM = "2026-11-21T03:00:00Z INFO request completed in 12 ms\n"


def scanned(text: str | bytes, piece: int = 1 << 18, since: datetime | None = None) -> LogScan:
    content = text.encode() if isinstance(text, str) else text
    scan = LogScan(now=NOW, since=since)
    scan.read(content[at : at + piece] for at in range(0, len(content), piece))
    return scan


def counts(scan: LogScan) -> dict[str, int]:
    return {finding.cause: finding.count for finding in scan.by_cause()}


def only(scan: LogScan) -> Finding:
    (finding,) = scan.by_cause()
    return finding


def test_errors_are_counted_by_cause_with_their_times_services_and_codes() -> None:
    log = CALM + f"2026-11-21T03:04:05Z ERROR {THROTTLED}\n" + CALM
    log += f"2026-11-21T05:00:00+02:00 ERROR {THROTTLED}\n2026-11-21T03:09:00Z ERROR {DENIED}\n"
    scan = scanned(log)
    assert counts(scan) == {"throttled-tokens-per-minute": 2, "iam-denied-identity-policy": 1}
    throttled = scan.by_cause()[0]
    assert (throttled.first, throttled.last) == (
        datetime(2026, 11, 21, 3, 0, tzinfo=UTC),
        datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC),
    )
    assert dict(throttled.services) == {"bedrock-runtime": 2}
    assert dict(throttled.codes) == {"ThrottlingException": 2}
    assert (scan.bytes, scan.other) == (len(log), 0)


def test_the_example_is_the_line_of_the_error_with_secrets_masked() -> None:
    finding = only(scanned(CALM + f"2026-11-21T03:04:05Z ERROR {DENIED}\n"))
    assert "AccessDeniedException" in finding.example
    assert "123456789012" not in finding.example


PYTHON = f"""2026-11-21 03:04:05,123 ERROR app: the call failed
Traceback (most recent call last):
  File "app.py", line 3, in ask
    return client.converse(**request)
botocore.errorfactory.ThrottlingException: {THROTTLED}

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "app.py", line 9, in main
    raise RuntimeError("failed") from error
RuntimeError: failed: {THROTTLED}
"""
JAVA = """2026-11-21 03:04:05.123 ERROR [main] c.e.App - call failed
software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException: Too many tokens, please wait before trying \
again. (Service: BedrockRuntime, Status Code: 429, Request ID: 1f2e)
\tat software.amazon.awssdk.core.Handler.handle(Handler.java:42)
Caused by: software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException: Too many tokens, please wait
\t... 12 more
"""
JAVASCRIPT = """2026-11-21T03:04:05.123Z ERROR Unhandled
ThrottlingException: Too many tokens, please wait before trying again.
    at de_ThrottlingExceptionRes (/app/node_modules/x.js:1:1)
  '$fault': 'client',
  '$metadata': {
    httpStatusCode: 429
  }
}
"""


@pytest.mark.parametrize("event", [PYTHON, JAVA, JAVASCRIPT, PYTHON.split("\n", 1)[1]])
@pytest.mark.parametrize("piece", [7, 100, 1 << 18])
def test_an_event_of_many_lines_counts_once(event: str, piece: int) -> None:
    assert counts(scanned(CALM + CALM + event + CALM, piece)) == {"throttled-tokens-per-minute": 1}
    assert counts(scanned((CALM + event) * 3 + CALM, piece)) == {"throttled-tokens-per-minute": 3}


def test_each_line_without_a_time_is_an_event() -> None:
    assert counts(scanned(f"{THROTTLED}\n" * 5)) == {"throttled-tokens-per-minute": 5}


def test_an_event_without_a_time_has_the_time_of_the_lines_above_it() -> None:
    log = CALM + "".join(f"plain line {number}\n" for number in range(40)) + f"{THROTTLED}\n"
    assert only(scanned(log)).first == datetime(2026, 11, 21, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-20T03:04:05.123Z x", "2026-11-20T03:04:05"),
        ("2026-11-20 03:04:05,123 x", "2026-11-20T03:04:05"),
        ("2026/11/20 03:04:05 x", "2026-11-20T03:04:05"),
        ("[2026-11-20T03:04:05+0200] x", "2026-11-20T01:04:05"),
        ('1.2.3.4 - - [20/Nov/2026:03:04:05 -0500] "GET /"', "2026-11-20T08:04:05"),
        ("Fri, 20 Nov 2026 03:04:05 GMT x", "2026-11-20T03:04:05"),
        ("Nov 20 03:04:05 host app[1]: x", "2026-11-20T03:04:05"),
        ("Dec 31 23:59:59 host app[1]: x", "2025-12-31T23:59:59"),
        ("E1120 03:04:05.123456       1 main.go:12] x", "2026-11-20T03:04:05"),
        ('{"timestamp": 1795143845123, "message": "x"}', "2026-11-20T03:04:05"),
        ('{"level":"error","ts":1795143845.12,"msg":"x"}', "2026-11-20T03:04:05"),
        ("2026-13-40T25:61:61Z x", None),
        ("no time", None),
    ],
)
def test_times_are_read_in_the_forms_of_many_logs(text: str, time: str | None) -> None:
    found = time_of(text.encode(), NOW)
    assert found == (datetime.fromisoformat(time).replace(tzinfo=UTC) if time else None)


def test_since_excludes_older_events_and_events_without_a_time() -> None:
    log = f"{THROTTLED}\n" + "".join(f"2026-11-21T0{hour}:00:00Z ERROR {THROTTLED}\n" for hour in range(5))
    scan = scanned(log, since=datetime(2026, 11, 21, 3, tzinfo=UTC))
    assert counts(scan) == {"throttled-tokens-per-minute": 2}
    assert scan.undated == 1


def test_an_error_outside_the_catalogue_is_counted_by_its_code() -> None:
    log = "ERROR An error occurred (PurpleThingException) when calling the DoIt operation: no\n"
    assert counts(scanned(log)) == {"PurpleThingException": 1}


def test_errors_that_are_not_from_aws_are_counted_separately() -> None:
    scan = scanned("ERROR the invoice failed\nERROR java.lang.NullPointerException: null\n" + CALM)
    assert (counts(scan), scan.other) == ({}, 2)


def test_a_mark_deep_in_a_long_line_is_found() -> None:
    log = '{"timestamp": "2026-11-21T03:04:05Z", "padding": "' + "x" * 50_000 + f'", "message": "{THROTTLED}"}}\n'
    assert counts(scanned(log)) == {"throttled-tokens-per-minute": 1}


def test_every_code_of_the_catalogue_is_found_in_the_message_of_boto3() -> None:
    for code in catalogue().by_code:
        scan = scanned(f"2026-11-21T03:04:05Z An error occurred ({code}) when calling the X operation: y\n")
        assert sum(counts(scan).values()) == 1, code


def read(content: bytes) -> bytes:
    return b"".join(blocks(io.BytesIO(content)))


def test_compressed_logs_are_recognised_by_content_and_not_by_name() -> None:
    plain = (CALM * 10_000).encode()
    half = len(plain) // 2
    pack = zstandard.ZstdCompressor().compress
    for packed in (
        plain,
        gzip.compress(plain),
        gzip.compress(plain[:half]) + gzip.compress(plain[half:]),
        pack(plain),
        pack(plain[:half]) + pack(plain[half:]),
        bz2.compress(plain),
        lzma.compress(plain),
    ):
        assert read(packed) == plain
    assert read(CALM.encode("utf-16")) == CALM.encode()
    assert read(b"") == b""
    assert read(CALM.encode("utf-16-le")) == CALM.encode()
    with pytest.raises(LogError, match="unzip -p"):
        read(b"PK\x03\x04" + plain)


def test_a_truncated_log_is_counted_up_to_its_end() -> None:
    log = f"2026-11-21T03:04:05Z ERROR {THROTTLED}\n".encode() * 20_000
    for packed in (gzip.compress(log)[:-100], gzip.compress(log)[:50] + b"x" * 99, b"\x28\xb5\x2f\xfd" + b"x" * 99):
        scan = LogScan(now=NOW)
        with pytest.raises(LogError, match="damaged"):
            scan.read(blocks(io.BytesIO(packed)))
    scan = LogScan(now=NOW)
    with pytest.raises(LogError, match="truncated"):
        scan.read(blocks(io.BytesIO(gzip.compress(log)[:-8])))
    assert only(scan).count == 20_000


def test_zstd_without_its_library_is_reported_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(logs, "import_module", missing)
    with pytest.raises(LogError, match="pip install zstandard"):
        read(zstandard.compress(b"x"))


def endless(lines: int) -> Iterator[bytes]:
    for number in range(0, lines, 500):
        at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=7 * number)
        yield f"{at.isoformat()} ERROR {THROTTLED} {number:x}\n".encode() + CALM.encode() * 500


def test_memory_does_not_grow_with_the_log() -> None:
    def peak(lines: int) -> int:
        tracemalloc.start()
        scan = LogScan(now=NOW)
        scan.read(endless(lines))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert sum(counts(scan).values()) == lines // 500
        return used

    peak(5_000)
    assert peak(500_000) < peak(50_000) + 1_000_000  # two bytes a line


def test_an_endless_line_is_read_in_bounded_memory() -> None:
    scan = LogScan(now=NOW)
    tracemalloc.start()
    scan.read(b"error " * 10_000 for _ in range(500))
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scan.bytes == 30_000_000
    assert used < 10_000_000


def test_a_timeline_keeps_every_count_and_few_buckets() -> None:
    timeline = Timeline()
    start = datetime(2020, 1, 1, tzinfo=UTC)
    for number in range(20_000):
        timeline.add(start + timedelta(minutes=13 * number))
    assert timeline.buckets.total() == 20_000
    assert len(timeline.buckets) <= Timeline.MOST
    assert timeline.by(86_400).total() == 20_000


WORDS = st.sampled_from(
    [
        *("error", "Exception", "\n", "\n  ", "Traceback (most recent call last):\n", "An error occurred (", "{", "}"),
        *("2026-11-21T03:04:05Z ", "9999-99-99 99:99:99 ", "1999999999999 ", "Jan 99 00:00:00 ", "arn:aws:iam::1"),
        *("(Service: X, Status Code: ", "ThrottlingException", "botocore.errorfactory.", " when calling the ", "\\n"),
        *("\x00", "\ud800", "\u0130", "\u2019"),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(st.one_of(WORDS, st.text(max_size=5)), max_size=60).map("".join))


@given(TEXTS)
def test_no_text_breaks_the_explanation(text: str) -> None:
    completed(Evidence(text))
    assert explain(text).remedies


@given(st.one_of(st.binary(), TEXTS.map(lambda text: text.encode(errors="surrogatepass"))), st.integers(1, 200))
def test_no_bytes_break_the_scan_however_they_are_split(content: bytes, piece: int) -> None:
    in_pieces, at_once = scanned(content, piece), scanned(content)
    assert in_pieces.bytes == len(content)
    assert counts(in_pieces) == counts(at_once)


@given(st.binary(max_size=300))
def test_no_compressed_bytes_break_the_reading(content: bytes) -> None:
    for head in (b"", b"\x1f\x8b", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"\x28\xb5\x2f\xfd", b"\xff\xfe"):
        with contextlib.suppress(LogError):
            assert isinstance(read(head + content), bytes)


HOSTILE = {
    "spaces": " " * 100_000,
    "one word": "a" * 100_000,
    "dotted word": "a." * 50_000,
    "colons": "a:" * 50_000,
    "lines": "\n" * 100_000,
    "quotes": "\"'" * 50_000,
    "user arn": "user: arn:" * 10_000,
    "not authorized": "is not authorized to perform: " * 3_300,
    "reasons": "specific reasons [" + "None, " * 16_000,
    "status": "status code: " * 7_700,
    "operation": "operation error " * 6_200,
    "calling": "when calling the " * 5_800,
    "digits": "1" * 100_000,
    "spaced digits": "1 " * 50_000,
    "keys": "AKIA" + "A" * 100_000,
    "secret": "aws_secret_access_key " * 4_500,
    "codes": "ThrottlingException " * 5_000,
    "messages": "too many requests, please wait " * 3_200,
    "tracebacks": "Traceback (most recent call last):\n" * 2_800,
    "indented": "\n  error" * 12_500,
    "errors": "error\n" * 16_000,
    "chains": "\n\nDuring handling of the above exception" * 2_500,
    "times": "2026-11-21 03:04:05" * 5_200,
    "nested": "{" * 100_000,
}


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in HOSTILE.items()])
def test_hostile_texts_are_scanned_in_linear_time(text: str) -> None:
    """Counted in calls, not in seconds: an expression that goes back and forth for ever would not end at all."""
    explain(text)
    scan = scanned(text)
    assert scan.bytes == len(text)
    assert scanned(text.replace("\n", " ")).bytes == len(text)


def test_the_examples_of_a_scan_can_be_written_as_json() -> None:
    scan = scanned(f"ERROR {THROTTLED} \udcff".encode(errors="surrogateescape"))
    assert json.dumps(only(scan).example)


def test_an_endless_line_is_not_stored() -> None:
    scan = LogScan(now=NOW)
    for _ in range(8):
        scan.feed(b"\x00" * (1 << 20))
        assert len(scan._rest) <= 2 << 20
    scan.feed(f"\n{THROTTLED}\n".encode())
    scan.close()
    assert only(scan).count == 1
