"""Answers that differ from the service model, as gateways and mocks send them: they are read as boto3 reads them, and
only this package's exceptions leave a client."""

from __future__ import annotations

import base64
import copy
import json
import struct
from binascii import crc32
from math import inf
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import HeadersDict
from botocore.exceptions import ClientError
from botocore.parsers import EventStreamJSONParser, create_parser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.answers import FRAMES, MESSAGES, chunk
from support.wire import Wire, answer, event, frame, stream

from aws_bedrock_inference import BedrockError, Pipeline, Retry, StreamBroken
from aws_bedrock_inference.call import Call, Estimate, Outcome, Route, Usage
from aws_bedrock_inference.clients.reply import Reply, reply_of
from aws_bedrock_inference.clients.streams import _text
from aws_bedrock_inference.dialects.stream import NativeTranscript, Transcript
from aws_bedrock_inference.dialects.usage import MOST, usage_in_headers, usage_of
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.classify import classify
from aws_bedrock_inference.knowledge.waits import LONGEST, milliseconds, retry_after
from aws_bedrock_inference.streaming import collect
from aws_bedrock_inference.transports.answers import outcome
from aws_bedrock_inference.transports.eventstream import Decoder
from aws_bedrock_inference.transports.operations import operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DEEP = b"[" * 100_000 + b"]" * 100_000

WHOLE: dict[str, Any] = {
    "output": {
        "message": {
            "role": "assistant",
            "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
                {"text": "Because"},
                {
                    "citationsContent": {
                        "content": [{"text": " of Rayleigh"}],
                        "citations": [{"title": "t", "location": {"documentPage": {"documentIndex": 0, "start": 1}}}],
                    }
                },
                {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": [1, None]}}},
                {"toolResult": {"toolUseId": "t1", "content": [{"json": {"b": 1}}, {"text": "x"}]}},
                {"image": {"format": "png", "source": {"bytes": "AAEC"}}},
            ],
        }
    },
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8, "cacheReadInputTokens": 1},
    "metrics": {"latencyMs": 7},
    "trace": {"guardrail": {"modelOutput": ["x"], "actionReason": "r"}},
}
EVENTS: list[tuple[str, Any]] = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Because"}, "p": "abc"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"citation": {"title": "t", "sourceContent": [{}]}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"a": 1}'}}}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolResult": {"toolUseId": "t", "status": "success"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolResult": [{"json": {"b": 1}}, {"text": "x"}]}}),
    ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"reasoningContent": {"text": "hm"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 3, "delta": {"reasoningContent": {"redactedContent": "AAEC"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 4, "delta": {"image": {"source": {"bytes": "AAEC"}}}}),
    ("contentBlockStart", {"contentBlockIndex": 5, "start": {"inventedLater": {"x": 1}}}),
    ("contentBlockDelta", {"contentBlockIndex": 5, "delta": {"inventedLater": {"x": 1}}}),
    ("inventedLater", {"x": 1}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, "metrics": {"latencyMs": 7}}),
]
NATIVE = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
    {"messageStart": {"role": "assistant"}},
    {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": "hi"}}},
    {"outputs": [{"text": "h", "stop_reason": None}]},
    {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]},
    {"outputText": "i", "amazon-bedrock-guardrailAction": "INTERVENED"},
    {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 5, "outputTokenCount": 7}},
]

JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        {},
        [],
        "",
        "x",
        "5",
        0,
        -1,
        5.0,
        1e300,
        10**400,
        True,
        [None],
        [[]],
        [{}],
        {"a": None},
        {"text": 5},
        {"inventedLater": {"x": 1}},
        {"text": None},
        {"text": "a", "toolUse": {}},
        "INTERVENED",
        inf,
    ]
)
GONE = object()


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the way to each part of `value`."""
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*place, key))


@st.composite
def mutated(draw: st.DrawFn, whole: Any) -> Any:
    """Return `whole` with up to three of its parts missing or replaced by invalid values."""
    value = [copy.deepcopy(whole)]
    for _ in range(draw(st.integers(0, 3))):
        way = draw(st.sampled_from(list(places(value[0]))))
        junk = draw(JUNK | st.just(GONE))
        at = value
        for key in (0, *way)[:-1]:
            at = at[key]
        if junk is not GONE:
            at[(0, *way)[-1]] = copy.deepcopy(junk)
        elif way:
            del at[way[-1]]
    return value[0]


def boto3s(name: str, body: bytes) -> Any:
    """Return botocore's parse of `body`, or None if it raises or finds nothing."""
    parser: Any = create_parser("rest-json")
    raw = {"status_code": 200, "headers": HeadersDict({}), "body": body, "context": {}}
    try:
        response = parser.parse(raw, operation(name)._output)
    except Exception:  # noqa: BLE001 - botocore raises whatever it stumbles over
        return None
    response.pop("ResponseMetadata")
    return response or None


def unary(body: bytes, name: str = "converse", **headers: str) -> Outcome:
    return outcome(operation(name), 200, HeadersDict(headers), body, wall=0.0)


def look_at(reply: Reply) -> None:
    """Use everything that a reply has."""
    assert isinstance(reply.text, str)
    assert isinstance(reply.stop_reason, str)
    assert isinstance(reply.output, dict)
    assert all(type(count) is int and 0 <= count <= MOST for count in vars_of(reply.usage))
    assert (reply.attempts, reply.request_id, reply.get("nothing")) == (1, None, None)
    assert dict(reply) == reply.response


def vars_of(usage: Usage) -> tuple[int, ...]:
    return (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)


@settings(max_examples=150)
@given(mutated(WHOLE))
def test_an_answer_is_read_as_boto3_reads_it_or_is_a_fault(whole: Any) -> None:
    body = json.dumps(whole).encode()
    theirs = boto3s("converse", body)
    ours = unary(body)
    if ours.fault is not None:
        assert (ours.fault.code, theirs) == ("MalformedResponse", None)
        return
    response = dict(ours.value)
    response.pop("ResponseMetadata")
    assert theirs is None or response == theirs
    look_at(reply_of(ours, Route("m")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"5",
        b"{}",
        b"<html>no</html>",
        b'{"output": {"message"',
        b"\xff",
        DEEP,
        b"NaN",
        b'{"output": {"message": {"role": "assistant", "content": "a string"}}}',
        b'{"output": ' + DEEP + b"}",
    ],
)
def test_an_unreadable_body_is_a_fault_that_may_be_retried(body: bytes) -> None:
    """Nothing can be delivered, and complete content cannot be distinguished from truncated content."""
    fault = unary(body).fault
    assert fault is not None
    assert (fault.code, fault.cause) == ("MalformedResponse", "malformed-response")
    assert fault.error is None or not fault.error.__cause__  # the answer stands in no exception


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"usage": {"inputTokens": 1, "outputTokens": 1}}, ""),
        ({"output": {}}, ""),
        ({"output": {"message": None}, "stopReason": "end_turn"}, ""),
        ({"output": {"message": {"role": "assistant", "content": None}}}, ""),
        ({"output": {"message": {"content": []}}}, ""),
        ({"output": {"message": {"content": [{"text": None}, {"text": "a"}]}}}, "a"),
        ({"output": {"message": {"content": [{"text": 5}, {"text": "a"}]}}}, "a"),
        ({"output": {"message": {"content": [{"inventedLater": {}}, {"text": "a"}]}}}, "a"),
        ({"output": {"message": {"content": [{"text": "a"}]}}, "usage": "five"}, "a"),
        ({"output": {"message": {"content": [{"text": "a"}]}}, "metrics": {"latencyMs": "soon"}}, "a"),
        ({"output": {"message": {"content": [{"text": "a"}]}}, "stopReason": ["end_turn"]}, "a"),
    ],
)
def test_the_readable_parts_of_an_answer_are_used(body: Any, text: str) -> None:
    reply = reply_of(unary(json.dumps(body).encode()), Route("m"))
    assert reply.text == text
    look_at(reply)


TOKENS: list[tuple[Any, Usage | None]] = [
    ({"inputTokens": 5, "outputTokens": 7}, Usage(5, 7)),
    ({"inputTokens": "5", "outputTokens": 7.0}, Usage(5, 7)),
    ({"inputTokens": 5}, Usage(5, 0)),
    ({"outputTokens": 7}, None),
    ({"inputTokens": -5, "outputTokens": 7}, None),
    ({"inputTokens": 5, "outputTokens": -7}, None),
    ({"inputTokens": 5, "outputTokens": 1e300}, None),
    ({"inputTokens": 10**400, "outputTokens": 7}, None),
    ({"inputTokens": 5, "outputTokens": 7, "cacheWriteInputTokens": -(10**9)}, None),
    ({"input_tokens": 5, "output_tokens": float("nan")}, None),
    ({"input_tokens": 5, "output_tokens": inf}, None),
    ({"input_tokens": True, "output_tokens": 7}, None),
    ({"input_tokens": "9" * 5000, "output_tokens": 7}, None),
    ({"input_tokens": "\u0665", "output_tokens": 7}, None),
    ({"input_tokens": 5.5, "output_tokens": 7}, None),
    ({"input_tokens": [5], "output_tokens": 7}, None),
    ({}, None),
]


@pytest.mark.parametrize(("reported", "usage"), TOKENS)
def test_an_impossible_usage_counts_as_not_reported(reported: Any, usage: Usage | None) -> None:
    assert usage_of({"usage": reported}) == usage


def test_token_counts_are_checked_in_bodies_and_headers() -> None:
    assert usage_of({"inputTextTokenCount": 6.0, "results": [{"tokenCount": 3.0}]}) == Usage(6, 3)
    assert usage_of({"inputTextTokenCount": -6, "results": [{"tokenCount": 3}]}) is None
    name = "x-amzn-bedrock-input-token-count"
    assert usage_in_headers({name: "many"}) is None
    assert usage_in_headers({name: "-5"}) is None
    assert usage_in_headers({name: "5", "x-amzn-bedrock-output-token-count": "1e9"}) == Usage(5, 0)
    transcript = NativeTranscript()
    lies = {"inputTokenCount": -5, "outputTokenCount": 7}
    transcript.add(
        {"chunk": {"bytes": json.dumps({"outputText": "abcd" * 9, "amazon-bedrock-invocationMetrics": lies})}}
    )
    assert transcript.whole
    assert transcript.spent(Estimate(25)) == Usage(25, 9)  # not nothing, which would refund it all


@settings(max_examples=150)
@given(st.sampled_from(EVENTS).flatmap(lambda one: st.tuples(st.just(one[0]), mutated(one[1]))))
@example(("contentBlockDelta", {"contentBlockIndex": [0], "delta": {"text": "a"}}))
def test_an_event_is_read_as_boto3_reads_it_or_is_a_fault(one: tuple[str, Any]) -> None:
    name, payload = one
    plan = operation("converse_stream")
    raw = {"status_code": 200, "headers": {":event-type": name}, "body": json.dumps(payload).encode()}
    try:
        theirs = EventStreamJSONParser().parse(raw, plan._events)
    except Exception:  # noqa: BLE001 - botocore raises whatever it stumbles over
        theirs = None
    ours = decoded(event(name, payload))
    if isinstance(ours, Fault):
        assert (ours.code, theirs) == ("StreamBroken", None)
    elif theirs is not None:
        assert (ours or {}) == theirs
    if isinstance(ours, dict):
        transcript = Transcript()
        transcript.add(ours)
        assert isinstance(transcript.text, str)
        assert isinstance(_text(ours), str)
        transcript.spent(Estimate())


def decoded(body: bytes, name: str = "converse_stream") -> Any:
    decoder = Decoder(operation(name), {"ResponseMetadata": {}})
    decoder.feed(body)
    return decoder.next()


class Recorded:
    """A source that plays a stream's body, in pieces."""

    def __init__(self, name: str, body: bytes, piece: int) -> None:
        self.response: dict[str, Any] = {"ResponseMetadata": {}}
        self.quiet = True
        self._decoder = Decoder(operation(name), self.response)
        self._pieces = [body[start : start + piece] for start in range(0, len(body), piece)]

    def next(self) -> dict[str, Any] | Fault | None:
        while (item := self._decoder.next()) is None and self._pieces:
            self._decoder.feed(self._pieces.pop(0))
        return item if item is not None else self._decoder.end()

    def close(self) -> None:
        self._pieces.clear()


def collected(*frames: bytes, name: str = "converse_stream", piece: int = 37) -> Outcome:
    call = Call(name, {}, Route("m"), Estimate(10, 100))
    return Driver(lambda _: Outcome(Recorded(name, b"".join(frames), piece))).run(collect(call))


@settings(max_examples=60)
@given(st.tuples(*(mutated(payload) for _, payload in EVENTS)), st.lists(st.integers(0, len(EVENTS) - 1)))
def test_a_stream_of_odd_events_gives_a_reply_or_a_fault(payloads: tuple[Any, ...], order: list[int]) -> None:
    """Members missing or null, events unknown, out of order, repeated; indexes that skip or repeat."""
    frames = [event(EVENTS[place][0], payloads[place]) for place in (order or range(len(EVENTS)))]
    ended = collected(*frames)
    if ended.fault is None:
        reply = reply_of(ended, Route("m"))
        assert isinstance(reply.text, str)
        assert all(type(count) is int and 0 <= count <= MOST for count in vars_of(reply.usage))
    else:
        assert ended.fault.code in ("StreamBroken", "StreamIncomplete")


@settings(max_examples=60)
@given(st.lists(st.sampled_from(NATIVE).flatmap(mutated), max_size=6))
def test_a_native_stream_of_odd_chunks_completes_or_is_a_fault(chunks: list[Any]) -> None:
    ended = collected(*map(chunk, chunks), name="invoke_model_with_response_stream")
    assert ended.usage is None or all(0 <= count <= MOST for count in vars_of(ended.usage))
    if ended.fault is not None:
        assert isinstance(ended.value.text, str)
        ended.value.message()


@pytest.mark.parametrize(
    "body",
    [
        frame(b"{}", message_type="event"),
        frame(b"{}"),
        frame(b"null", message_type="event", event_type="messageStart"),
        frame(b"[]", message_type="event", event_type="contentBlockDelta"),
        frame(DEEP, message_type="event", event_type="contentBlockDelta"),
        frame(b"", message_type="exception"),
        frame(DEEP, message_type="exception", exception_type="throttlingException"),
        frame(b'{"message": null}', message_type="exception", exception_type="throttlingException"),
        frame(b'{"message": {"a": 1}, "Error": 5}', message_type="exception", exception_type="x"),
        frame(b"", message_type="error"),
        event("chunk", {"bytes": base64.b64encode(DEEP).decode()}),
        event("chunk", {"bytes": None}),
        event("chunk", {"bytes": 5}),
        event("chunk", {}),
    ],
)
def test_a_frame_with_missing_or_odd_fields_raises_nothing(body: bytes) -> None:
    for name in ("converse_stream", "invoke_model_with_response_stream"):
        ended = collected(body, name=name)
        assert ended.fault is None or ended.fault.response is None or isinstance(ended.fault.response["Error"], dict)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_a_complete_frame_with_any_headers_raises_nothing(headers: bytes, payload: bytes) -> None:

    prelude = struct.pack("!II", len(headers) + len(payload) + 16, len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    decoded(message + struct.pack("!I", crc32(message)))


@settings(max_examples=150)
@given(mutated({"__type": "a#ThrottlingException:x", "message": "m", "code": "c", "originalStatusCode": 5}))
@example([])
def test_an_error_s_body_may_have_any_form(body: Any) -> None:
    for status in (400, 424, 429, 500):
        fault = outcome(
            operation("converse"),
            status,
            HeadersDict({"x-amzn-errortype": "ModelErrorException"}),
            json.dumps(body).encode(),
            wall=0.0,
        ).fault
        assert fault is not None
        assert fault.code == "ModelErrorException"
        assert isinstance(fault.message, str)
    assert outcome(operation("converse"), 500, HeadersDict({}), DEEP, wall=0.0).fault is not None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5.0),
        ("1.5", 1.5),
        (" 7 ", 7.0),
        (5, 5.0),
        ("9" * 400, None),
        ("9" * 15, None),
        ("-1", None),
        ("٣", None),
        ("", None),
        ("soon", None),
        (None, None),
        ("1e9", None),
        ("nan", None),
        (b"5", None),
        ([], None),
    ],
)
def test_an_impossible_retry_after_is_ignored(value: Any, seconds: float | None) -> None:
    assert retry_after(value, 0.0) == seconds
    assert milliseconds(value) == (None if seconds is None else seconds / 1000)


@given(st.text(max_size=40) | st.from_regex(r"\A(Mon, )?\d{1,9} (Jan|Feb) \d{1,9} \d+:\d+:\d+ [+-]\d{1,30}\Z"))
@example("Mon, 01 Jan 2024 00:00:00 +" + "9" * 400)
@example("Fri, 31 Dec 9999 23:59:59 -9999")
def test_any_retry_after_becomes_seconds_or_none(value: str) -> None:
    for seconds in (retry_after(value, 0.0), milliseconds(value)):
        assert seconds is None or 0 <= seconds <= LONGEST


def test_a_date_without_a_time_zone_is_in_utc() -> None:
    assert retry_after("Thu, 01 Jan 1970 00:01:00 -0000", 10.0) == 50.0


def test_the_headers_of_a_boto3_error_are_read_in_the_same_way() -> None:
    headers = {"retry-after": "9" * 400, "x-amz-retry-after": "9" * 400}
    error = ClientError({"ResponseMetadata": {"HTTPHeaders": headers}}, "Invoke")  # type: ignore[typeddict-item]
    fault = classify(error)
    assert (fault.retry_after, fault.suggested_wait) == (None, None)


# Through the clients themselves, over a socket.

PARAMS = {"messages": MESSAGES}
ODD: list[Any] = [
    {"output": {"message": {"content": [{"text": "a"}]}}, "usage": {"inputTokens": "5"}},
    {"stopReason": "end_turn"},
    {"output": {"message": {"content": None}}},
    [],
    "text",
    None,
    b"",
    b"<html></html>",
    DEEP,
]


@pytest.mark.parametrize("body", ODD)
def test_no_raw_exception_leaves_a_client(client_face: Any, body: Any) -> None:
    with Wire(answer(body)) as wire:
        client = client_face.open(wire.url, pipeline=Pipeline(Retry(attempts=1)))
        asks: list[Callable[[], Any]] = [
            lambda: client.invoke("Why?", max_tokens=9),
            lambda: client.converse(**PARAMS),
            lambda: client.invoke_model(body=b"{}"),
            lambda: client.count_tokens(input={"converse": {"messages": MESSAGES}}),
            lambda: client.invoke("Why?", max_tokens=9, stream=True),
            lambda: client.converse_stream(**PARAMS),
            lambda: client.invoke_stream("Why?", max_tokens=9),
        ]
        for ask in asks:
            try:
                value = client_face.whole(ask())
            except BedrockError:
                continue
            if isinstance(value, Reply):
                assert value.text in ("", "a")


@pytest.mark.parametrize("index", range(len(FRAMES)))
@pytest.mark.parametrize("payload", [{}, {"delta": None}, {"contentBlockIndex": 0}, {"delta": {"inventedLater": 1}}])
def test_no_raw_exception_leaves_a_stream(client_face: Any, index: int, payload: Any) -> None:
    names = ["messageStart", "contentBlockDelta", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
    frames = [*FRAMES[:index], event(names[index], payload), *FRAMES[index + 1 :]]
    with Wire(stream(*frames)) as wire:
        client = client_face.open(wire.url, pipeline=Pipeline(Retry(attempts=1)))
        pieces = client.invoke_stream("Why?", max_tokens=9)
        said = "".join(client_face.whole(pieces))
        assert said in ("Because of Rayleigh.", "Because ", "of Rayleigh.")
        assert pieces.reply.text == said
        assert client_face.get(client.invoke("Why?", max_tokens=9, stream=True)).text == said


def test_a_broken_or_abandoned_stream_has_no_reply(client_face: Any) -> None:
    with Wire(stream(*FRAMES[:3])) as wire:
        client = client_face.open(wire.url, pipeline=Pipeline(Retry(attempts=1)))
        broken = client.invoke_stream("Why?", max_tokens=9)
        with pytest.raises(StreamBroken):
            client_face.whole(broken)
        with pytest.raises(StreamBroken):
            _ = broken.reply
        left = client.invoke_stream("Why?", max_tokens=9)
        next(client_face.items(left))
        client_face.leave(left)
        with pytest.raises(ValueError, match="closed before its end"):
            _ = left.reply
