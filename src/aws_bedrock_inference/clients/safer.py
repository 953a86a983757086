"""Receive a complete answer as a stream internally, where that is safer.

An answer without streaming arrives in one piece, after its last token. Proxies, NAT gateways and the caller's own time
limits close a connection that is silent for a minute. The generation is then lost but charged, and the retry is charged
again. A stream is never silent for that long, and a broken stream is noticed immediately. Streaming needs the
permission bedrock:InvokeModelWithResponseStream, which converse does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Decision, Kind

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.flow import Flow, Step

# An answer with this many tokens can take a minute, because models write 15 to 100 tokens a second. Proxies and
# gateways usually close a connection that is silent for a minute.
LONG = 1000

AUTO = "auto"
"""The value of the argument `stream` that leaves the decision to `Safer`."""

_ACTION = "InvokeModelWithResponseStream"


class Safer:
    """Decides for each call whether to receive its answer as a stream. An answer that can be long is received as a
    stream.

    If streaming is denied or not supported, the call is sent again without streaming. All later calls of the same model
    in the same Region are then sent without streaming. Some models refuse streaming only for calls with tools.
    Therefore a refusal of a call with tools affects only calls with tools. In the same way, a refusal of a call without
    tools affects only calls without tools.
    """

    def __init__(self) -> None:
        self._cannot: set[tuple[str, bool]] = set()

    def flow(self, call: Call, send: Step, collect: Step) -> Flow:
        """Run the Converse call `call` with the step `collect` or the step `send`.

        If the answer can be long, `collect` receives it as a stream. If the answer is short, or if the service refuses
        streaming, `send` receives the answer without streaming.
        """
        route = (call.route.health_key, "toolConfig" in call.params)
        if call.estimate.output_tokens < LONG or route in self._cannot:
            return (yield from send(call))
        outcome = yield from collect(call._replace(operation="converse_stream", collected=True))
        if outcome.fault is None or not _cannot_stream(outcome.fault):
            return outcome
        outcome = yield from send(call)
        if outcome.fault is None:
            self._cannot.add(route)
        return outcome


def _cannot_stream(fault: Fault) -> bool:
    if fault.kind is Kind.DENIED:
        return _ACTION in fault.message
    return fault.kind is Kind.INVALID and fault.decision is Decision.FAIL and "stream" in fault.message.lower()
