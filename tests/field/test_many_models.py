"""Model IDs come from callers: the state of models does not grow without bound, and state in use is never dropped."""

from __future__ import annotations

from typing import Any

import pytest
from support.doubles import INVALID, THROTTLE, UNAVAILABLE, call

from aws_bedrock_inference import Breaker, Pipeline, Quota
from aws_bedrock_inference.call import Outcome, Route, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.policies.keyed import MANY
from aws_bedrock_inference.rules.circuit import State

IDS = 5000


def route(number: int | str) -> Route:
    return Route(f"model-{number}", "us-east-1", base=f"model-{number}")


class Day:
    """A day of calls on many models; `answers` decides how each call ends."""

    def __init__(self, answers: Any = None, **quota: Any) -> None:
        self.quota, self.breaker = Quota(**quota), Breaker(failures=2)
        ok = Outcome({}, usage=Usage(1, 1))
        self.driver = VirtualDriver(lambda sent, _: (answers or {}).get(sent.route.model, (0.1, ok)))
        self.step = Pipeline(self.breaker, self.quota).around(send, self.driver.clock)

    def call(self, number: int | str, after: float = 0.0) -> Any:
        return self.driver.spawn(self.step(call(route=route(number))), after=after)


@pytest.mark.parametrize("limits", [{}, {"rpm": 600, "tpm": 100_000}, {"rpm": 600, "tpd": 1_000_000}])
def test_idle_ledgers_and_circuits_are_dropped(limits: dict[str, int]) -> None:
    day = Day(**limits)
    for number in range(IDS):
        day.call(number, after=float(number))
    day.driver.run()
    if "tpd" not in limits:  # the usage of a day is stored for the day
        assert len(day.quota._ledgers) <= MANY
    assert len(day.breaker._circuits) <= MANY


def test_ids_that_do_not_exist_leave_nothing_behind() -> None:
    day = Day({f"model-{n}": (0.1, Outcome(fault=INVALID)) for n in range(IDS)})
    for number in range(IDS):
        day.call(number, after=number / 10)
    day.driver.run()
    assert len(day.quota._ledgers) <= 2 * 601 + MANY  # those of the last minute count
    assert len(day.breaker._circuits) <= MANY


def test_state_with_calls_in_flight_or_learned_limits_is_not_dropped() -> None:
    forever = (IDS * 2.0, Outcome({}, usage=Usage(1, 1)))
    answers = {"model-slow": forever, "model-throttled": (0.1, Outcome(fault=THROTTLE))}
    day = Day(answers | {"model-ill": (0.1, Outcome(fault=UNAVAILABLE))}, rpm=600, tpm=100_000)
    slow = day.call("slow")
    for start in range(12):
        day.call("throttled", after=float(start))
        day.call("ill", after=IDS - 3 + start / 10)
    for number in range(IDS):
        day.call(number, after=float(number))
    day.driver.run(until=IDS)
    assert not slow.done
    kept = {name for name in ("slow", "throttled") if route(name).quota_key in day.quota._ledgers}
    assert kept == {"slow", "throttled"}
    learned = day.quota.ledger(route("throttled"), IDS).snapshot(IDS)
    assert learned.estimates["tokens"] < 100_000
    assert day.breaker.circuit(route("ill")).state is State.OPEN
    assert route("slow").health_key in day.breaker._circuits
    day.driver.run()
    assert slow.done
    assert day.quota.ledger(route("slow"), day.driver.now).snapshot(day.driver.now).in_flight == 0
