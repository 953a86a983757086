"""Send one call on the routes of a `Fallback`, one after another, until a route answers. A route is a model in one
Region and account. A leg is a route together with the endpoint and credentials that this call needs on the route.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.call import Attempt, Outcome
from aws_bedrock_inference.dialects.filtered import cause_of, filtered_of
from aws_bedrock_inference.dialects.needs import needs
from aws_bedrock_inference.events import FellBack, RouteHealthChanged
from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.flow import emit, sleep
from aws_bedrock_inference.knowledge.elsewhere import NOWHERE, closes
from aws_bedrock_inference.made import Hop
from aws_bedrock_inference.policies.breaches import answered, is_breach, is_shut, may_still_answer
from aws_bedrock_inference.policies.places import Late, found_leg
from aws_bedrock_inference.policies.refusals import invalid_request, too_close
from aws_bedrock_inference.rules.backoff import JITTERS, delay
from aws_bedrock_inference.rules.health import Turn

if TYPE_CHECKING:
    from collections.abc import Generator

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.flow import Effect, Flow, Step
    from aws_bedrock_inference.knowledge.abilities import Needs
    from aws_bedrock_inference.policies.fallback import Fallback
    from aws_bedrock_inference.policies.targets import Leg

# The seconds for which a route rests that cannot answer until somebody corrects its setup.
CLOSED = 300.0

# The longest wait requested by the service, in seconds, for which a call makes a second attempt on a healthy route.
SHORT_WAIT = 2.0

# Connect timeout, in seconds, of a call that tests a resting route: an outage must not delay this call much.
PROBE_CONNECT = 3.0

# Faults that often affect only one request. A lack of capacity or a silent service also affects the next request.
_STRAY = frozenset({Kind.SERVER, Kind.THROTTLED, Kind.STREAM})

FILTERED = "filtered"
"""The key of `Fallback(on=...)` for answers whose content was filtered."""

_FILTERED = Fault(
    code="ContentFiltered",
    message="the content was filtered",
    kind=Kind.INVALID,
    decision=Decision.FAIL,
    category=Category.PERMANENT,
)


class Journey:
    """One call and its routes. `_hops` contains the routes that the call has left, with their outcomes."""

    def __init__(self, policy: Fallback, call: Call, clock: Clock) -> None:
        self.policy = policy
        self.call = call
        self.clock = clock
        self.sent = 0
        self._paced = 0  # throttles that the quota paced; they do not count as attempts
        self._hops: list[tuple[Leg, Outcome]] = []
        self._skipped: dict[int, str] = {}
        self._untried = list(range(len(policy.targets) + 1))
        self._back = False
        self._changed = False
        self._needed: Needs | None = None

    def run(self, step: Step) -> Flow:
        """Send the call on one route (model, Region and account) after another until a route answers."""
        chosen = yield from self._first()
        while chosen is not None:
            leg, turn = chosen
            before = self.sent
            outcome = yield from self._through(step, leg, turn)
            outcome = self._judged(outcome)
            fault = outcome.fault
            if fault is None or outcome.emitted:
                return self._ended(leg, outcome)
            self._hops.append((leg, outcome))
            if leg.number == 0 and not self.policy.differences(fault):
                return self._ended(leg, outcome)
            chosen = yield from self._next(fault)
            if chosen is not None and chosen[0].number != leg.number:
                sent = self.sent - before
                yield from emit(FellBack(leg.route, chosen[0].route, fault, sent, self.sent))
        return self._failed()

    @property
    def _spent(self) -> bool:
        """True if the call has made all the attempts that the option `attempts` allows."""
        return self.sent - self._paced >= self.policy.attempts

    def _first(self) -> Generator[Effect, Any, tuple[Leg, Turn] | None]:
        """Return the first route for the call: the route of its pinned conversation, unless this route rests. Otherwise
        return the first route in the list that accepts a call now. If none does, return the healthiest route.
        """
        call, policy, now = self.call, self.policy, self.clock()
        pinned = None if call.pin is None else policy.pins.get(call.pin)
        if pinned is not None and pinned in self._untried:
            leg = yield from self._leg(pinned)
            if leg is not None and not leg.health.resting:
                self._untried.remove(pinned)
                return leg, Turn.YES
        legs = []
        for number in list(self._untried):
            leg = yield from self._leg(number)
            if leg is None:
                continue
            turn = leg.health.turn(now)
            if turn is not Turn.NO:
                self._untried.remove(number)
                return leg, turn
            legs.append(leg)
        if not legs:
            return None
        best = max(legs, key=lambda leg: (leg.health.share, -leg.number))
        self._untried.remove(best.number)
        return best, Turn.YES

    def _next(self, fault: Fault) -> Generator[Effect, Any, tuple[Leg, Turn] | None]:
        """Return the next route for the call after `fault`: the best route that it has not used yet and that can help.
        Healthy routes come first.

        If there is no such route, return a route that the call has left but that can still answer. A call goes back to
        an earlier route only once. Return None if no route can help, or if the limit of attempts is reached.
        """
        if self._spent and not fault.paced:
            return None
        legs = []
        for number in list(self._untried):
            leg = yield from self._leg(number)
            if leg is not None and self._may_help(leg):
                legs.append(leg)
        if legs:
            best = min(legs, key=lambda leg: (leg.health.resting, leg.number))
            self._untried.remove(best.number)
            return best, Turn.YES
        if not self._back:
            self._back = True
            self._untried.clear()
            return (yield from self._return())
        return None

    def _return(self) -> Generator[Effect, Any, tuple[Leg, Turn] | None]:
        """Find the first route that this call has left but that can still answer. If a backoff is necessary, wait. Then
        return the route. Return None if there is no such route, or if the backoff would last beyond the deadline.
        """
        found = self._left_with_hope()
        if found is None:
            return None
        leg, outcome = found
        fault, wait = outcome.fault, 0.0
        if fault is not None and fault.decision is not Decision.FAIL:
            wait = delay(fault, len(outcome.earlier) + 1, 0.0, jitter=JITTERS["full"], chance=self.policy.chance)
        if self.clock() + wait >= self.call.deadline:
            return None
        yield from sleep(wait)
        return leg, Turn.YES

    def _left_with_hope(self) -> tuple[Leg, Outcome] | None:
        """Return the first route that this call has left but that can still answer, and the outcome of the call on this
        route. Return None if there is no such route.
        """
        return next((hop for hop in self._hops if may_still_answer(hop[1])), None)

    def _waits_before(self, leg: Leg) -> bool:
        """Decide where a throttled call waits for quota if no unused route can help. Return False if the call waits on
        `leg`. Return True if the call leaves `leg`, and waits on a route that throttled it earlier.

        The call waits on the earlier route if that route comes before `leg` in the list, because the best routes come
        first. A call goes back to an earlier route only once.
        """
        first = None if self._back else self._left_with_hope()
        fault = None if first is None or first[0].number > leg.number else first[1].fault
        return fault is not None and fault.paced

    def _may_help(self, leg: Leg) -> bool:
        for left, outcome in self._hops:
            wanted = NOWHERE if outcome.fault is None else self.policy.differences(outcome.fault)
            if wanted and not leg.differs(left, wanted):
                return False
        return True

    def _leg(self, number: int) -> Generator[Effect, Any, Leg | None]:
        """Return the route at position `number` in the list of routes. If the call cannot use this route, store the
        reason and return None.
        """
        found = yield from found_leg(self.policy, self.call, number, self._needs, self.clock())
        if isinstance(found, str):
            if found:
                self._skipped[number] = found
                self.policy.places.passed_over(found)
            self._untried.remove(number)
            return None
        return found

    def _needs(self) -> Needs:
        if self._needed is None:
            self._needed = needs(self.call.operation, self.call.params, self.call.estimate)
        return self._needed

    def _through(self, step: Step, leg: Leg, turn: Turn) -> Flow:
        now = self.clock()
        last = not self._untried
        call = leg.call(self.call)
        timeout, deadline = call.timeout, call.deadline
        if turn is Turn.PROBE:
            timeout = replace(timeout, connect=min(timeout.connect, PROBE_CONNECT))
        if not last and deadline < inf and self.policy.reserve:
            share = (deadline - now) * (1.0 - self.policy.reserve)
            if call.streams:
                timeout = replace(timeout, first_content=min(timeout.first_content, max(share, 0.001)))
            else:
                deadline = now + share
        counted = 0

        def moves(fault: Fault, attempt: int) -> bool:
            nonlocal counted
            counted = attempt
            return self._moves(leg, turn, fault, attempt, last=last)

        outcome: Outcome = yield from step(call._replace(timeout=timeout, deadline=deadline, moves=moves))
        if outcome.fault is not None:
            if counted <= len(outcome.earlier):  # no Retry policy reported the last attempt
                moves(outcome.fault, len(outcome.earlier) + 1)
        else:
            self.sent += 1
        if answered(outcome):
            self._changed = leg.health.succeeded(probe=turn is Turn.PROBE)
        if self._changed:
            self._changed = False
            yield from emit(RouteHealthChanged(leg.route, leg.health.resting, leg.health.share))
        return outcome

    def _moves(self, leg: Leg, turn: Turn, fault: Fault, attempt: int, *, last: bool) -> bool:
        """Count a failed attempt of the call on the route `leg`. Return True if the call leaves this route now. Return
        False if it stays. `last` is True if no unused route remains.

        A server error, a throttle or a broken stream often affects only one request. Therefore the call makes a second
        attempt on the same route after such a fault, if the route is healthy.
        """
        full = leg.health.share >= 1.0
        if fault.kind is not Kind.REFUSED:
            self.sent += 1
            self._paced += fault.paced
        if closes(fault):
            self._changed |= leg.health.rest(self.clock(), CLOSED)
        elif is_breach(fault) or (leg.number and is_shut(fault)):
            self._changed |= leg.health.breached(self.clock())
        if last or not self.policy.differences(fault):
            return self._waits_before(leg) if fault.paced else self._spent
        stray = fault.kind in _STRAY and fault.stated_wait <= SHORT_WAIT
        return not (stray and full and turn is Turn.YES and attempt == 1) or self._spent

    def _judged(self, outcome: Outcome) -> Outcome:
        """Return the outcome. If the option `on` has the key `filtered`, add a fault to the outcome of a filtered
        answer. Without a fault, the call would not leave the route.
        """
        if FILTERED not in self.policy.on or outcome.fault is not None or not isinstance(outcome.value, dict):
            return outcome
        filtered = filtered_of(outcome.value)
        return outcome if filtered is None else outcome._replace(fault=replace(_FILTERED, cause=cause_of(filtered)))

    def _ended(self, leg: Leg, outcome: Outcome) -> Outcome:
        """Return the outcome of the last route, with the history of the routes before it."""
        if self.call.pin is not None and answered(outcome):
            self.policy.pins.set(self.call.pin, leg.number)
        hops = [hop for hop in self._hops if hop[1] is not outcome]
        if not hops and leg.number == 0:
            return outcome
        made = replace(outcome.made, route=leg.route, trail=tuple(map(_hop, hops)))
        earlier = tuple(attempt for _, left in hops for attempt in _attempts(left))
        return outcome._replace(made=made, earlier=(*earlier, *outcome.earlier))

    def _failed(self) -> Outcome:
        """Return the outcome of a call that no route answered. If requests were sent on several routes, return the
        outcome on the best of these routes. The requested route is the best, and then the targets in their order. Add
        the failures on the other routes as the call's history.
        """
        if not self._hops:
            late = any(isinstance(reason, Late) for reason in self._skipped.values())
            refused = too_close if late else invalid_request
            return Outcome(fault=refused(f"no route can answer the call: {'; '.join(self._skipped.values())}"))
        # Reversed, so that the latest of equal outcomes is chosen: a call that returned to its first route ended there.
        leg, outcome = min(self._hops[::-1], key=lambda hop: (_refused(hop[1]), hop[0].number))
        made = replace(outcome.made, route=leg.route if leg.number else None, trail=tuple(map(_hop, self._hops)))
        earlier = [
            attempt for _, left in self._hops for attempt in (left.earlier if left is outcome else _attempts(left))
        ]
        others = [hop for hop in self._hops if hop[1] is not outcome]
        tried = [str(_hop(hop)) for hop in others if hop[0].number != leg.number] + list(self._skipped.values())
        gave_up = f"no other route answered: {'; '.join(tried)}" if tried else self._gave_up(outcome)
        failed = outcome._replace(made=made, earlier=tuple(earlier), gave_up=gave_up)
        return failed._replace(fault=None) if is_filtered_answer(outcome) else failed

    def _gave_up(self, outcome: Outcome) -> str:
        if self._spent:
            return f"the fallback's limit of {self.policy.attempts} attempts is reached"
        return outcome.gave_up if len(self._hops) > 1 else "no other route could answer the call"


def _hop(left: tuple[Leg, Outcome]) -> Hop:
    leg, outcome = left
    assert outcome.fault is not None  # noqa: S101 - a call leaves a route only after a fault
    return Hop(leg.route, outcome.fault, outcome.attempts, outcome.usage)


def _attempts(left: Outcome) -> tuple[Attempt, ...]:
    return left.earlier if left.fault is None else (*left.earlier, Attempt(left.fault, 0.0))


def _refused(outcome: Outcome) -> bool:
    return outcome.fault is not None and outcome.fault.kind is Kind.REFUSED


def is_filtered_answer(outcome: Outcome) -> bool:
    """Return True if an outcome is an answer whose content was filtered; otherwise return False."""
    return outcome.fault is not None and outcome.fault.code == _FILTERED.code and isinstance(outcome.value, dict)
