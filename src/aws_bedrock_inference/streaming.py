"""The innermost step of a streaming call: open the stream, deliver its events, and check that the answer is complete.

Nothing is delivered before the first event with content. Earlier events, such as `messageStart`, are delivered together
with it. A fault before this event can therefore be retried, and the consumer does not notice the fault.

If a stream ends without its closing event, the answer counts as truncated. The transcript's attribute `may_end` is True
in the few cases in which such an answer counts as complete.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from aws_bedrock_inference.call import Outcome
from aws_bedrock_inference.dialects.echo import unechoed
from aws_bedrock_inference.dialects.stream import transcript_of
from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.flow import ABANDONED, Give, Head, Next, Send
from aws_bedrock_inference.knowledge.classify import answered, unanswered

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.dialects.stream import Transcript
    from aws_bedrock_inference.flow import Flow

# Faults of attempts that exceeded a time limit.
_LATE = frozenset({"IdleTimeout", "AttemptTimeout", "FirstContentTimeout", "ReadTimeoutError"})

_RAISE_LIMIT = (
    "The model was silent while it thought or wrote the input of a tool, and a repeat would be equally silent. "
    "Raise the limit."
)


def stream(call: Call) -> Flow:
    """Deliver the head (boto3's response without the stream), and then the events of the stream.

    When this generator ends, it returns an `Outcome`. The value of the outcome is the transcript: all received events.
    """
    opened = cast("Outcome", (yield Send(call)))
    if opened.fault is not None:
        return unechoed(call, opened)
    source, transcript = opened.value, transcript_of(call.operation)
    following = Next(source)  # created once: the helpers of `flow` would cost 0.5 microseconds per event
    held: list[Any] = [Head(source.response)]
    emitted = 0
    while True:
        event: dict[str, Any] | Fault | None = yield following
        if event is None or isinstance(event, Fault):
            fault = _verdict(event, transcript)
            if fault is not None:
                return unechoed(call, Outcome(transcript, fault, _spent(call, transcript), emitted))
            transcript.begun = True
        else:
            transcript.add(event)
            source.quiet = transcript.quiet
            held.append(event)
        if transcript.begun:
            source.begun = True
            for item in held:
                emitted += 1
                if not (yield Give(item)):
                    return Outcome(transcript, ABANDONED, transcript.spent(call.estimate), emitted)
            held.clear()
        if event is None or isinstance(event, Fault):
            return Outcome(transcript, None, transcript.spent(call.estimate), emitted)


def collect(call: Call) -> Flow:
    """Read a ConverseStream to its end and return it as the response of Converse.

    Nothing is delivered before the end, so a stream that breaks at any point can be retried like any other failure.
    """
    opened = cast("Outcome", (yield Send(call)))
    if opened.fault is not None:
        return unechoed(call, opened)
    source, transcript = opened.value, transcript_of(call.operation)
    following = Next(source)
    while True:
        event: dict[str, Any] | Fault | None = yield following
        if event is None or isinstance(event, Fault):
            fault = _verdict(event, transcript)
            if fault is not None:
                return unechoed(call, Outcome(transcript, _with_cost(fault, transcript), _spent(call, transcript)))
            return Outcome(transcript.response(source.response), None, transcript.spent(call.estimate))
        transcript.add(event)
        source.begun, source.quiet = transcript.begun, transcript.quiet


def _verdict(end: Fault | None, transcript: Transcript) -> Fault | None:
    """Return the fault of a stream that has ended, or None if the stream succeeded. If a stream breaks after its
    closing event, the answer is complete and the stream has succeeded.
    """
    if transcript.whole:
        return None
    if transcript.failure is not None:
        code, message, status = transcript.failure
        if code or status is not None:
            return answered(code, message, status=status)
        return unanswered(None, code="StreamBroken", message=f"the model reported an error in its stream: {message}")
    if end is not None:
        return end
    if transcript.may_end:
        return None
    return unanswered(
        None, code="StreamIncomplete", message="the stream ended without its closing event; the answer is truncated"
    )


def _with_cost(fault: Fault, transcript: Transcript) -> Fault:
    """Return the fault of a stream that ended too early.

    If the stream exceeded a time limit after its first content, the message also states how many output tokens had
    arrived, because AWS charges them.

    While a model thinks or writes the input of a tool, it can send nothing for a long time. If the stream exceeded the
    idle timeout during such a silence, the call is not retried. A second request would probably exceed it, too.
    """
    if fault.code not in _LATE or not transcript.begun:
        return fault
    message = f"{fault.message}; about {transcript.tokens} tokens of the answer had arrived and are charged"
    if transcript.quiet and fault.code == "IdleTimeout":
        return replace(fault, message=message, decision=Decision.FAIL, advice=_RAISE_LIMIT)
    return replace(fault, message=message)


def _spent(call: Call, transcript: Transcript) -> Any:
    """Return the usage that a failed stream reported, or an estimate from the content that arrived. If the answer had
    not begun, return None, so that the quota policy releases the reservation.
    """
    return transcript.spent(call.estimate) if transcript.begun else None
