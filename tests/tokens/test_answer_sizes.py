from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from aws_bedrock_inference.tokens.answer_sizes import ENOUGH, Advice, AnswerSizes, advise_max_tokens


def sizes_of(outputs: list[int], reserved: int = 4096) -> AnswerSizes:
    sizes = AnswerSizes()
    for output in outputs:
        sizes.add(output, reserved)
    return sizes


def test_a_quantile_is_at_most_five_per_cent_too_high() -> None:
    sizes = sizes_of(list(range(1, 1001)))
    for share in (0.1, 0.5, 0.98, 1.0):
        assert share * 1000 <= sizes.quantile(share) <= share * 1000 * 1.05
    assert sizes.quantile(0) == 1


@pytest.mark.parametrize("output", [1, 2, 3, 5, 10, 19])
def test_short_answers_are_counted_exactly(output: int) -> None:
    assert sizes_of([output]).quantile(0.5) == output


def test_answers_of_nothing_and_without_end_are_counted_too() -> None:
    sizes = sizes_of([0, 10**9])
    assert sizes.count == 2
    assert sizes.quantile(0.5) == 1
    assert sizes.quantile(1) > 2_000_000


def test_no_answers_have_no_size() -> None:
    assert AnswerSizes().quantile(0.98) == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_lies_between_none_and_all(share: float) -> None:
    with pytest.raises(ValueError, match="share from 0 to 1"):
        AnswerSizes().quantile(share)


def test_sums_are_kept_beside_the_buckets() -> None:
    sizes = sizes_of([100, 300, 4096])
    assert (sizes.count, sizes.output, sizes.reserved, sizes.full) == (3, 4496, 3 * 4096, 1)


def test_two_merged_are_one_that_counted_all() -> None:
    first, second = sizes_of([1, 10, 100]), sizes_of([10, 5000], 1000)
    first.merge(second)
    whole = sizes_of([1, 10, 100])
    for output in (10, 5000):
        whole.add(output, 1000)
    assert first.as_dict() == whole.as_dict()
    assert second.count == 2


def test_sizes_survive_json() -> None:
    sizes = sizes_of([3, 70, 70, 900_000])
    again = AnswerSizes.from_dict(json.loads(json.dumps(sizes.as_dict())))
    assert again.as_dict() == sizes.as_dict()
    assert again.quantile(0.5) == sizes.quantile(0.5)


GOOD: dict[str, Any] = sizes_of([3, 70]).as_dict()


@pytest.mark.parametrize(
    "counted",
    [
        {},
        {**GOOD, "count": "many"},
        {**GOOD, "count": 3},
        {**GOOD, "growth": 2},
        {**GOOD, "buckets": {"300": 2}},
        {**GOOD, "buckets": {"-1": 2}},
        {**GOOD, "buckets": [2]},
        {**GOOD, "buckets": {"x": 2}},
    ],
)
def test_what_is_no_record_of_sizes_is_refused(counted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="pass the result of as_dict"):
        AnswerSizes.from_dict(counted)


def test_no_answer_is_lost_between_threads() -> None:
    sizes = AnswerSizes()

    def add_much() -> None:
        for _ in range(2000):
            sizes.add(50, 100)

    threads = [threading.Thread(target=add_much) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sizes.count, sizes.output, sizes.reserved) == (8000, 400_000, 800_000)


def advise(outputs: list[int], reserved: int, burndown: float = 1, mean_input: float = 500) -> Advice:
    return advise_max_tokens(sizes_of(outputs, reserved), burndown=burndown, mean_input=mean_input)


def test_advises_twice_what_nearly_all_answers_need() -> None:
    advice = advise([300] * 98 + [1500] * 2, 4096)
    assert advice.answer == pytest.approx(300, rel=0.05)
    assert advice.max_tokens == 610
    assert advice.concurrency == pytest.approx((500 + 4096) / (500 + 610))
    assert str(advice) == (
        "98 % of answers are under 302 tokens; you reserve 4,096; "
        "max_tokens=610 allows 4.1 times as many calls at the same time."
    )


def test_says_when_the_charge_at_the_end_sets_the_pace() -> None:
    advice = advise([300] * 100, 4096, burndown=5)
    assert advice.charge == 500 + 5 * 300
    assert advice.text.endswith("The long-term rate is limited by the charge of a finished call, 2,000 tokens.")


@pytest.mark.parametrize("reserved", [400, 610, 700])
def test_says_when_nothing_would_be_gained(reserved: int) -> None:
    advice = advise([300] * 100, reserved)
    assert advice.max_tokens is None
    assert advice.concurrency == 1
    assert advice.text.endswith("a lower max_tokens would not help.")


def test_a_long_input_leaves_nothing_to_gain() -> None:
    assert advise([300] * 100, 4096, mean_input=100_000).max_tokens is None


def test_answers_that_were_cut_off_speak_against_lowering() -> None:
    advice = advise([300] * 90 + [4096] * 10, 4096)
    assert advice.max_tokens is None
    assert advice.text == "10% of answers used all of their max_tokens (4,096): do not lower it."


def test_few_answers_are_no_ground() -> None:
    advice = advise([300] * (ENOUGH - 1), 4096)
    assert advice.max_tokens is None
    assert "49 answers are too few" in advice.text


@pytest.mark.parametrize(("burndown", "mean_input"), [(0, 1), (float("nan"), 1), (1, -1)])
def test_refuses_numbers_that_cannot_be(burndown: float, mean_input: float) -> None:
    with pytest.raises(ValueError, match="pass a burndown above 0"):
        advise([1] * 100, 10, burndown, mean_input)
