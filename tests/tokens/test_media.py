from __future__ import annotations

import base64
import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest
from support.pictures import gif, jpeg, png, webp

from aws_bedrock_inference.tokens.content import weigh
from aws_bedrock_inference.tokens.image_size import size_of

CLAUDE = "anthropic.claude-sonnet-4-5-20250929-v1:0"
NEWER = "anthropic.claude-opus-4-7"
NOVA = "amazon.nova-lite-v1:0"
OTHER = "mistral.pixtral-large-2502-v1:0"


@pytest.mark.parametrize(
    "data",
    [
        png(1200, 700),
        gif(1200, 700),
        jpeg(1200, 700),
        jpeg(1200, 700, frame=0xC2),
        webp("VP8 ", 1200, 700),
        webp("VP8L", 1200, 700),
        webp("VP8X", 1200, 700),
    ],
    ids=["png", "gif", "jpeg", "progressive", "webp", "lossless", "extended"],
)
def test_the_size_of_an_image_is_read_from_its_header(data: bytes) -> None:
    assert size_of(data) == (1200, 700)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"BM" + bytes(60),
        png(1200, 700)[:20],
        png(0, 700),
        jpeg(1200, 700)[:1000],
        b"\xff\xd8\xff\xda" + bytes(60),
        b"\xff\xd8\xff\xe1\x00\x00" + bytes(60),
        b"RIFF0000WEBPVP9 " + bytes(60),
    ],
    ids=["nothing", "bmp", "cut", "no width", "cut jpeg", "no frame", "no length", "unknown webp"],
)
def test_an_incomplete_header_has_no_size(data: bytes) -> None:
    assert size_of(data) is None


def converse(block: dict[str, Any], model: str = CLAUDE) -> int:
    return weigh({"messages": [{"role": "user", "content": [block, {"text": "?"}]}]}, model).other_tokens


def image(data: bytes, model: str = CLAUDE) -> int:
    return converse({"image": {"format": "png", "source": {"bytes": data}}}, model)


@pytest.mark.parametrize(
    ("model", "width", "height", "tokens"),
    [
        (CLAUDE, 200, 200, 53),  # the guide's own examples: 0.04, 1 and 1.19 megapixels
        (CLAUDE, 1000, 1000, 1333),
        (CLAUDE, 1092, 1092, 1589),
        (CLAUDE, 4000, 3000, 1600),  # scaled down
        (CLAUDE, 3136, 100, 104),  # scaled down to 1568 x 50
        (NEWER, 1920, 1080, 2764),  # measured: 2,768 with its prompt
        (NEWER, 4032, 3024, 4784),
        (NOVA, 800, 400, 800),  # the guide's table
        (NOVA, 900, 900, 1265),
        (NOVA, 450, 450, 1265),  # scaled up
        (NOVA, 1300, 1300, 2640),
        (OTHER, 200, 200, 1600),
    ],
)
def test_an_image_counts_by_its_pixels_with_the_rule_of_its_family(
    model: str, width: int, height: int, tokens: int
) -> None:
    assert image(png(width, height), model) == tokens


@pytest.mark.parametrize(
    "block",
    [
        {"image": {"format": "png", "source": {"bytes": base64.b64encode(png(1000, 1000)).decode()}}},
        {"image": {"format": "jpeg", "source": {"bytes": bytearray(jpeg(1000, 1000))}}},
        {"type": "image", "source": {"type": "base64", "data": base64.b64encode(jpeg(1000, 1000)).decode()}},
        {
            "type": "image_url",
            "image_url": {"url": "data:image/png;base64," + base64.b64encode(png(1000, 1000)).decode()},
        },
        {"toolResult": {"toolUseId": "t", "content": [{"image": {"source": {"bytes": png(1000, 1000)}}}]}},
        {"images": [base64.b64encode(gif(1000, 1000)).decode()]},
    ],
    ids=["nova's body", "bytearray", "anthropic's body", "data url", "a tool's result", "llama's body"],
)
def test_an_image_is_found_in_every_dialect(block: dict[str, Any]) -> None:
    assert converse(block) == 1333


@pytest.mark.parametrize(
    "source",
    [{"s3Location": {"uri": "s3://bucket/key"}}, {"bytes": b"no picture"}, {"bytes": "not base64"}, {}],
)
def test_an_image_of_unknown_size_counts_as_a_large_one(source: dict[str, Any]) -> None:
    assert converse({"image": {"format": "png", "source": source}}) == 1600
    assert converse({"image": {"format": "png", "source": source}}, NOVA) == 2600


PDF = b"%PDF-1.7" + bytes(59_992)


@pytest.mark.parametrize(
    ("block", "tokens"),
    [
        ({"document": {"format": "pdf", "name": "d", "source": {"bytes": PDF}}}, 1000),
        (
            {"document": {"format": "pdf", "name": "d", "source": {"bytes": PDF}, "citations": {"enabled": True}}},
            6976,
        ),
        (
            {
                "type": "document",
                "source": {
                    "type": "base64",
                    "media_type": "application/pdf",
                    "data": base64.b64encode(PDF).decode(),
                },
            },
            6976,
        ),
        ({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x" * 400}}, 100),
        ({"type": "document", "source": {"type": "content", "content": [{"text": "x" * 400}]}}, 103),
        ({"document": {"format": "txt", "name": "d", "source": {"bytes": b"x" * 400}}}, 100),
        ({"document": {"format": "txt", "name": "d", "source": {"text": "x" * 398}}}, 100),
        ({"document": {"format": "docx", "name": "d", "source": {"bytes": b"x" * 800}}}, 100),
        ({"document": {"format": "pdf", "name": "d", "source": {"bytes": bytes(9_000_000)}}}, 33_300),
        ({"document": {"format": "pdf", "name": "d", "source": {"s3Location": {"uri": "s3://b/k"}}}}, 33_300),
        ({"video": {"format": "mp4", "source": {"bytes": bytes(5_000_000)}}}, 10_000),
    ],
)
def test_a_document_counts_by_its_bytes(block: dict[str, Any], tokens: int) -> None:
    assert converse(block) == tokens


TOOL = {"toolSpec": {"name": "weather", "description": "d" * 100, "inputSchema": {"json": {"type": "object"}}}}


def test_tools_count_by_their_json_and_separately_from_text() -> None:
    plain = {"messages": [{"role": "user", "content": [{"text": "?"}]}]}
    bare, tooled = weigh(plain, NOVA), weigh({**plain, "toolConfig": {"tools": [TOOL]}}, NOVA)
    assert tooled.text_bytes == bare.text_bytes
    assert tooled.other_tokens == pytest.approx(55, abs=5)


def test_the_system_prompt_that_claude_adds_for_tools_counts() -> None:
    request = {"tools": [{"name": "weather", "input_schema": {}}]}
    assert weigh(request, CLAUDE).other_tokens - weigh(request, NOVA).other_tokens == 530


def test_the_input_and_result_of_a_tool_count_as_text_with_its_names() -> None:
    use = {"toolUse": {"toolUseId": "", "name": "", "input": {"city": "Oslo"}}}
    result = {"toolResult": {"toolUseId": "", "content": [{"json": {"data": [1, 2, 3]}}]}}
    assert weigh([use, result], CLAUDE) == (len('{"city": "Oslo"}') + len('{"data": [1, 2, 3]}'), 0)


@pytest.mark.parametrize("table", ["images", "tools"])
def test_every_rule_has_a_source_a_date_and_a_model(table: str) -> None:
    rules = tomllib.loads(files("aws_bedrock_inference.tokens").joinpath("media.toml").read_text(encoding="utf-8"))
    for rule in [*rules[table], *rules["documents"]]:
        assert rule["source"] == "this package's choice" or rule["source"].startswith("https://")
        assert rule["seen"].year >= 2026
        assert rule["why"]
    assert rules[table][-1]["patterns"] == [".*"]
    for model in (CLAUDE, NEWER, NOVA, OTHER, "anything"):
        assert any(re.fullmatch(pattern, model) for rule in rules[table] for pattern in rule["patterns"])
