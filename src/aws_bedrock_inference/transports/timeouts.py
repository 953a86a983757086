"""Apply the time limits of one request in flight, and create the faults for failures of the network."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.classify import unanswered
from aws_bedrock_inference.transports.failures import clean

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Call
    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.fault import Fault

# The shortest wait for the network, in seconds. A socket with the time-out 0 would not wait at all.
SHORTEST = 0.001
# The longest wait, in seconds. C counts a socket's time-out in nanoseconds, which overflows after 292 years.
LONGEST = 1e9

# A model that thinks or writes the input of a tool call can be silent for 125 to 196 s (GH
# OpenRouterTeam/ai-sdk-provider#440 and manaflow-ai/subrouter#275, read on 2026-11-29). During that time
# `Timeout(idle=...)` is multiplied by this factor.
QUIET = 4

CREDENTIALS = "credentials"

_LATE = {
    "connect": "ConnectTimeoutError",
    "first_content": "FirstContentTimeout",
    "idle": "IdleTimeout",
    CREDENTIALS: "CredentialRetrievalError",
}

_MESSAGES = {
    "EndpointConnectionError": "no connection to {host}",
    "SSLError": "TLS with {host} failed",
    "ProxyConnectionError": "the proxy could not connect to {host}",
    "ConnectionClosedError": "the connection to {host} was closed before the answer",
    "IncompleteReadError": "the answer of {host} was truncated",
    "StreamBroken": "the stream of {host} was truncated",
    "MalformedResponse": "the answer of {host} is not valid HTTP",
}


class Exchange:
    """The time limits of one request to `host`.

    A request consists of several waits, such as the wait for the connection and the wait for the first content. Each
    wait has its own limit. No wait lasts beyond the end of the attempt (`Timeout(total=...)`) or of the call.

    `begin` starts a wait, and `left` returns its remaining time. A wait can consist of several steps, such as several
    receives, but its limit applies to all steps together. While `quiet` is True, a long silence of the model is normal,
    and the idle limit is longer.
    """

    def __init__(self, call: Call, host: str, clock: Clock) -> None:
        self._timeout = call.timeout
        self._host = host
        self._clock = clock
        self._started = clock()
        self._end = min(call.deadline, self._started + call.timeout.total)
        self._end_name = "the call's deadline" if self._end == call.deadline else "Timeout(total)"
        self.quiet = False
        self.limit = ""
        self._until = self._end

    def begin(self, limit: str) -> None:
        """Start a wait. `limit` is the name of the option of `Timeout` that limits the wait, such as `connect`.

        The limit `first_content` is measured from the start of the request. All other limits are measured from the
        start of the wait. For a wait for credentials, `limit` is the constant `CREDENTIALS`. `Timeout` has no option
        for this wait. Only the end of the attempt or of the call limits it.
        """
        seconds = self._seconds(limit)
        until = (self._started if limit == "first_content" else self._clock()) + seconds
        self.limit = limit
        self._until = until if until < self._end else self._end

    def left(self) -> float | None:
        """Return the remaining seconds of the wait, or None if the wait has no limit. Raises `TimeoutError` after the
        limit.
        """
        seconds = self._until - self._clock()
        if seconds <= 0:
            raise TimeoutError("the time limit has expired")
        return None if seconds > LONGEST else seconds if seconds > SHORTEST else SHORTEST

    def timeout(self, limit: str) -> float | None:
        """Start the wait whose limit is called `limit`. Return the maximum length of the wait in seconds, or None if
        the wait has no limit.
        """
        self.begin(limit)
        seconds = self._until - self._clock()
        return None if seconds > LONGEST else max(seconds, SHORTEST)

    def late(self) -> Fault:
        """Return the fault of a wait that exceeded its own limit or the end of the attempt."""
        limit = self.limit
        seconds = self._seconds(limit)
        name, code = f"Timeout({limit})", _LATE.get(limit, "ReadTimeoutError")
        if self._end <= self._clock() and self._end - self._started < seconds:
            seconds, name = max(0.0, self._end - self._started), self._end_name
            code = code if limit in ("connect", CREDENTIALS) else "AttemptTimeout"
        if limit == CREDENTIALS:
            message = f"the credentials were not renewed within {seconds:.4g} s ({name})"
        else:
            message = f"no data from {self._host} within {seconds:.4g} s ({name})"
        return unanswered(TimeoutError(message), code=code, message=message)

    def _seconds(self, limit: str) -> float:
        seconds: float = getattr(self._timeout, limit, inf)
        return seconds * QUIET if self.quiet and limit == "idle" else seconds

    def failed(self, code: str, error: BaseException) -> Fault:
        """Return the fault for `error`, an error of the network. `code` is the code of the fault."""
        reason = clean(error)
        return unanswered(reason, code=code, message=f"{_MESSAGES[code].format(host=self._host)}: {reason}")
