from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
from support.doubles import session
from support.languages import CASES, MIXED, accuracy

from aws_bedrock_inference import BedrockClient
from aws_bedrock_inference.call import Estimate, Usage
from aws_bedrock_inference.testing import simulator
from aws_bedrock_inference.tokens.estimate import estimate, learn
from aws_bedrock_inference.tokens.ratio import TokenGauge

MODEL = "amazon.nova-lite-v1:0"
PAGE = Path(__file__).parents[2] / "docs" / "estimate.md"


def says(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": [{"text": text}]}], "inferenceConfig": {"maxTokens": 10}}


def test_the_initial_ratio_is_four_bytes_per_token() -> None:
    gauge = TokenGauge()
    assert gauge.tokens(MODEL, 400) == 101
    assert gauge.ratio(MODEL) == (0.25, 0.0, 0)


def test_the_ratio_is_learned_for_each_model_separately() -> None:
    gauge = TokenGauge()
    for _ in range(20):
        gauge.learn(MODEL, 2000, 1000)
    mean, sigma, answers = gauge.ratio(MODEL)
    assert mean == pytest.approx(0.5, abs=0.005)
    assert sigma < 0.03
    assert answers == 20
    assert gauge.tokens("another", 400) == 101


def test_the_estimate_is_two_standard_deviations_above_the_mean() -> None:
    gauge = TokenGauge()
    for tokens in (900, 1100) * 50:
        gauge.learn(MODEL, 4000, tokens)
    mean, sigma, _ = gauge.ratio(MODEL)
    assert sigma == pytest.approx(0.025, rel=0.05)
    assert gauge.tokens(MODEL, 4000) == int(4000 * (mean + 2 * sigma)) + 1 > 1100


def test_a_first_contradicting_answer_widens_the_band_beyond_it() -> None:
    gauge = TokenGauge()
    gauge.learn(MODEL, 1000, 500)
    assert gauge.tokens(MODEL, 1000) > 500


def test_old_observations_are_forgotten() -> None:
    gauge = TokenGauge()
    for ratio in (0.5, 0.2):
        for _ in range(150):
            gauge.learn(MODEL, 1000, int(1000 * ratio))
    assert gauge.ratio(MODEL).mean < 0.21
    assert gauge.tokens(MODEL, 1000) < 270


def test_one_huge_prompt_does_not_outweigh_ordinary_ones() -> None:
    gauge = TokenGauge()
    gauge.learn(MODEL, 10_000_000, 5_000_000)
    for _ in range(40):
        gauge.learn(MODEL, 2000, 500)
    assert gauge.ratio(MODEL).mean < 0.30


@pytest.mark.parametrize(("size", "tokens"), [(0, 10), (-1, 10), (10, 0), (10, -5)])
def test_nothing_is_learned_from_an_empty_usage(size: int, tokens: int) -> None:
    gauge = TokenGauge()
    gauge.learn(MODEL, size, tokens)
    assert gauge.ratio(MODEL).answers == 0


def test_the_number_of_models_is_bounded() -> None:
    gauge = TokenGauge(models=3)
    for number in range(10):
        gauge.learn(f"model-{number}", 100, 90)
    assert [gauge.ratio(f"model-{number}").answers for number in range(10)] == [0] * 7 + [1] * 3


@pytest.mark.parametrize(("options", "problem"), [({"sigmas": -1}, "sigmas=-1"), ({"models": 0}, "models=0")])
def test_impossible_options_are_refused(options: dict[str, int], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TokenGauge(**options)


def test_no_answer_is_lost_between_threads() -> None:
    gauge = TokenGauge()

    def learn_much() -> None:
        for _ in range(2000):
            gauge.learn(MODEL, 100, 30)

    threads = [threading.Thread(target=learn_much) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gauge.ratio(MODEL).answers == 8000
    assert gauge.ratio(MODEL).mean == pytest.approx(0.3)


def test_usage_with_its_cached_tokens_corrects_the_next_estimate() -> None:
    gauge = TokenGauge()
    params = says("x" * 3996)  # and four bytes of "user"
    for _ in range(40):
        guess = estimate("converse", params, MODEL, gauge)
        learn(gauge, MODEL, guess, Usage(500, 7, cache_read_tokens=1000, cache_write_tokens=500))
    assert estimate("converse", params, MODEL, gauge).input_tokens == pytest.approx(2000, rel=0.04)


def test_images_and_documents_do_not_distort_the_ratio() -> None:
    gauge = TokenGauge()
    picture = {"image": {"format": "png", "source": {"bytes": b"?"}}}
    params = {"messages": [{"role": "user", "content": [{"text": "x" * 24_000}, picture]}]}
    guess = estimate("converse", params, MODEL, gauge)
    learn(gauge, MODEL, guess, Usage(6005 + 2600, 1))
    assert gauge.ratio(MODEL).mean == pytest.approx(0.25, abs=0.001)
    assert gauge.ratio(MODEL).answers == 1


def test_nothing_is_learned_if_most_of_the_prompt_is_not_text() -> None:
    gauge = TokenGauge()
    params = {"messages": [{"content": [{"text": "What?"}, {"image": {"source": {"bytes": b"?"}}}]}]}
    learn(gauge, MODEL, estimate("converse", params, MODEL, gauge), Usage(900, 1))
    assert gauge.ratio(MODEL).answers == 0


def test_nothing_is_learned_from_a_usage_that_equals_the_estimate() -> None:
    gauge = TokenGauge()
    gauge.learn(MODEL, 1000, 500)
    guess = estimate("converse", says("x" * 1000), MODEL, gauge)
    for _ in range(10):
        learn(gauge, MODEL, guess, Usage(guess.input_tokens, 3))
    assert gauge.ratio(MODEL).answers == 1


def test_nothing_is_learned_from_an_estimate_without_a_weight() -> None:
    gauge = TokenGauge()
    learn(gauge, MODEL, Estimate(5, 5), Usage(9, 9))
    assert gauge.ratio(MODEL).answers == 0


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_learns_from_its_own_answers(*, streamed: bool) -> None:
    params = says("語" * 4000)  # 12,000 bytes, which the simulator counts as 1,000 tokens
    with (
        simulator(answers={"tokens": 5}) as running,
        BedrockClient(MODEL, session=session(), endpoint_url=running.url) as client,
    ):
        before = client._make_call("converse", params).estimate.input_tokens
        for _ in range(10):
            if streamed:
                list(client.converse_stream(**params)["stream"])
            else:
                client.converse(**params)
        after = client._make_call("converse", params).estimate.input_tokens
    assert before == 3002
    assert 1000 < after < 1400


@pytest.mark.parametrize("case", [case for case in CASES if case != MIXED])
def test_twenty_answers_make_the_estimate_for_one_kind_of_text_accurate(case: str) -> None:
    row = accuracy(case)
    assert row.error_after <= min(4, row.error_before)
    assert row.furthest_below <= 20
    assert row.excess <= 10


def test_no_estimate_for_mixed_kinds_of_text_is_too_small() -> None:
    assert accuracy(MIXED).small_after == 0


@pytest.mark.parametrize("case", CASES)
def test_the_table_in_the_documentation_has_the_measured_values(case: str) -> None:
    row = re.search(rf"^\| {case} \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None, f"{case} is missing"
    assert tuple(int(cell) for cell in row[1].split("|")) == accuracy(case)
