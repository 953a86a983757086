"""The slack: which throttles are evidence that reservations beyond the minute are refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aws_bedrock_inference.rules.quota.observed import Throttle
from aws_bedrock_inference.rules.quota.slack import Slack


def counts(used: float) -> Any:
    return SimpleNamespace(used=used, minute=6000.0, fixed=False, reserved=True, admitted=0.0)


@pytest.mark.parametrize("configured", [True, False])
def test_a_refusal_at_a_configured_limit_ends_the_proof_that_such_a_use_is_accepted(*, configured: bool) -> None:
    slack = Slack(configured=configured)
    for second in range(1, 5):
        slack.elapsed(float(second), 1.0, counts(7000.0))
    refused = Throttle(1, 6000.0, 6000.0, refused=100.0)
    assert not slack.explains(refused, 5.0, counts(6500.0))  # 7,000 were accepted before
    assert slack.explains(refused, 6.0, counts(6500.0)) is configured


def test_after_a_failure_the_earlier_reservations_explain_throttles_for_a_minute() -> None:
    slack = Slack(configured=True)
    slack.elapsed(1.0, 1.0, counts(6000.0))
    slack.fail(2.0)
    refused = Throttle(1, 6000.0, 6000.0, refused=100.0)
    assert slack.explains(refused, 3.0, counts(6500.0))
    assert not slack.explains(refused, 4.0, counts(5800.0))  # the call fits into the minute
    assert slack.explains(refused, 62.0, counts(6500.0))
    assert not slack.explains(refused, 62.5, counts(6500.0))
