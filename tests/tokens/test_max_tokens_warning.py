from __future__ import annotations

import linecache
import subprocess
import sys
import warnings

import pytest

from aws_bedrock_inference.tokens import max_tokens_warning as unbounded
from aws_bedrock_inference.tokens.max_tokens_warning import (
    UnboundedAnswerWarning,
    Warned,
    unbounded_warning,
    warn_unbounded,
)


def test_the_warning_names_the_cost_in_calls_at_a_time() -> None:
    assert unbounded_warning("anthropic.claude-sonnet-4-5", 64_000, 200_000) == (
        "max_tokens is not set, so each call to anthropic.claude-sonnet-4-5 reserves 64,000 tokens of the quota for "
        "its answer; at 200,000 per minute that is 3 calls at a time. Set max_tokens to the length that answers need."
    )


@pytest.mark.parametrize(
    ("tpm", "words"),
    [(64_000, "that is 1 call at a time"), (63_999, "more than a minute's quota, so no call can be admitted")],
)
def test_the_warning_is_worded_for_small_quotas_too(tpm: float, words: str) -> None:
    assert words in unbounded_warning("m", 64_000, tpm)


def test_each_model_is_warned_of_once_whoever_calls() -> None:
    warned = Warned()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        for model in ("a", "b", "a", "b", "c", "a"):
            warn_unbounded(model, 10, 100, warned=warned)
    assert [str(one.message).split(" reserves")[0].split()[-1] for one in heard] == ["a", "b", "c"]
    assert {one.category for one in heard} == {UnboundedAnswerWarning}
    assert issubclass(UnboundedAnswerWarning, UserWarning)


def test_the_warning_points_at_the_users_line_through_the_packages_own(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = {"__name__": "aws_bedrock_inference.clients.made_up", "warn": warn_unbounded, "warned": Warned()}
    exec("def invoke():\n    make()\ndef make():\n    warn('m', 10, 100, warned=warned)", inner)  # noqa: S102 - ours
    with pytest.warns(UnboundedAnswerWarning) as heard:
        inner["invoke"]()  # type: ignore[operator] # this very line
    assert heard[0].filename == __file__
    assert "this very line" in linecache.getline(__file__, heard[0].lineno)


def test_only_so_many_models_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unbounded, "_MOST", 3)
    warned = Warned()
    assert [warned.first(str(number)) for number in range(5)] == [True, True, True, False, False]


def test_without_a_memory_of_ones_own_the_process_remembers() -> None:
    script = (
        "import warnings; from aws_bedrock_inference.tokens.max_tokens_warning import warn_unbounded\n"
        "warnings.simplefilter('always')\n"
        "for _ in range(3): warn_unbounded('m', 10, 100)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert done.stderr.count("UnboundedAnswerWarning: max_tokens is not set") == 1
