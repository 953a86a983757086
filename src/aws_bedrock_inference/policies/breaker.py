"""A policy that stops calling an unhealthy model and probes until it recovers."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.events import CircuitChanged
from aws_bedrock_inference.fault import Origin
from aws_bedrock_inference.flow import emit
from aws_bedrock_inference.policies.keyed import Keyed
from aws_bedrock_inference.policies.refusals import circuit_open
from aws_bedrock_inference.rules.circuit import Circuit, Refusal, Verdict

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Flow, Step

_OK, _FAILED, _IGNORED = Verdict  # looked up only here, because every call needs them
_COUNTED = frozenset({Origin.SERVICE, Origin.NETWORK})


class Breaker:
    """A circuit breaker that refuses calls to a failing model. Each (account, Region, model) has its own circuit.

    A circuit opens if at least `failures` calls (default 5), and at least the share `ratio` (default 0.5) of all
    calls, failed within `window` seconds (default 10). The number ensures that one bad answer does not open it; the
    share ensures that the rare faults of heavy traffic do not open it. After `recovery` seconds (default 5, longer
    than most short failures), `probes` calls (default 3) test the service. If that share of the probes fails, the
    circuit opens again; a single random failure does not open it.

    Only faults of the service count. Throttles, loading models and invalid requests never open a circuit, nor do
    faults of credentials, DNS, proxies, TLS or this machine. A refused or timed-out connection to the endpoint does
    count, because each further call would wait for it in vain, and calls should leave a Region that cannot be reached.

    Refuses with `CircuitOpen`. Emits `CircuitChanged`.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        ratio: float = 0.5,
        window: float = 10.0,
        recovery: float = 5.0,
        probes: int = 3,
    ) -> None:
        sane = (
            is_number(failures, least=1, whole=True)
            and is_number(probes, least=1, whole=True)
            and is_number(ratio, above=0, most=1)
            and is_number(window, above=0)
            and is_number(recovery, above=0)
        )
        if not sane:
            raise ValueError(
                "Breaker: failures and probes are 1 or more, ratio is above 0 and at most 1, window and recovery are "
                f"seconds above 0; got failures={shown(failures)}, ratio={shown(ratio)}, window={shown(window)}, "
                f"recovery={shown(recovery)}, probes={shown(probes)}"
            )
        self.failures = failures
        self.ratio = ratio
        self.window = window
        self.recovery = recovery
        self.probes = probes
        self._circuits = Keyed(Circuit.idle)

    def around(self, step: Step, clock: Clock) -> Step:
        """Return `step` behind a circuit."""
        circuits = self._circuits

        def flow(call: Call) -> Flow:
            now = clock()
            circuit = circuits.get(call.route.health_key) or self._circuit(call.route, now)
            ticket = circuit.admit(now)
            if isinstance(ticket, Refusal):
                return Outcome(fault=circuit_open(str(call.route), ticket.wait))
            verdict = _IGNORED
            try:
                if ticket.probe:
                    yield from emit(CircuitChanged(call.route, "half-open"))
                outcome = yield from step(call)
                verdict = _verdict(outcome.fault)
            finally:
                changed = circuit.report(ticket, verdict, clock())
            if changed is not None:
                yield from emit(CircuitChanged(call.route, changed.value))
            return outcome

        return flow

    def circuit(self, route: Route) -> Circuit:
        """Return the circuit for calls on `route`. It is created at its first use."""
        return self._circuit(route, -inf)

    def _circuit(self, route: Route, now: float) -> Circuit:
        return self._circuits.of(route.health_key, self._new, now)

    def _new(self) -> Circuit:
        return Circuit(
            failures=self.failures,
            ratio=self.ratio,
            window=self.window,
            recovery=self.recovery,
            probes=self.probes,
        )

    def __repr__(self) -> str:
        return f"Breaker(failures={self.failures}, window={self.window:g}, recovery={self.recovery:g})"


def _verdict(fault: Fault | None) -> Verdict:
    if fault is None:
        return _OK
    return _FAILED if fault.unhealthy and fault.origin in _COUNTED else _IGNORED
