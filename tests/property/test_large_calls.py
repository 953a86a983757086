"""A call that is larger than the burst waits for a full bucket. No other caller and no clock can keep it waiting."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.doubles import ROUTE

from aws_bedrock_inference.call import NORMAL, Call, Estimate, Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies import Quota
from aws_bedrock_inference.rules.quota.ledger import Ledger

TPM = 60_000
INTERACTIVE, BATCH = 0.0, 2.0
SMALL, LARGE = 100, 20_000  # the bucket holds 4,000


def sized(tokens: int, driver: VirtualDriver, priority: float, tenant: str = "") -> Call:
    return Call("converse", {}, ROUTE, Estimate(tokens, 0), arrived=driver.now, priority=priority, tenant=tenant)


@pytest.mark.parametrize("known", [{"tpm": TPM}, {"tpm": TPM, "rpm": 600}, {}])
@pytest.mark.parametrize("charged", [1.0, 1.1])
@pytest.mark.parametrize(
    ("priority", "tenant", "seconds"),
    # a lower priority has earned the call once twenty times as much went: 400 seconds, and a minute for the minute
    [(INTERACTIVE, "", 130), (NORMAL, "", 130), (NORMAL, "acme", 130), (BATCH, "", 470)],
)
def test_a_large_call_is_served_while_small_ones_would_use_all(
    known: Any, charged: float, priority: float, tenant: str, seconds: float
) -> None:
    driver = VirtualDriver(lambda call, _: (0.5, Outcome(usage=Usage(int(call.estimate.input_tokens * charged), 0))))
    step = Quota(**known).around(send, driver.clock)
    served = []

    def small() -> Any:
        while True:
            yield from step(sized(SMALL, driver, NORMAL))

    def large() -> Any:
        yield from step(sized(LARGE, driver, priority, tenant))
        served.append(driver.now)

    for _ in range(40):
        driver.spawn(small())
    task = driver.spawn(large(), after=30.0)
    driver.run(until=30.0 + seconds)
    assert task.done


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from([0.0, -2.0, -0.01, 0.01, 0.5, 7.0, 3600.0]), max_size=60),
    tokens=st.sampled_from([4_001.0, LARGE, float(TPM)]),
    back=st.sampled_from([0.0, 2.0]),
)
def test_a_large_call_is_served_by_a_clock_that_steps(steps: list[float], tokens: float, back: float) -> None:
    book = Ledger(rpm=None, tpm=TPM, now=1e6)
    now = latest = 1e6
    large = book.reserve(tokens, 0.0, now)
    others = []
    for order, step in enumerate([*steps, *[0.5] * 300], 1):
        if large.admitted:
            break
        now += step
        latest = max(latest, now)
        others.append(book.reserve(SMALL, order, now))
        if order % 3 == 0:
            book.settle(others.pop(0), back, now)
        book.claim(large, now)
    assert large.admitted
