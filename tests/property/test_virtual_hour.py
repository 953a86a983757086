"""An hour of traffic of a hundred clients, in virtual time."""

from __future__ import annotations

from typing import Any

from support.doubles import THROTTLE, UNAVAILABLE, call, failed

from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import Pipeline, Sleep, send
from aws_bedrock_inference.policies import Breaker, Deadline, Quota, Retry

HOUR = 3600.0


def dice(seed: int) -> Any:
    """A small generator of random numbers, so that the hour is the same on every machine."""
    state = seed
    while True:
        state = (state * 1103515245 + 12345) % 2**31
        yield state / 2**31


def traffic(seed: int, until: Any = HOUR) -> Any:
    chance = dice(seed)
    service_level = {"tokens": 60_000.0 / 12, "at": 0.0}
    counts = {"arrived": 0, "throttled": 0, "answered": 0, "tokens": 0.0}

    def service(one: Any, now: float) -> Any:
        """A token bucket of 5 s, as tight as the service is known to be, with a 30 s outage."""
        counts["arrived"] += 1
        level = service_level["tokens"] + (now - service_level["at"]) * 10_000
        service_level.update(tokens=min(50_000.0, level), at=now)
        if 1800 <= now < 1830:
            return 0.05, failed(UNAVAILABLE)
        if service_level["tokens"] < one.estimate.reservation:
            counts["throttled"] += 1
            return 0.01, failed(THROTTLE)
        used = 100 + int(next(chance) * 600)
        service_level["tokens"] -= used
        counts["tokens"] += used
        return 0.5 + next(chance) * 2, Outcome(usage=Usage(100, used - 100))

    driver = VirtualDriver(service)
    pipeline = Pipeline(Deadline(900.0), Retry(chance=lambda: next(chance)), Breaker(), Quota(rpm=6000, tpm=600_000))
    step = pipeline.around(send, driver.clock)
    lost = []

    def client() -> Any:
        while driver.now < until:
            outcome = yield from step(call(tokens=100, output=900, arrived=driver.now))
            counts["answered"] += outcome.fault is None
            if outcome.fault is not None:
                lost.append(outcome.fault.code)
            yield Sleep(next(chance))

    clients = [driver.spawn(client()) for _ in range(100)]
    driver.run()
    assert [task.error for task in clients] == [None] * 100
    return counts, lost


def test_a_hundred_clients_use_up_the_quota_for_an_hour_with_few_throttles() -> None:
    counts, lost = traffic(seed=7)
    assert counts["answered"] > 70_000
    assert counts["throttled"] <= counts["answered"] * 0.01
    assert counts["tokens"] >= 0.9 * 600_000 * 60
    assert set(lost) <= {"CircuitOpen", "ServiceUnavailableException"}
    assert counts["arrived"] <= counts["answered"] * 1.01


def test_the_same_seed_gives_the_same_traffic() -> None:
    assert traffic(seed=3, until=120.0) == traffic(seed=3, until=120.0)
