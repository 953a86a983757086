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


def test_empty_and_huge_answers_are_counted_too() -> None:
    sizes = sizes_of([0, 10**9])
    assert sizes.count == 2
    assert sizes.quantile(0.5) == 1
    assert sizes.quantile(1) > 2_000_000


def test_the_quantile_of_no_answers_is_zero() -> None:
    assert AnswerSizes().quantile(0.98) == 0


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_is_between_zero_and_one(share: float) -> None:
    with pytest.raises(ValueError, match="share from 0 to 1"):
        AnswerSizes().quantile(share)


def test_sums_are_stored_in_addition_to_the_buckets() -> None:
    sizes = sizes_of([100, 300, 4096])
    assert (sizes.count, sizes.output, sizes.reserved, sizes.full) == (3, 4496, 3 * 4096, 1)


def test_merged_records_equal_one_that_counted_all() -> None:
    first, second = sizes_of([1, 10, 100]), sizes_of([10, 5000], 1000)
    first.merge(second)
    whole = sizes_of([1, 10, 100])
    for output in (10, 5000):
        whole.add(output, 1000)
    assert first.as_dict() == whole.as_dict()
    assert second.count == 2


def test_sizes_are_restored_from_json() -> None:
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
def test_an_invalid_record_of_sizes_is_refused(counted: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"as_dict\(\) (returned|again)"):
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


def test_the_advice_is_twice_what_nearly_all_answers_need() -> None:
    advice = advise([300] * 98 + [1500] * 2, 4096)
    assert advice.answer == pytest.approx(300, rel=0.05)
    assert advice.max_tokens == 610
    assert advice.concurrency == pytest.approx((500 + 4096) / (500 + 610))
    assert str(advice) == (
        "98 % of answers are under 302 tokens; you reserve 4,096; "
        "max_tokens=610 allows 4.1 times as many calls at the same time."
    )


def test_the_advice_says_when_usage_and_not_max_tokens_limits_the_throughput() -> None:
    advice = advise([300] * 100, 4096, burndown=5)
    assert advice.charge == 500 + 5 * 300
    assert advice.text.endswith("The long-term rate is limited by the charge of a finished call, 2,000 tokens.")


@pytest.mark.parametrize("reserved", [400, 610, 700])
def test_the_advice_says_when_a_lower_max_tokens_gains_nothing(reserved: int) -> None:
    advice = advise([300] * 100, reserved)
    assert advice.max_tokens is None
    assert advice.concurrency == 1
    assert advice.text.endswith("a lower max_tokens would not help.")


def test_a_long_input_leaves_nothing_to_gain() -> None:
    assert advise([300] * 100, 4096, mean_input=100_000).max_tokens is None


def test_truncated_answers_prevent_advice_to_lower_max_tokens() -> None:
    advice = advise([300] * 90 + [4096] * 10, 4096)
    assert advice.max_tokens is None
    assert advice.text == "10% of answers used all of their max_tokens (4,096): do not lower it."


def test_no_advice_is_given_for_few_answers() -> None:
    advice = advise([300] * (ENOUGH - 1), 4096)
    assert advice.max_tokens is None
    assert "49 answers are too few" in advice.text


@pytest.mark.parametrize(("burndown", "mean_input"), [(0, 1), (float("nan"), 1), (1, -1)])
def test_impossible_numbers_are_refused(burndown: float, mean_input: float) -> None:
    with pytest.raises(ValueError, match="pass a burndown above 0"):
        advise([1] * 100, 10, burndown, mean_input)
