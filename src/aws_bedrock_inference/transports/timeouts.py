"""The time limits of one request in flight, and the faults of the network."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.classify import unanswered

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault

# The shortest wait that is asked of the network, in seconds: to a socket, 0 means not to wait at all.
SHORTEST = 0.001

# A model that thinks or writes a tool's input is silent for 125 to 196 s (GH OpenRouterTeam/ai-sdk-provider#440 and
# manaflow-ai/subrouter#275, read on 2026-11-29): `Timeout(idle=...)` is that many times longer then.
QUIET = 4

_LATE = {"connect": "ConnectTimeoutError", "idle": "IdleTimeout"}

_SAID = {
    "EndpointConnectionError": "no connection to",
    "SSLError": "TLS failed with",
    "ProxyConnectionError": "the proxy could not connect to",
    "ConnectionClosedError": "the connection was closed before the answer by",
    "IncompleteReadError": "the answer was truncated by",
    "StreamBroken": "the stream was truncated by",
    "MalformedResponse": "the answer is not valid HTTP from",
}


class Exchange:
    """The limits of one request to `host`. Each wait has its own, and none goes beyond the end of the attempt
    (`Timeout(total=...)`) or of the call. While the model is `quiet`, it may be idle for longer.
    """

    def __init__(self, call: Call, host: str, clock: Clock) -> None:
        self._timeout = call.timeout
        self._host = host
        self._clock = clock
        self._started = clock()
        self._end = min(call.deadline, self._started + call.timeout.total)
        self._end_name = "the call's deadline" if self._end == call.deadline else "Timeout(total)"
        self.quiet = False

    def timeout(self, limit: str) -> float | None:
        """Return the seconds that the wait called `limit` in `Timeout` may take from now; None for no limit."""
        seconds = self._seconds(limit)
        now = self._clock()
        if limit == "first_event":
            seconds += self._started - now
        seconds = min(seconds, self._end - now)
        return None if seconds == inf else max(seconds, SHORTEST)

    def late(self, limit: str, error: BaseException | None) -> Fault:
        """Return the fault of a wait that took longer than `limit` or than the attempt may."""
        seconds = self._seconds(limit)
        name, code = f"Timeout({limit})", _LATE.get(limit, "ReadTimeoutError")
        if self._end <= self._clock() and self._end - self._started < seconds:
            seconds, name = self._end - self._started, self._end_name
            code = code if limit == "connect" else "AttemptTimeout"
        return unanswered(error, code=code, message=f"no data from {self._host} within {seconds:.4g} s ({name})")

    def _seconds(self, limit: str) -> float:
        seconds: float = getattr(self._timeout, limit)
        return seconds * QUIET if self.quiet and limit == "idle" else seconds

    def failed(self, code: str, error: BaseException) -> Fault:
        """Return the fault called `code` that the network's `error` is; what lies under it says why."""
        reason = error.__cause__ or error.__context__ or error
        return unanswered(error, code=code, message=f"{_SAID[code]} {self._host}: {reason}")
