from __future__ import annotations

from typing import Any

import pytest

from aws_bedrock_inference.rules.circuit import Circuit, Refusal, State, Ticket, Verdict


def circuit(**options: Any) -> Any:
    return Circuit(**{"failures": 3, "ratio": 0.5, "window": 10.0, "recovery": 5.0, "probes": 1, **options})


def fail(it: Any, now: float, times: int = 3) -> None:
    for _ in range(times):
        it.report(it.admit(now), Verdict.FAILED, now)


def test_the_circuit_opens_after_enough_failures_and_reports_when_to_retry() -> None:
    it = circuit()
    fail(it, 1.0, 2)
    assert it.state is State.CLOSED
    assert it.report(it.admit(1.0), Verdict.FAILED, 1.0) is State.OPEN
    assert it.admit(2.0) == Refusal(4.0)


def test_failures_outside_the_window_are_forgotten() -> None:
    it = circuit()
    fail(it, 0.0, 2)
    fail(it, 11.0, 2)
    assert it.state is State.CLOSED


def test_rare_failures_in_heavy_traffic_do_not_open_the_circuit() -> None:
    it = circuit()
    for _ in range(100):
        it.report(it.admit(1.0), Verdict.OK, 1.0)
    states = []
    for _ in range(2):
        fail(it, 1.0, 50)
        states.append(it.state)
    assert states == [State.CLOSED, State.OPEN]


def test_early_failures_of_a_burst_do_not_open_the_circuit_before_the_rest_answered() -> None:
    it = circuit()
    burst = [it.admit(1.0) for _ in range(20)]
    states = []
    for number, ticket in enumerate(burst):
        it.report(ticket, Verdict.FAILED if number < 10 else Verdict.OK, 1.0)
        states.append(it.state)
    assert states[8:10] == [State.CLOSED, State.OPEN]
    healthy = circuit()
    burst = [healthy.admit(1.0) for _ in range(20)]
    for number, ticket in enumerate(burst):
        healthy.report(ticket, Verdict.FAILED if number < 9 else Verdict.OK, 1.0)
    assert healthy.state is State.CLOSED


def test_ignored_outcomes_do_not_change_the_circuit() -> None:
    it = circuit()
    for _ in range(100):
        it.report(it.admit(0.0), Verdict.IGNORED, 0.0)
    fail(it, 0.0)
    assert it.state is State.OPEN


def test_a_half_open_circuit_admits_a_bounded_number_of_probes() -> None:
    it = circuit(probes=2)
    fail(it, 0.0)
    first, second, third = (it.admit(5.0) for _ in range(3))
    assert isinstance(first, Ticket)
    assert isinstance(second, Ticket)
    assert isinstance(third, Refusal)
    assert it.report(first, Verdict.OK, 5.1) is None
    assert isinstance(it.admit(5.1), Refusal)
    assert it.report(second, Verdict.OK, 5.2) is State.CLOSED
    assert it.admit(5.2) == Ticket(it.admit(5.2).generation)


@pytest.mark.parametrize(
    ("verdicts", "state"),
    [
        ([Verdict.OK, Verdict.OK], State.CLOSED),
        ([Verdict.FAILED, Verdict.OK, Verdict.OK], State.CLOSED),
        ([Verdict.FAILED, Verdict.FAILED], State.OPEN),
        ([Verdict.OK, Verdict.FAILED], State.HALF_OPEN),
    ],
)
def test_the_results_of_all_probes_decide_together(verdicts: Any, state: Any) -> None:
    it = circuit(probes=3)
    fail(it, 0.0)
    for ticket, verdict in zip([it.admit(5.0) for _ in verdicts], verdicts, strict=True):
        it.report(ticket, verdict, 6.0)
    assert it.state is state


@pytest.mark.parametrize(("verdict", "state"), [(Verdict.FAILED, State.OPEN), (Verdict.IGNORED, State.HALF_OPEN)])
def test_a_failed_probe_opens_the_circuit_again_and_an_ignored_one_frees_its_slot(verdict: Any, state: Any) -> None:
    it = circuit()
    fail(it, 0.0)
    it.report(it.admit(5.0), verdict, 6.0)
    assert it.state is state
    assert isinstance(it.admit(6.0), Refusal) is (state is State.OPEN)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_late_answer_from_before_the_opening_changes_nothing(verdict: Any) -> None:
    it = circuit()
    old = it.admit(0.0)
    fail(it, 0.0)
    states = []
    assert it.report(old, verdict, 1.0) is None
    states.append(it.state)
    probe = it.admit(5.0)
    assert it.report(old, verdict, 5.0) is None
    states.append(it.state)
    it.report(probe, Verdict.OK, 5.0)
    states.append(it.state)
    assert states == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    assert it.report(probe, Verdict.FAILED, 5.0) is None
    assert it.state is State.CLOSED
