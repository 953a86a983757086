"""The policy that continues a stream after it has broken in the middle of its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown, shown_name
from aws_bedrock_inference.call import Attempt, OnInterrupt, Outcome, Usage
from aws_bedrock_inference.dialects.continuation import Rest, can_be_continued, continued, is_prefilled, tokens_again
from aws_bedrock_inference.events import StreamResumed
from aws_bedrock_inference.fault import Decision, Kind
from aws_bedrock_inference.flow import ABANDONED, emit, give, passing, sleep
from aws_bedrock_inference.knowledge.models import model_facts
from aws_bedrock_inference.made import Interrupted, Joint, Seam
from aws_bedrock_inference.policies.order import Ordered
from aws_bedrock_inference.rules.backoff import JITTERS, delay
from aws_bedrock_inference.rules.seam import Seam as Cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Chance, Clock
    from aws_bedrock_inference.dialects.stream import Transcript
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Flow, Pipeline, Step

_WAYS = get_args(OnInterrupt)

# The approximate number of tokens of the added message that asks the model to continue.
_INSTRUCTION = 150


class Resume(Ordered):
    """A policy for streams that break after their first content. `Retry` does not retry such a stream, because it would
    deliver the first part of the text twice.

    * `on_interrupt`, default `raise`: what happens after a break. A call can set its own value. `raise` raises the
      fault, with the content that was received. `restart` delivers an `Interrupted` and then a complete new answer.
      `continue` asks the model to continue the received content, and removes the overlap, so that the caller reads one
      text. Half a tool call or half of a JSON answer cannot be continued, and the service can refuse a continuation as
      invalid. In these cases, `continue` does the same as `restart`. The default is `raise`, because only the caller
      knows whether the delivered text can be withdrawn.
    * `interruptions`, default 3: the maximum number of times that one answer is resumed. Each continuation or
      restart costs the whole input again.
    * `chance`: the random source for the length of the wait before a resumption.

    An answer is resumed only if its fault allows a retry, and only before the call's deadline.

    Refuses no call. Emits `StreamResumed`. Raises `ValueError` for invalid options.
    """

    def __init__(
        self, on_interrupt: OnInterrupt = "raise", *, interruptions: int = 3, chance: Chance = clocks.chance
    ) -> None:
        if on_interrupt not in _WAYS:
            raise ValueError(f"Resume({shown_name(on_interrupt, _WAYS)}): pass one of {', '.join(_WAYS)}")
        if not is_number(interruptions, least=1, whole=True):
            raise ValueError(f"Resume(interruptions={shown(interruptions)}): pass a whole number, 1 or more")
        self.on_interrupt = on_interrupt
        self.interruptions = interruptions
        self._chance = chance

    def around(self, step: Step, clock: Clock) -> Step:
        """Return a step that runs `step` (the rest of the pipeline), and resumes the streams that break in it."""

        def flow(call: Call) -> Flow:
            if not call.streams or (call.on_interrupt or self.on_interrupt) == "raise":
                return step(call)  # a generator around it would slow down every call and every event
            return self._watched(step, call, clock)

        return flow

    def _watched(self, step: Step, call: Call, clock: Clock) -> Flow:
        outcome = yield from step(call)
        if outcome.emitted and outcome.fault is not None:
            return (yield from self._resumed(step, call, outcome, clock))
        return outcome

    def _resumed(self, step: Step, call: Call, outcome: Outcome, clock: Clock) -> Flow:
        seams: list[Seam] = []
        ways = list(get_args(Joint))
        earlier, emitted, last = list(outcome.earlier), outcome.emitted, outcome.emitted
        before, transcript = 0, outcome.value  # the characters before the last restart, and the content after it
        while (fault := outcome.fault) is not None:
            unfit = bool(seams) and not last and fault.kind is Kind.INVALID and seams[-1].how != "restart"
            if not unfit and (not last or fault.decision is Decision.FAIL):
                break
            wait = 0.0 if unfit else delay(fault, len(seams) + 1, 0.0, jitter=JITTERS["full"], chance=self._chance)
            if late := self._too_late(len(seams), clock() + wait, call):
                outcome = outcome._replace(gave_up=late)
                break
            if unfit:
                ways.remove(seams[-1].how)
            how, received = self._how(call, transcript, ways), transcript.text
            spent = outcome.usage or Usage()
            yield from emit(StreamResumed(call.route, fault, how, len(received), wait, spent.output_tokens))
            yield from sleep(wait)
            earlier.append(Attempt(fault, wait, spent.output_tokens))
            at, verified = before + len(received), False
            if how == "restart":
                before = at
                outcome = yield from _anew(step, call, fault, transcript)
                transcript = outcome.value if outcome.emitted else transcript
            else:
                rest = Rest(transcript, Cut(received) if how == "turn" else None)
                anchor = rest.cut.anchor if rest.cut is not None else None
                outcome = yield from passing(step(_continuation(call, received, anchor, transcript.tokens)), rest.take)
                verified = rest.verified
            last = outcome.emitted
            emitted += last
            seams.append(Seam(at, how, verified=bool(last) and verified, fault=fault, usage=spent))
            earlier.extend(outcome.earlier)
        if not seams:
            return outcome
        return outcome._replace(
            value=transcript,
            usage=_sum(seams, outcome.usage),
            emitted=emitted,
            earlier=tuple(earlier),
            made=replace(outcome.made, seams=tuple(seams)),
        )

    def _too_late(self, resumed: int, start: float, call: Call) -> str | None:
        """Return the reason why a broken answer is not resumed, or None if it is resumed. `resumed` is the number of
        earlier resumptions of this answer. `start` is the time at which the next resumption would start.
        """
        if resumed >= self.interruptions:
            return f"the stream broke {resumed + 1} times"
        return "the next part would start after the deadline" if start >= call.deadline else None

    def _how(self, call: Call, transcript: Transcript, ways: Sequence[Joint]) -> Joint:
        """Return the first of `ways` (ways to resume) that is possible for this call and for the received part of its
        answer. Return `restart` if the call requests it, or if the received part cannot be continued.
        """
        anew = (call.on_interrupt or self.on_interrupt) == "restart"
        if anew or not can_be_continued(call.params, transcript.message()):
            return "restart"
        prefill = model_facts(call.route.base).prefill or is_prefilled(call.params)
        return next(way for way in ways if prefill or way != "prefill")

    def __repr__(self) -> str:
        return f"Resume({self.on_interrupt!r})"


def unresumable(on_interrupt: Any, pipeline: Pipeline) -> str | None:
    """Return an error message if the option `on_interrupt` of a call is invalid, or None if it is valid."""
    if on_interrupt not in _WAYS:
        return f"on_interrupt={shown_name(on_interrupt, _WAYS)}: pass one of {', '.join(_WAYS)}"
    if on_interrupt != "raise" and not any(isinstance(policy, Resume) for policy in pipeline.policies):
        return (
            f"on_interrupt={on_interrupt!r} needs the policy Resume in the pipeline, before Retry; standard() adds it"
        )
    return None


def _anew(step: Step, call: Call, fault: Fault, transcript: Transcript) -> Flow:
    """Deliver the notice `Interrupted` (the earlier content is invalid), and send the request of `call` again. If the
    caller stops reading after the notice, the second request is not sent, and costs nothing.
    """
    if not (yield from give(Interrupted(fault))):
        return Outcome(transcript, ABANDONED)
    return (yield from passing(step(call), _without_head))


def _without_head(item: Any) -> tuple[Any, ...]:
    return (item,) if isinstance(item, dict) else ()


def _continuation(call: Call, received: str, anchor: str | None, tokens: int) -> Call:
    """Return the call that requests the rest of the answer, after the text `received`."""
    estimate = replace(
        call.estimate,
        input_tokens=call.estimate.input_tokens + tokens + (_INSTRUCTION if anchor else 0),
        output_tokens=max(1, call.estimate.output_tokens - tokens) + tokens_again(anchor),
    )
    return call._replace(params=continued(call.params, received, anchor, tokens), estimate=estimate)


def _sum(seams: list[Seam], last: Usage | None) -> Usage | None:
    """Return the sum of the tokens that all parts of the answer used."""
    parts = [seam.usage for seam in seams] + ([last] if last is not None else [])
    return sum(parts[1:], parts[0]) if parts else None
