"""Long generations that probe a circuit do not delay other calls."""

from __future__ import annotations

from typing import Any

import pytest
from support.doubles import ROUTE, UNAVAILABLE, call

from aws_bedrock_inference import Breaker, Deadline, Pipeline, Retry
from aws_bedrock_inference.call import Outcome, Usage
from aws_bedrock_inference.drivers.virtual import VirtualDriver
from aws_bedrock_inference.flow import send
from aws_bedrock_inference.rules.circuit import Refusal, State, Ticket, Verdict

OUTAGE = 6.0  # seconds from the start


def day(lengths: dict[float, float], *, broken: Any = None) -> tuple[list[tuple[float, float, str]], Breaker]:
    """Start a call at each time of `lengths`, which the healthy service answers after that many seconds. Return when
    each call started, how long it took, and how it ended."""

    def service(sent: Any, now: float) -> tuple[float, Outcome]:
        if now < OUTAGE if broken is None else broken(now):
            return 0.1, Outcome(fault=UNAVAILABLE)
        return sent.params["seconds"], Outcome({"answer": 42}, usage=Usage(1, 1))

    driver, breaker = VirtualDriver(service), Breaker()
    step = Pipeline(Deadline(), Retry(chance=lambda: 0.5), breaker).around(send, driver.clock)
    once = Pipeline(breaker).around(send, driver.clock)
    ended: list[tuple[float, float, str]] = []

    def one(start: float, seconds: float) -> Any:
        outcome = yield from (once if start < 1 else step)(call(arrived=start)._replace(params={"seconds": seconds}))
        ended.append((start, driver.now - start, outcome.fault.code if outcome.fault else "ok"))
        return outcome

    for start, seconds in lengths.items():
        driver.spawn(one(start, seconds), after=start)
    driver.run()
    return sorted(ended), breaker


# Calls that fail in the outage open the circuit; they are not repeated.
BEFORE = {n / 100: 0.5 for n in range(20)}


def test_short_calls_do_not_wait_for_long_probes() -> None:
    long = {6.5 + n / 100: 40.0 + 15 * n for n in range(3)}
    short = {8.0 + n: 1.0 for n in range(30)}
    ended, breaker = day(BEFORE | long | short)
    waited = {start: took for start, took, how in ended if start in short and how == "ok"}
    assert len(waited) == len(short)
    assert max(waited.values()) < 12.0  # it is a second in calm; 35 to 93 s before
    assert breaker.circuit(ROUTE).state is State.CLOSED


def test_many_simultaneous_generations_are_all_answered_after_an_outage() -> None:
    ended, _ = day(BEFORE | {7.0 + n / 50: 60.0 for n in range(200)})
    late = [took for start, took, how in ended if start >= 7.0]
    assert [how for start, _, how in ended if start >= 7.0] == ["ok"] * 200
    assert max(late) < 60.0 + 45.0


def test_a_continuing_outage_gets_only_probes() -> None:
    sent: list[float] = []

    def broken(now: float) -> bool:
        sent.append(now)
        return now < 120.0

    day({n / 10: 0.5 for n in range(1200)}, broken=broken)
    assert len([now for now in sent if 10 <= now < 110]) < 100  # of 1,000 calls


@pytest.mark.parametrize("seconds", [4.9, 5.1])
def test_the_number_of_probes_doubles_with_each_recovery_time(seconds: float) -> None:
    circuit = Breaker(failures=1).circuit(ROUTE)
    ticket = circuit.admit(0.0)
    assert isinstance(ticket, Ticket)
    circuit.report(ticket, Verdict.FAILED, 0.0)
    probes = [ticket for _ in range(10) if not isinstance(ticket := circuit.admit(5.0), Refusal)]
    more = [ticket for _ in range(10) if not isinstance(ticket := circuit.admit(5.0 + seconds), Refusal)]
    assert (len(probes), len(more)) == (3, 0 if seconds < 5 else 3)
