"""The circuit breaker as a state machine, next to a model that receives every state change."""

from __future__ import annotations

from math import inf
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from aws_bedrock_inference.rules.circuit import Circuit, Refusal, State, Verdict


class CircuitLaws(RuleBasedStateMachine):
    tickets = Bundle("tickets")

    @initialize(failures=st.integers(1, 4), probes=st.integers(1, 3), ratio=st.sampled_from([0.01, 0.5, 1.0]))
    def make(self, failures: int, probes: int, ratio: float) -> None:
        self.now = 0.0
        self.circuit = Circuit(failures=failures, ratio=ratio, window=10.0, recovery=5.0, probes=probes)
        self.probing = 0
        self.opened_at = inf

    @rule(seconds=st.floats(0.0, 8.0))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=tickets)
    def admit(self) -> Any:
        before = self.circuit.state
        ticket = self.circuit.admit(self.now)
        if before is State.OPEN and self.circuit.state is State.HALF_OPEN:
            assert self.now >= self.opened_at + 5.0
            self.probing = self.failed = self.well = 0
            self.probing_since = self.now
        if before is State.CLOSED:
            assert not isinstance(ticket, Refusal)
            assert not ticket.probe
        if isinstance(ticket, Refusal):
            assert self.circuit.state is not State.CLOSED
            assert ticket.wait > 0
        elif ticket.probe:
            assert self.circuit.state is State.HALF_OPEN
            self.probing += 1
            periods = int((self.now - self.probing_since) / 5.0)
            assert self.probing <= self.circuit.probes * 2**periods
        return ticket

    @rule(ticket=consumes(tickets), verdict=st.sampled_from(Verdict))
    def report(self, ticket: Any, verdict: Any) -> None:
        if isinstance(ticket, Refusal):
            return
        before = self.circuit.state
        current = ticket.generation == self.circuit._pass.generation
        changed = self.circuit.report(ticket, verdict, self.now)
        if current and ticket.probe and self.circuit.state is State.HALF_OPEN:
            self.probing -= verdict is Verdict.IGNORED
        if not current:
            assert changed is None
            assert self.circuit.state is before
        if changed is State.OPEN:
            assert verdict is Verdict.FAILED
            self.opened_at = self.now
        if changed is State.CLOSED:
            assert before is State.HALF_OPEN
            assert verdict is Verdict.OK
        if current and before is State.HALF_OPEN and ticket.probe:
            self.failed += verdict is Verdict.FAILED
            self.well += verdict is Verdict.OK
            judged = max(self.circuit.probes, self.probing)
            relapsed = verdict is Verdict.FAILED and self.failed >= self.circuit.ratio * judged
            assert (changed is State.OPEN) == relapsed
            still_to_come = self.circuit.probes - self.well
            recovered = still_to_come < self.circuit.ratio * self.circuit.probes
            assert (changed is State.CLOSED) == (recovered and not relapsed)

    @invariant()
    def it_is_never_stuck(self) -> None:
        if hasattr(self, "circuit") and self.circuit.state is State.OPEN:
            assert self.now - self.opened_at >= 0


TestCircuitLaws = CircuitLaws.TestCase
TestCircuitLaws.settings = settings(max_examples=300, stateful_step_count=50, deadline=None)
