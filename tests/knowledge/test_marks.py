"""The search for relevant log lines, and the forms in which many events share one line."""

import json
import re
import tomllib
from datetime import UTC, datetime
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.lookup import meanings
from aws_bedrock_inference.knowledge.marks import TROUBLE, WEAK, is_marked, marked_lines
from aws_bedrock_inference.knowledge.modelled import codes
from aws_bedrock_inference.knowledge.scan import LogScan

NOW = datetime(2026, 11, 29, tzinfo=UTC)
THROTTLED = "An error occurred (ThrottlingException) when calling the Converse operation: Too many tokens, please wait."
NO_BUCKET = "An error occurred (NoSuchBucket) when calling the PutObject operation: The specified bucket does not exist"


def counts(log: str | bytes, piece: int = 1 << 18) -> dict[str, int]:
    content = log.encode() if isinstance(log, str) else log
    scan = LogScan(now=NOW)
    scan.read(content[at : at + piece] for at in range(0, len(content), piece))
    return {finding.cause: finding.count for finding in scan.by_cause()}


def marked(content: bytes) -> list[int]:
    """The lines that a plain comparison of all words finds."""
    lines, at = [], 0
    for line in content.split(b"\n"):
        if is_marked(line):
            lines.append(at)
        at += len(line) + 1
    return lines


@pytest.mark.parametrize("mark", [*TROUBLE, *WEAK], ids=bytes.decode)
def test_each_mark_is_found_in_every_spelling(mark: bytes) -> None:
    for written in (mark, mark.upper(), mark.title()):
        content = b"a calm line\n2026-11-20 12:00:00 app: <" + written + b"> it\nanother\n"
        assert list(marked_lines(content, 0, len(content))) == [12], written


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                [*TROUBLE, *WEAK, b"\n", b"\n", b" INFO ", b" ", b"\xe2\x80\x99", b"er", b"ror", b"x" * 40_000]
            ),
            st.binary(max_size=20),
        ),
        max_size=40,
    )
)
def test_the_fast_search_finds_the_lines_that_a_plain_one_finds(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    assert list(marked_lines(content, 0, len(content))) == marked(content)


def test_a_weak_mark_at_level_info_does_not_count() -> None:
    assert is_marked(b"2026-11-20 12:00:00 app: the field is required")
    assert not is_marked(b"2026-11-20 12:00:00 INFO app: the field is required")
    assert is_marked(b"2026-11-20 12:00:00 INFO app: the call failed")


def examples() -> list[str]:
    found: list[Any] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            for name, value in part.items():
                if name.startswith("example"):
                    found.extend(value if isinstance(value, list) else [value])
                walk(value)
        elif isinstance(part, list):
            for each in part:
                walk(each)

    folder = resources.files("aws_bedrock_inference.knowledge") / "errors"
    for file in folder.iterdir():
        walk(tomllib.loads(file.read_text(encoding="utf-8")))
    return [text for text in found if isinstance(text, str)]


def test_nearly_all_messages_of_the_catalogue_have_a_mark_even_without_a_level() -> None:
    unmarked = [text for text in examples() if not any(is_marked(line.encode()) for line in text.split("\n"))]
    assert len(unmarked) < len(examples()) / 40, unmarked


@pytest.mark.parametrize(
    "text",
    [
        "Messages can't contain duplicate document names.",
        "Invocation of model ID meta.x-1 with on-demand throughput isn\u2019t supported.",
        "The model is currently overloaded. Please try again later.",
        "A batch inference job must contain at least 100 records",
    ],
)
def test_a_message_without_a_code_and_level_is_found(text: str) -> None:
    scan = LogScan(now=NOW)
    scan.read([f"2026-11-20T03:00:00.000Z {text}\n2026-11-20T03:00:01.000Z all is calm\n".encode()])
    assert sum(finding.count for finding in (*scan.by_cause(), *scan.possible())) == 1


def log_events(count: int) -> list[dict[str, Any]]:
    said = {0: THROTTLED, 7: NO_BUCKET}
    return [
        {"logStreamName": "a", "timestamp": 1_763_600_000_000 + 1000 * at, "message": said.get(at % 50, "all is calm")}
        for at in range(count)
    ]


def pairs(events: list[dict[str, Any]]) -> list[list[dict[str, str]]]:
    times = (datetime.fromtimestamp(each["timestamp"] / 1000, UTC).isoformat(" ")[:19] for each in events)
    return [
        [{"field": "@timestamp", "value": at}, {"field": "@message", "value": each["message"]}]
        for at, each in zip(times, events, strict=True)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        {"events": log_events(100), "searchedLogStreams": []},
        {"results": pairs(log_events(100)), "status": "Complete"},
        log_events(100),
        {
            "hits": {
                "total": 100,
                "hits": [{"_id": str(at), "_source": each} for at, each in enumerate(log_events(100))],
            }
        },
    ],
    ids=["aws logs", "Logs Insights", "array", "search engine"],
)
@pytest.mark.parametrize("form", [{}, {"separators": (",", ":")}], ids=["spaced", "compact"])
def test_many_events_on_one_line_are_counted_one_by_one(answer: Any, form: dict[str, Any]) -> None:
    line = json.dumps(answer, **form)
    assert counts(line) == {"throttled-tokens-per-minute": 2, "s3-bucket-missing": 2}
    assert counts(line + "\n" + line + "\n") == {"throttled-tokens-per-minute": 4, "s3-bucket-missing": 4}


@pytest.mark.parametrize("piece", [7_001, 1 << 18])
def test_a_line_of_many_events_above_the_length_limit_loses_none(piece: int) -> None:
    log = json.dumps({"events": log_events(30_000)})
    assert len(log) > 1 << 21
    assert counts(log, piece) == {"throttled-tokens-per-minute": 600, "s3-bucket-missing": 600}


def test_a_record_with_an_array_is_one_event() -> None:
    inner = [{"ts": 1, "error": NO_BUCKET}, {"ts": 2, "error": NO_BUCKET}]
    record = {"timestamp": "2026-11-20T03:00:00Z", "level": "error", "msg": THROTTLED, "entries": inner}
    assert sum(counts(json.dumps(record)).values()) == 1


PREFIXES = {
    "docker compose": ("api-1     | ", "worker-1  | "),
    "kubectl": ("[pod/api-1/app] ", "[pod/web-2/app] "),
    "syslog": ("Nov 20 03:00:01 host api[12]: ", "Nov 20 03:00:01 host web[77]: "),
    "journald": ("2026-11-20T03:00:01+0000 host api[12]: ", "2026-11-20T03:00:01+0000 host web[77]: "),
    "threads": ("2026-11-20 03:00:01,123 [T-1] ERROR app - ", "2026-11-20 03:00:01,123 [T-2] ERROR app - "),
}
TRACE = (
    'Traceback (most recent call last):\n  File "app.py", line 3, in ask\n    ask()\nbotocore.exceptions.ClientError: '
)


CHAINED = """java.util.concurrent.CompletionException: the call failed
\tat app.Main.ask(Main.java:3)
Caused by: software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException: Too many tokens, please wait
\tat app.Main.ask(Main.java:4)
Caused by: software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException: Too many tokens, please wait
\t... 2 more"""


def woven(prefixes: tuple[str, str], texts: tuple[str, str], order: list[bool]) -> str:
    left = [[prefix + line for line in text.split("\n")] for prefix, text in zip(prefixes, texts, strict=True)]
    turns = [*order, *[False, True] * 8]
    return "".join(f"{left[which].pop(0)}\n" for which in turns if left[which])


@pytest.mark.parametrize("prefixes", PREFIXES.values(), ids=PREFIXES)
@given(order=st.lists(st.booleans(), min_size=8, max_size=8))
def test_interleaved_tracebacks_of_two_programs_count_once_each(prefixes: tuple[str, str], order: list[bool]) -> None:
    log = woven(prefixes, (TRACE + THROTTLED, TRACE + NO_BUCKET), order)
    assert counts(log) == {"throttled-tokens-per-minute": 1, "s3-bucket-missing": 1}


@pytest.mark.parametrize("prefixes", [PREFIXES[name] for name in PREFIXES if name != "threads"])
@given(order=st.lists(st.booleans(), min_size=8, max_size=8))
def test_a_chained_traceback_interrupted_by_other_lines_counts_once(
    prefixes: tuple[str, str], order: list[bool]
) -> None:
    twice = f"{TRACE}{NO_BUCKET}\n{TRACE}{NO_BUCKET}"
    log = woven(prefixes, (CHAINED, twice), order) + woven(prefixes, (CHAINED, "all is calm"), order)
    assert counts(log) == {"throttled-tokens-per-minute": 2, "s3-bucket-missing": 2}


@pytest.mark.parametrize("spaced", ["", " "], ids=["compact", "spaced"])
def test_a_traceback_with_one_record_per_line_counts_once(spaced: str) -> None:
    said = (
        "software.amazon.awssdk.services.dynamodb.model.ProvisionedThroughputExceededException: The level of configured"
    )
    trace = [f"{said} throughput", "\tat a.B.c(B.java:3)", f"Caused by: {said} throughput", "\t... 3 more"]
    rest = {"stream": "stderr", "time": "2026-11-20T03:00:01.1Z"}
    lines = ["all is calm", *trace, "all is calm", *trace]
    form = (f",{spaced}", f":{spaced}")
    log = "".join(json.dumps({"log": f"{line}\n", **rest}, separators=form) + "\n" for line in lines)
    assert counts(log) == {"dynamodb-provisioned-throughput": 2}


def test_a_utf_8_byte_order_mark_hides_no_event() -> None:
    assert counts(f"\ufeff2026-11-20 03:00:00 ERROR it failed\nthen: {THROTTLED}\n") == {
        "throttled-tokens-per-minute": 1
    }


def test_every_name_that_a_scan_may_print_is_explained() -> None:
    slugs = list(catalogue().causes)
    assert [meanings(slug)[0].cause for slug in slugs] == slugs
    assert [code for code in (*catalogue().by_code, *codes()) if not meanings(code)] == []
    assert [code for code in catalogue().by_code if any(each.cause == "unknown" for each in meanings(code))] == []


def test_control_characters_are_not_shown() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\u202e\x9b31m\x08"
    scan = LogScan(now=NOW)
    scan.read([f"2026-11-20 03:00:00 ERROR {THROTTLED.replace('Too', 'Too' + hostile)}\n".encode()])
    (finding,) = scan.by_cause()
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", finding.example)
    assert "tokens, please wait" in finding.example
