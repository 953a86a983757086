"""What users catch.

    BedrockError                    everything below
    ├── Refused                     we did not call
    │   ├── InvalidRequest          the request cannot be right (also a ValueError)
    │   ├── CircuitOpen             the model keeps failing; asking again makes sense after `retry_after` seconds
    │   ├── QuotaExhausted          larger than a whole minute's quota, or the day's tokens are spent
    │   ├── QueueFull               too many calls wait for quota already
    │   └── DeadlineTooClose        could not have ended in time (also a TimeoutError)
    └── ServiceFault                the service or the network answered (also botocore's ClientError)
        ├── Throttled               the account's quota is used up
        ├── Overloaded              AWS's shared capacity is
        ├── NotReady                an imported or custom model is still loading
        ├── ServerFailed            a fault inside AWS
        ├── ModelFailed             the model failed on this request
        ├── InvalidByService        the service does not accept the request
        ├── Denied                  credentials, permission or access to the model are missing
        ├── NotFound                no such model or resource
        ├── TimedOut                no answer in time (also a TimeoutError)
        ├── Unreachable             no connection (also a ConnectionError)
        └── StreamBroken            the answer broke off; what arrived is in `received`

Every one carries what was known when it was raised: `code`, `decision`, `cause`, `advice`, `attempts`, `request_id`,
`route`, `retry_after` and, for each earlier attempt, a note.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.fault import Decision, Fault, Kind

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Attempt, Outcome, Route
    from aws_bedrock_inference.dialects.stream import Transcript


class BedrockError(Exception):
    """A call that did not end well. The message says what happened, what was done, and what to do."""

    def __init__(self, outcome: Outcome, operation: str, route: Route) -> None:
        assert outcome.fault is not None  # noqa: S101 - only a failed outcome becomes an exception
        Exception.__init__(self, _sentence(outcome, outcome.fault, operation, route))
        self._set(outcome, outcome.fault, operation, route)

    def _set(self, outcome: Outcome, fault: Fault, operation: str, route: Route) -> None:
        self.outcome = outcome
        self.fault = fault
        self.operation = operation
        self.route = route
        for attempt in outcome.earlier:
            self.add_note(
                f"earlier: {attempt.fault} (request id {attempt.fault.request_id}), then waited {attempt.wait:.2f} s"
            )

    @property
    def code(self) -> str:
        """The service's error code, or our name for it, in its canonical spelling."""
        return self.fault.code

    @property
    def decision(self) -> Decision:
        """Whether the same request may be tried again."""
        return self.fault.decision

    @property
    def cause(self) -> str:
        """A stable slug of what is behind it."""
        return self.fault.cause

    @property
    def advice(self) -> str:
        """What to do."""
        return self.fault.advice

    @property
    def attempts(self) -> int:
        """How many times it was sent; 0 when it was refused before that."""
        return self.outcome.attempts

    @property
    def request_id(self) -> str | None:
        """The request id of the last answer, for AWS Support."""
        return self.fault.request_id

    @property
    def request_ids(self) -> tuple[str, ...]:
        """The request ids of all answers, in order."""
        faults = (*(attempt.fault for attempt in self.outcome.earlier), self.fault)
        return tuple(fault.request_id for fault in faults if fault.request_id)

    @property
    def retry_after(self) -> float | None:
        """Seconds after which another attempt makes sense, where that is known."""
        return self.fault.retry_after

    @property
    def model(self) -> str:
        """The model id that was called."""
        return self.route.model

    @property
    def region(self) -> str:
        """The Region that was called."""
        return self.route.region

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), _portable(self.outcome), self.operation, self.route))


class Refused(BedrockError):
    """We did not call."""


class InvalidRequest(Refused, ValueError):
    """The request cannot be right: the message says what is wrong, where, and what to do."""


class CircuitOpen(Refused):
    """The model keeps failing in this Region; calls are held back until it recovers."""


class QuotaExhausted(Refused):
    """The quota cannot carry the call: it is larger than a whole minute's, the day's is spent, or AWS holds it at 0."""


class QueueFull(Refused):
    """Too many calls wait for quota already."""


class DeadlineTooClose(Refused, TimeoutError):
    """The call could not have ended before its deadline."""


class ServiceFault(BedrockError, ClientError):
    """The service or the network answered. Also a botocore `ClientError`, with `response` and `operation_name`."""

    def __init__(self, outcome: Outcome, operation: str, route: Route) -> None:
        BedrockError.__init__(self, outcome, operation, route)
        response: Any = dict(self.fault.response or {})
        response["Error"] = {**response.get("Error", {}), "Code": self.fault.code, "Message": self.fault.message}
        response["ResponseMetadata"] = {
            **response.get("ResponseMetadata", {}),
            "RetryAttempts": max(0, outcome.attempts - 1),
        }
        self.response = response
        self.operation_name = "".join(part.title() for part in operation.split("_"))


class Throttled(ServiceFault):
    """The account's quota is used up."""


class Overloaded(ServiceFault):
    """AWS's shared capacity is short."""


class NotReady(ServiceFault):
    """An imported or custom model is still being loaded."""


class ServerFailed(ServiceFault):
    """A fault inside AWS."""


class ModelFailed(ServiceFault):
    """The model failed on this request."""


class InvalidByService(ServiceFault):
    """The service does not accept the request."""


class Denied(ServiceFault):
    """Credentials, permission or access to the model are missing."""


class NotFound(ServiceFault):
    """There is no such model or resource in this Region."""


class TimedOut(ServiceFault, TimeoutError):
    """No answer came in time."""


class Unreachable(ServiceFault, ConnectionError):
    """There was no connection, or it was lost before an answer."""


class StreamBroken(ServiceFault):
    """The answer broke off before its end."""

    @property
    def received(self) -> str:
        """The text that arrived before the break."""
        return self.transcript.text if self.transcript is not None else ""

    @property
    def received_message(self) -> dict[str, Any]:
        """All that arrived before the break, as a Converse message; a tool's input cut in half stays text."""
        return self.transcript.message() if self.transcript is not None else {"role": "assistant", "content": []}

    @property
    def transcript(self) -> Transcript | None:
        """What the stream had said."""
        transcript: Transcript | None = self.outcome.value
        return transcript


_CLASSES: dict[Kind, type[BedrockError]] = {
    Kind.THROTTLED: Throttled,
    Kind.OVERLOADED: Overloaded,
    Kind.NOT_READY: NotReady,
    Kind.SERVER: ServerFailed,
    Kind.MODEL: ModelFailed,
    Kind.INVALID: InvalidByService,
    Kind.DENIED: Denied,
    Kind.NOT_FOUND: NotFound,
    Kind.TIMED_OUT: TimedOut,
    Kind.UNREACHABLE: Unreachable,
    Kind.STREAM: StreamBroken,
    Kind.UNKNOWN: ServiceFault,
}
_REFUSALS: dict[str, type[BedrockError]] = {
    "InvalidRequest": InvalidRequest,
    "CircuitOpen": CircuitOpen,
    "QuotaExhausted": QuotaExhausted,
    "QueueFull": QueueFull,
    "DeadlineTooClose": DeadlineTooClose,
}


def error_of(outcome: Outcome, operation: str, route: Route) -> BedrockError:
    """Return the exception that tells users of `outcome`, chained to the error underneath it."""
    fault = outcome.fault
    assert fault is not None  # noqa: S101 - only a failed outcome becomes an exception
    if fault.kind is Kind.REFUSED:
        kind = _REFUSALS.get(fault.code, Refused)
    else:
        # Part of an answer is never lost, whatever ended it.
        kind = StreamBroken if outcome.emitted else _CLASSES[fault.kind]
    error = kind(outcome, operation, route)
    error.__cause__ = fault.error
    return error


def _sentence(outcome: Outcome, fault: Fault, operation: str, route: Route) -> str:
    attempts = (
        ""
        if fault.kind is Kind.REFUSED and not outcome.earlier
        else f" after {outcome.attempts} attempt" + "s" * (outcome.attempts > 1)
    )
    repeatable = outcome.earlier or fault.decision is not Decision.FAIL
    gave_up = f", gave up: {outcome.gave_up}" if outcome.gave_up and repeatable else ""
    request = f", request id {fault.request_id}" if fault.request_id else ""
    return f"{fault} [{operation} on {route}{attempts}{gave_up}{request}] {fault.advice}".rstrip()


def _portable(outcome: Outcome) -> Outcome:
    """Return the outcome without what cannot cross a process: the exception underneath."""
    from dataclasses import replace  # noqa: PLC0415 - only when pickled

    def bare(attempt: Attempt) -> Attempt:
        return replace(attempt, fault=replace(attempt.fault, error=None))

    fault = replace(outcome.fault, error=None) if outcome.fault is not None else None
    return outcome._replace(fault=fault, earlier=tuple(map(bare, outcome.earlier)))


def _rebuild(kind: type[BedrockError], outcome: Outcome, operation: str, route: Route) -> BedrockError:
    return kind(outcome, operation, route)
