"""The circuit breaker policy: it stops the calls to an unhealthy model, and sends a few test calls until the model
recovers.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.call import Call, Outcome
from aws_bedrock_inference.events import CircuitChanged
from aws_bedrock_inference.fault import Origin
from aws_bedrock_inference.flow import emit
from aws_bedrock_inference.policies.keyed import Keyed
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.policies.refusals import circuit_open
from aws_bedrock_inference.rules.circuit import Circuit, Refusal, Verdict

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Route
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Flow, Step

_OK, _FAILED, _IGNORED = Verdict  # read once, because every call needs them
_COUNTED = frozenset({Origin.SERVICE, Origin.NETWORK})


class Breaker(Ordered):
    """A circuit breaker, which refuses calls to a failing model without sending them. Each model has a separate circuit
    in each account and Region. An open circuit refuses all calls.

    * `failures`, default 5: a circuit opens only if at least this number of calls failed within the window, so that a
      single error does not open it.
    * `ratio`, default 0.5: in addition, at least this fraction of all calls in the window must have failed. So a few
      faults among many calls do not open the circuit.
    * `window`, default 10: the length of the window, in seconds.
    * `recovery`, default 5: the seconds after which an open circuit sends test calls (probes). Most short failures end
      earlier.
    * `probes`, default 3: the number of test calls. If at least the fraction `ratio` of these calls fails, the circuit
      opens again. With the defaults, one random failure does not open the circuit.

    Only faults of the service are counted. Throttles, models that are still loading and invalid requests never open a
    circuit. Faults of credentials, DNS, proxies, TLS or this machine do not open it either. A refused or timed-out
    connection to the endpoint is counted, because further calls would also wait for a connection and fail. While the
    circuit is open, a `Fallback` can send calls to another Region.

    Refuses with `CircuitOpen`. Emits `CircuitChanged`. Raises `ValueError` for invalid options.
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
                "Breaker: failures and probes must be 1 or more, ratio must be above 0 and at most 1, window and "
                f"recovery must be seconds above 0; got failures={shown(failures)}, ratio={shown(ratio)}, "
                f"window={shown(window)}, "
                f"recovery={shown(recovery)}, probes={shown(probes)}"
            )
        self.failures = failures
        self.ratio = ratio
        self.window = window
        self.recovery = recovery
        self.probes = probes
        self._circuits = Keyed(Circuit.idle)

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that runs `step` (the rest of the pipeline) for each call that the circuit breaker admits."""
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
        """Return the circuit breaker for calls on `route` (model, Region and account). The first call on a route
        creates its circuit.
        """
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
