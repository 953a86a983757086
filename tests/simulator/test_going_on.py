"""A simulated model continues its own answers, whatever the prompt for it; a client joins the parts."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from support.doubles import session

from aws_bedrock_inference import BedrockClient
from aws_bedrock_inference.simulator.going_on import EXACTLY, LOOSELY, OTHERWISE, Broken, continuation
from aws_bedrock_inference.testing import Simulator, simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = 15
WHOLE = "Streams deserve special care, since half an answer looks much like a whole one."


def going_on(written: str, said: str | None, how: str = EXACTLY, chance: float = 0.0) -> str | None:
    return continuation(Broken(1, written, said), WHOLE, lambda: " Other words.", how, chance)


def test_a_model_continues_after_a_prefill_and_after_a_quotation() -> None:
    assert going_on(WHOLE[:29], None) == WHOLE[29:]
    assert going_on(WHOLE[:30], None) == WHOLE[29:], "a prefill's white space at its end does not count"
    assert going_on(WHOLE[:30], f"weiter nach <{WHOLE[10:30]}>") == WHOLE[10:]
    assert going_on(WHOLE, f"mehr? {WHOLE[-20:]}") == WHOLE[-20:]


@pytest.mark.parametrize(
    ("written", "said"),
    [("Another text.", None), (WHOLE[:30], "Thank you. And why?"), (WHOLE[:30], f"only {WHOLE[25:30]}"), ("", "")],
)
def test_a_different_conversation_has_a_different_answer(written: str, said: str | None) -> None:
    assert going_on(written, said) is None


def test_an_imprecise_model_adds_an_introduction_or_repeats_more() -> None:
    quoted = WHOLE[20:40]
    said = {going_on(WHOLE[:40], quoted, LOOSELY, chance / 20) for chance in range(20)}
    assert len(said) > 4
    assert all(text is not None and text.endswith(quoted + WHOLE[40:]) for text in said)
    assert going_on(WHOLE[:40], quoted, OTHERWISE) == quoted + " Other words."


@pytest.fixture(scope="module")
def service() -> Iterator[Simulator]:
    with simulator() as running:
        yield running


@pytest.mark.parametrize("model", ["us.amazon.nova-lite-v1:0", "us.anthropic.claude-3-haiku-20240307-v1:0"])
@pytest.mark.parametrize("how", [EXACTLY, LOOSELY, OTHERWISE])
def test_a_break_at_any_place_is_joined(service: Simulator, how: str, model: str, alone: None) -> None:
    dice = random.Random(f"{how} {model}")  # noqa: S311 - dice for cuts
    answers = {"tokens": 60, "goes_on": how}
    with BedrockClient(model, session=session(), endpoint_url=service.url) as client:
        service.scenario(answers=answers)
        texts = [client.invoke(f"Question {number}?", max_tokens=600).text for number in range(STREAMS)]
        service.scenario(answers=answers, faults=[cut(dice, number, text) for number, text in enumerate(texts)])
        resumed = 0
        for number, text in enumerate(texts):
            stream = client.invoke_stream(f"Question {number}?", max_tokens=600, on_interrupt="continue")
            received = "".join(stream)
            assert received == stream.reply.text
            assert all(seam.verified or (how, seam.how) == (OTHERWISE, "prefill") for seam in stream.reply.seams)
            resumed += len(stream.reply.seams)
            at = stream.reply.seams[0].at if how == OTHERWISE and stream.reply.seams else len(text)
            assert received[:at] == text[:at]
            assert received == text or how == OTHERWISE
    assert resumed > STREAMS / 3  # the others broke before their first content


@pytest.mark.parametrize("model", ["us.amazon.nova-lite-v1:0", "us.anthropic.claude-3-haiku-20240307-v1:0"])
def test_an_answer_to_a_prefill_is_continued_with_it(service: Simulator, model: str, alone: None) -> None:
    messages = [
        {"role": "user", "content": [{"text": "Why?"}]},
        {"role": "assistant", "content": [{"text": "In short:"}]},
    ]
    with BedrockClient(model, session=session(), endpoint_url=service.url) as client:
        service.scenario(answers={"tokens": 60})
        whole = client.invoke(messages=messages, max_tokens=600).text
        service.scenario(answers={"tokens": 60}, faults=[{"kind": "truncate", "after": 3, "first": 1}])
        stream = client.invoke_stream(messages=messages, max_tokens=600, on_interrupt="continue")
        assert "".join(stream) == whole
        assert [(seam.how, seam.verified) for seam in stream.reply.seams] == [("prefill", True)]


def cut(dice: random.Random, number: int, text: str) -> dict[str, Any]:
    """Return a fault in the middle of the stream of that number; its continuation is the next request."""
    fault: dict[str, Any] = {"kind": dice.choice(["truncate", "reset", "exception"]), "requests": [2 * number + 1]}
    if fault["kind"] == "exception":
        fault["code"] = dice.choice(["ModelStreamErrorException", "ThrottlingException", "InternalServerException"])
    return {**fault, "after": dice.randint(2, len(text) // 20 + 1)}
