"""An outage that ends is outlived by a call that has nowhere else to go, whatever form the outage has."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from support.doubles import INTERNAL, OK, REFUSED_CONNECTION, UNAVAILABLE, call

from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.knowledge.classify import unanswered
from aws_bedrock_inference.policies import Retry, standard

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault

RESET = unanswered(None, code="ConnectionClosedError", message="the connection was closed before the answer by here")
SILENT = unanswered(None, code="ConnectTimeoutError", message="no data from here within 10 s (Timeout(connect))")
SECONDS = 20.0


def outlived(fault: Fault, seed: int, seconds: float, each: float = 0.01) -> tuple[Outcome, int]:
    """The end of a call that begins with an outage of so many seconds, and the number of requests."""
    sent: list[float] = []

    def service(_: Call, now: float) -> tuple[float, Outcome]:
        sent.append(now)
        return each, Outcome(fault=fault) if now < seconds else OK

    driver = VirtualDriver(service)
    retry = Retry(chance=Random(seed).random)  # noqa: S311 - dice for waits
    task = driver.spawn(standard(retry=retry).around(send, driver.clock)(call()))
    driver.run()
    assert task.result is not None
    return task.result, len(sent)


@pytest.mark.parametrize("fault", [UNAVAILABLE, INTERNAL, RESET], ids=["503", "500", "reset"])
def test_an_outage_of_twenty_seconds_is_outlived(fault: Fault) -> None:
    ends = [outlived(fault, seed, SECONDS) for seed in range(100)]
    assert sum(outcome.fault is None for outcome, _ in ends) >= 97
    assert max(requests for _, requests in ends) <= 12


def test_connections_that_are_refused_for_three_seconds_are_outlived_and_for_ever_are_told_within_twenty() -> None:
    """A machine without a network, and a host that does not exist, are found as often as an outage."""
    ends = [outlived(REFUSED_CONNECTION, seed, 3.0) for seed in range(100)]
    assert sum(outcome.fault is None for outcome, _ in ends) >= 90
    for seed in range(100):
        outcome, requests = outlived(REFUSED_CONNECTION, seed, float("inf"))
        assert requests == 6
        assert sum(attempt.wait for attempt in outcome.earlier) <= 20


def test_an_endpoint_that_takes_no_connections_for_twenty_seconds_is_outlived() -> None:
    outcome, requests = outlived(SILENT, 1, SECONDS, each=10.0)
    assert (outcome.fault, requests) == (None, 3)


@pytest.mark.parametrize(
    "fault", [UNAVAILABLE, REFUSED_CONNECTION, INTERNAL, RESET], ids=["503", "refused", "500", "reset"]
)
def test_an_outage_without_an_end_gets_at_most_twelve_requests_of_a_call(fault: Fault) -> None:
    outcome, requests = outlived(fault, 1, float("inf"))
    assert outcome.fault is not None
    assert requests <= 12
