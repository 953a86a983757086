"""A stream with reasoning may report its cache writes twice: they are charged once and reported once."""

from __future__ import annotations

from typing import Any

import pytest
from support.client_faces import at_once
from support.wire import Wire, event, stream

from aws_bedrock_inference import Quota, Usage
from aws_bedrock_inference.clock import monotonic
from aws_bedrock_inference.events import CallEnded

PROMPT = "word " * 3_200  # 16,000 bytes: 4,001 tokens by the rule of thumb
REPORTED = {"inputTokens": 4, "outputTokens": 5, "totalTokens": 8009, "cacheWriteInputTokens": 8_000}
FRAMES = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "Well."}}}),
    event("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Yes."}}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": REPORTED, "metrics": {"latencyMs": 1}}),
]


@pytest.mark.parametrize("collected", [True, False])
def test_cache_writes_reported_twice_are_charged_once(face: Any, *, collected: bool) -> None:
    quota = Quota(rpm=600_000, tpm=1_000_000)
    with Wire(stream(*FRAMES)) as wire:
        client = face.open(wire.url, pipeline=at_once(quota))
        ended: list[Any] = []
        client.listen(ended.append)
        if collected:
            reply = face.get(client.invoke(PROMPT, max_tokens=9, stream=True))
        else:
            pieces = client.invoke_stream(PROMPT, max_tokens=9)
            assert list(face.items(pieces)) == ["Yes."]
            reply = pieces.reply
    assert reply.usage == Usage(4, 5, 0, 4_000, cache_write_excess=4_000)
    assert reply["usage"] == REPORTED
    (end,) = (each for each in ended if isinstance(each, CallEnded))
    assert end.usage == reply.usage
    assert quota.ledger(end.route, monotonic()).snapshot(monotonic()).used["tokens"] == pytest.approx(4_009)
