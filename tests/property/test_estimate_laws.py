"""Properties of estimates for every request, every answer and every order of them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes
from aws_bedrock_inference.tokens.content import weigh
from aws_bedrock_inference.tokens.estimate import Weighed, estimate
from aws_bedrock_inference.tokens.image_size import size_of
from aws_bedrock_inference.tokens.ratio import PRIOR, TokenGauge

MODEL = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NAMES = st.sampled_from(
    [
        *("text", "content", "image", "images", "image_url", "document", "source", "bytes", "data", "format", "type"),
        *("video", "tools", "toolConfig", "input", "json", "citations", "media_type", "url", "enabled", "maxTokens"),
        *("inferenceConfig", "x"),
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=40)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
ANSWERS = st.lists(st.tuples(st.integers(1, 100_000), st.integers(1, 100_000)), max_size=60)


@given(st.dictionaries(NAMES, ANYTHING, max_size=5))
def test_every_request_has_an_estimate(params: dict[str, Any]) -> None:
    made = estimate("converse", params, MODEL)
    assert isinstance(made, Weighed)
    assert made.input_tokens > made.other_tokens >= 0
    assert made.text_bytes >= 0


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff", b"RIFF0000WEBPVP8"]),
)
def test_every_start_of_an_image_file_has_a_size_or_none(rest: bytes, magic: bytes) -> None:
    size = size_of(magic + rest)
    assert size is None or min(size) > 0


@given(st.lists(st.text(max_size=50), max_size=8))
def test_the_weight_of_a_text_is_its_bytes_however_it_is_split(pieces: list[str]) -> None:
    blocks = [{"text": piece} for piece in pieces]
    whole = "".join(pieces)
    assert weigh({"messages": [{"content": blocks}]}, MODEL) == (len(whole.encode()), 0)
    assert weigh(json.loads(json.dumps({"prompt": whole})), MODEL) == (len(whole.encode()), 0)


@given(ANSWERS)
def test_a_learned_ratio_is_within_the_observed_range_and_the_guess_is_not_below_it(
    answers: list[tuple[int, int]],
) -> None:
    gauge = TokenGauge()
    for size, tokens in answers:
        gauge.learn(MODEL, size, tokens)
    ratios = [PRIOR, *(tokens / size for size, tokens in answers)]
    mean, sigma, number = gauge.ratio(MODEL)
    assert min(ratios) * (1 - 1e-9) <= mean <= max(ratios) * (1 + 1e-9)
    assert 0 <= sigma <= max(ratios) - min(ratios) + 1e-9
    assert number == len(answers)
    assert gauge.tokens(MODEL, 1000) >= int(1000 * mean * (1 - 1e-9))


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=80), st.floats(0, 1))
def test_a_quantile_covers_its_share_and_little_more(outputs: list[int], share: float) -> None:
    sizes = AnswerSizes()
    for output in outputs:
        sizes.add(output, 4096)
    found = sizes.quantile(share)
    assert sum(output <= found for output in outputs) >= share * len(outputs) * (1 - 1e-9)
    assert any(found / 1.05 <= output <= found for output in outputs)


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)), max_size=40), st.integers(0, 40))
def test_sizes_add_up_wherever_they_are_split_and_survive_json(answers: list[tuple[int, int]], at: int) -> None:
    whole, first, second = AnswerSizes(), AnswerSizes(), AnswerSizes()
    for index, (output, reserved) in enumerate(answers):
        whole.add(output, reserved)
        (first if index < at else second).add(output, reserved)
    first.merge(AnswerSizes.from_dict(json.loads(json.dumps(second.as_dict()))))
    assert first.as_dict() == whole.as_dict()
