"""A call without another route survives an outage that ends, whatever form the outage has."""

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
def test_a_call_survives_an_outage_of_twenty_seconds(fault: Fault) -> None:
    ends = [outlived(fault, seed, SECONDS) for seed in range(100)]
    assert sum(outcome.fault is None for outcome, _ in ends) >= 97
    assert max(requests for _, requests in ends) <= 12


def test_refused_connections_are_survived_for_three_seconds_and_reported_within_twenty() -> None:
    """A machine without a network, and a host that does not exist, are found as often as an outage."""
    ends = [outlived(REFUSED_CONNECTION, seed, 3.0) for seed in range(100)]
    assert sum(outcome.fault is None for outcome, _ in ends) >= 90
    for seed in range(100):
        outcome, requests = outlived(REFUSED_CONNECTION, seed, float("inf"))
        assert requests == 6
        assert sum(attempt.wait for attempt in outcome.earlier) <= 20


def test_a_call_survives_twenty_seconds_without_connections() -> None:
    outcome, requests = outlived(SILENT, 1, SECONDS, each=10.0)
    assert (outcome.fault, requests) == (None, 3)


@pytest.mark.parametrize(
    "fault", [UNAVAILABLE, REFUSED_CONNECTION, INTERNAL, RESET], ids=["503", "refused", "500", "reset"]
)
def test_a_call_sends_at_most_twelve_requests_in_a_permanent_outage(fault: Fault) -> None:
    outcome, requests = outlived(fault, 1, float("inf"))
    assert outcome.fault is not None
    assert requests <= 12
