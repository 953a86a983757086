"""A collected stream equals the answer that Converse would have given, however its blocks are cut; and botocore accepts
it as the next turn."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wire import Wire, event, exception, stream

from aws_bedrock_inference import StreamBroken
from aws_bedrock_inference.call import Call, Estimate, Outcome, Route
from aws_bedrock_inference.clients.reply import reply_of
from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.dialects.stream import Transcript
from aws_bedrock_inference.drivers.blocking import Driver
from aws_bedrock_inference.streaming import collect
from aws_bedrock_inference.transports.eventstream import Decoder
from aws_bedrock_inference.transports.operations import _service, operation

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault


def known(shape: str, *names: str) -> list[str]:
    """Return the `names` that the installed boto3 has in `shape`; an older boto3 knows the others only by name."""
    members: Any = _service().shape_for(shape)
    return [name for name in names if name in members.members]


JSON_ITEM: dict[str, Any] = {"json": {"a": 1}} if known("ToolResultBlockDelta", "json") else {"text": "a"}

words = st.text(max_size=9)
names = st.text("abc", min_size=1, max_size=3)
documents = st.dictionaries(
    words,
    st.recursive(
        st.none() | st.booleans() | st.integers() | words | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
citations = st.fixed_dictionaries(
    {},
    optional={"source": words} if known("CitationsDelta", "source") else {},
).flatmap(
    lambda more: st.fixed_dictionaries(
        {name: st.just(value) for name, value in more.items()},
        optional={
            "title": words,
            "sourceContent": st.lists(st.fixed_dictionaries({"text": words}), max_size=2),
            "location": st.fixed_dictionaries({"documentPage": st.fixed_dictionaries({"start": st.integers(0, 9)})})
            | st.fixed_dictionaries({"web": st.fixed_dictionaries({"url": names})}),
        },
    )
)
BLOCKS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.fixed_dictionaries({"text": words}),
    "citationsContent": st.fixed_dictionaries(
        {
            "citationsContent": st.fixed_dictionaries(
                {
                    "content": words.map(lambda text: [{"text": text}]),
                    "citations": st.lists(citations, min_size=1, max_size=3),
                }
            )
        }
    ),
    "toolUse": st.fixed_dictionaries(
        {
            "toolUse": st.fixed_dictionaries(
                {"toolUseId": names, "name": names, "input": documents}, optional={"type": st.just("server_tool_use")}
            )
        }
    ),
    "toolResult": st.fixed_dictionaries(
        {
            "toolResult": st.fixed_dictionaries(
                {
                    "toolUseId": names,
                    "content": st.lists(
                        st.one_of(
                            st.fixed_dictionaries({"text": words}),
                            *(
                                st.fixed_dictionaries({name: documents})
                                for name in known("ToolResultBlockDelta", "json")
                            ),
                        ),
                        max_size=3,
                    ),
                },
                optional={"status": st.sampled_from(["success", "error"]), "type": names},
            )
        }
    ),
    "reasoningText": st.fixed_dictionaries(
        {
            "reasoningContent": st.fixed_dictionaries(
                {"reasoningText": st.fixed_dictionaries({"text": words}, optional={"signature": words})}
            )
        }
    ),
    "redactedContent": st.fixed_dictionaries(
        {"reasoningContent": st.fixed_dictionaries({"redactedContent": st.binary(min_size=1, max_size=9)})}
    ),
    "image": st.fixed_dictionaries(
        {
            "image": st.fixed_dictionaries(
                {
                    "format": st.just("png"),
                    "source": st.fixed_dictionaries({"bytes": st.binary(min_size=1, max_size=9)}),
                },
                optional={"error": st.fixed_dictionaries({"message": words})},
            )
        }
    ),
}

if not known("ContentBlockDelta", "image"):
    del BLOCKS["image"]


def cut(draw: st.DrawFn, whole: Any) -> list[Any]:
    """Return `whole` (text, bytes or a list) split into pieces, at least one."""
    places = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=3)))
    edges = [0, *places, len(whole)]
    return [whole[start:end] for start, end in itertools.pairwise(edges)]


def started(draw: st.DrawFn, block: dict[str, Any]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Return how ConverseStream sends `block`: its start, if it has one, and its deltas."""
    ((kind, value),) = block.items()
    if kind == "text":
        return None, [{"text": piece} for piece in cut(draw, value)]
    if kind == "citationsContent":
        texts = [{"text": piece} for piece in cut(draw, value["content"][0]["text"])]
        cited = [{"citation": citation} for citation in value["citations"]]
        return None, interleaved(draw, texts, cited)
    if kind == "toolUse":
        rest = {name: part for name, part in value.items() if name != "input"}
        bare = draw(st.booleans()) and not value["input"]
        pieces = [] if bare else cut(draw, json.dumps(value["input"]))
        return {kind: rest}, [{kind: {"input": piece}} for piece in pieces]
    if kind == "toolResult":
        rest = {name: part for name, part in value.items() if name != "content"}
        return {kind: rest}, [{kind: piece} for piece in cut(draw, value["content"])]
    if kind == "image":
        deltas = [{kind: {"source": {"bytes": piece}}} for piece in cut(draw, value["source"]["bytes"])]
        deltas += [{kind: {"error": value["error"]}}] if "error" in value else []
        return {kind: {"format": value["format"]}}, deltas
    return None, reasoned(draw, kind, value)


def reasoned(draw: st.DrawFn, kind: str, value: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the deltas of reasoning, readable or redacted."""
    if "redactedContent" in value:
        return [{kind: {"redactedContent": piece}} for piece in cut(draw, value["redactedContent"])]
    deltas = [{kind: {"text": piece}} for piece in cut(draw, value["reasoningText"]["text"])]
    if "signature" in value["reasoningText"]:
        deltas += [{kind: {"signature": piece}} for piece in cut(draw, value["reasoningText"]["signature"])]
    return deltas


def interleaved(draw: st.DrawFn, first: list[Any], second: list[Any]) -> list[Any]:
    """Return both lists as one, each in its own order."""
    first, second, mixed = list(first), list(second), []
    while first or second:
        take = first if first and (not second or draw(st.booleans())) else second
        mixed.append(take.pop(0))
    return mixed


@st.composite
def spoken(draw: st.DrawFn, indexes: Any = None) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Return an answer of Converse, and the events that stream it."""
    content = draw(st.lists(st.one_of(*BLOCKS.values()), max_size=5))
    events: list[tuple[str, Any]] = [("messageStart", {"role": "assistant"})]
    for place, block in enumerate(content):
        at = {"contentBlockIndex": place} if indexes is None else indexes(place)
        start, deltas = started(draw, block)
        if start is not None:
            events.append(("contentBlockStart", {**at, "start": start}))
        events += [("contentBlockDelta", {**at, "delta": delta}) for delta in deltas]
        events.append(("contentBlockStop", at))
    usage = {"usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, "metrics": {"latencyMs": 7}}
    stop = {"stopReason": "end_turn", **draw(st.sampled_from([{}, {"additionalModelResponseFields": {"a": 1}}]))}
    trace = draw(st.sampled_from([{}, {"trace": {"guardrail": {"actionReason": "r"}}}]))
    events += [("messageStop", stop), ("metadata", {**usage, **trace})]
    return {"output": {"message": {"role": "assistant", "content": content}}, **stop, **usage, **trace}, events


def wired(name: str, payload: Any) -> bytes:
    return event(name, json.dumps(payload, default=lambda blob: b64encode(blob).decode()).encode())


class Played:
    """A source that plays a stream's body in pieces of any size."""

    def __init__(self, body: bytes, edges: list[int]) -> None:
        self.response: dict[str, Any] = {"ResponseMetadata": {}}
        self.quiet = True
        self._decoder = Decoder(operation("converse_stream"), self.response)
        places = [0, *sorted(place % (len(body) + 1) for place in edges), len(body)]
        self._pieces = [body[start:end] for start, end in itertools.pairwise(places)]

    def next(self) -> dict[str, Any] | Fault | None:
        while (item := self._decoder.next()) is None and self._pieces:
            self._decoder.feed(self._pieces.pop(0))
        return item if item is not None else self._decoder.end()

    def close(self) -> None:
        self._pieces.clear()


def collected(events: list[tuple[str, Any]], edges: list[int]) -> Outcome:
    body = b"".join(wired(*one) for one in events)
    call = Call("converse_stream", {}, Route("m"), Estimate(10, 100))
    return Driver(lambda _: Outcome(Played(body, edges))).run(collect(call))


def valid(message: Any) -> bool:
    return not ParamValidator().validate(message, _service().shape_for("Message")).has_errors()


edges = st.lists(st.integers(0, 9999), max_size=6)


@settings(max_examples=150)
@given(spoken(), edges)
def test_a_collected_stream_equals_converse_s_answer(told: tuple[Any, Any], edges: list[int]) -> None:
    answer, events = told
    ended = collected(events, edges)
    assert ended.value == {"ResponseMetadata": {}, **answer}
    assert valid(ended.value["output"]["message"])
    unary = Outcome(answer, usage=ended.usage)
    assert reply_of(ended, Route("m")).text == reply_of(unary, Route("m")).text


@settings(max_examples=50)
@given(spoken(indexes=lambda _: {}) | spoken(indexes=lambda _: {"contentBlockIndex": 0}), edges)
def test_blocks_are_separated_without_an_index_and_with_a_repeated_one(told: tuple[Any, Any], edges: list[int]) -> None:
    answer, events = told
    assert collected(events, edges).value["output"] == answer["output"]


def test_indexes_may_skip_and_cross() -> None:
    events = [
        ("contentBlockDelta", {"contentBlockIndex": 7, "delta": {"text": "c"}}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"text": "a"}}),
        ("contentBlockDelta", {"contentBlockIndex": 7, "delta": {"text": "d"}}),
        ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"text": "b"}}),
        ("messageStop", {}),
    ]
    assert collected(events, []).value["output"]["message"]["content"] == [{"text": "ab"}, {"text": "cd"}]


def test_an_unknown_block_has_the_same_form_as_in_boto3s_answer() -> None:
    later = {"inventedLater": {"x": 1}}
    events = [
        ("contentBlockStart", {"contentBlockIndex": 0, "start": later}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": later}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": later}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "a"}}),
        ("messageStop", {"stopReason": "end_turn"}),
    ]
    reply = reply_of(collected(events, []), Route("m"))
    assert reply.output["message"]["content"] == [{"SDK_UNKNOWN_MEMBER": {"name": "inventedLater"}}, {"text": "a"}]
    assert reply.text == "a"


def test_a_kind_of_block_that_a_later_boto3_knows_is_joined_by_its_parts() -> None:
    transcript = Transcript()
    for place, delta in enumerate([{"source": {"bytes": b"ab"}}, {"source": {"bytes": b"cd"}, "marks": [1]}]):
        if not place:
            transcript.add({"contentBlockStart": {"contentBlockIndex": 0, "start": {"audio": {"format": "wav"}}}})
        transcript.add({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"audio": delta}}})
    whole = {"audio": {"format": "wav", "source": {"bytes": b"abcd"}, "marks": [1]}}
    assert transcript.message()["content"] == [whole]


@pytest.mark.parametrize("text", ['{"a"', "[" * 100_000, "9" * 5000])
def test_a_tool_s_input_with_incomplete_json_remains_text(text: str) -> None:
    transcript = Transcript()
    transcript.add({"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"toolUse": {"input": text}}}})
    assert transcript.message()["content"] == [{"toolUse": {"input": text}}]


def test_text_is_the_text_of_all_blocks_that_show_text() -> None:
    cited = {"citationsContent": {"content": [{"text": "Sky"}, {"text": "light"}], "citations": []}}
    hidden = {"reasoningContent": {"reasoningText": {"text": "no"}}}
    assert text_of([{"text": "The title is "}, cited, hidden, {"toolResult": {"content": [{"text": "no"}]}}]) == (
        "The title is Skylight"
    )


# Through the clients.

CITED = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "The title is "}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Sky"}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"citation": {"title": "t"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "light"}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("contentBlockStart", {"contentBlockIndex": 2, "start": {"toolResult": {"toolUseId": "t", "status": "success"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolResult": [JSON_ITEM]}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
]
END = [("messageStop", {"stopReason": "end_turn"})]
BLOCKS_OF_CITED = [
    {"text": "The title is "},
    {"citationsContent": {"content": [{"text": "Skylight"}], "citations": [{"title": "t"}]}},
    {"toolResult": {"toolUseId": "t", "status": "success", "content": [JSON_ITEM]}},
]


def test_every_way_to_read_a_stream_gives_the_same_answer(client_face: Any) -> None:
    with Wire(stream(*(wired(*one) for one in CITED + END))) as wire:
        client = client_face.open(wire.url)
        reply = client_face.get(client.invoke("Why?", max_tokens=9, stream=True))
        pieces = client.invoke_stream("Why?", max_tokens=9)
        assert "".join(client_face.whole(pieces)) == reply.text == pieces.reply.text == "The title is Skylight"
        assert reply.output["message"]["content"] == pieces.reply.output["message"]["content"] == BLOCKS_OF_CITED


def test_the_received_part_of_a_broken_stream_has_the_same_form(client_face: Any) -> None:
    with Wire(
        stream(*(wired(*one) for one in CITED), exception("modelStreamErrorException", {"message": "m"}))
    ) as wire:
        with pytest.raises(StreamBroken) as raised:
            client_face.whole(client_face.open(wire.url).invoke_stream("Why?", max_tokens=9))
        assert raised.value.received == "The title is Skylight"
        assert raised.value.received_message["content"] == BLOCKS_OF_CITED
