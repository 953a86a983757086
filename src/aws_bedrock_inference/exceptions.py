"""The exceptions that users catch.

    BedrockError                    base class
    ├── Refused                     nothing was sent
    │   ├── InvalidRequest          the request is invalid (also a ValueError)
    │   ├── CircuitOpen             the model keeps failing; retry after `retry_after` seconds
    │   ├── QuotaExhausted          the call is larger than the quota, or the daily quota is exhausted
    │   ├── QueueFull               too many calls already wait for quota
    │   ├── DeadlineTooClose        the call could not end before its deadline (also a TimeoutError)
    │   ├── BudgetExhausted         the limit of `MaxCost` is reached
    │   ├── PriceUnknown            the price is unknown, so `MaxCost` could not enforce its limit
    │   └── ClientClosed            the client was closed before the call could be sent
    └── ServiceFault                the service returned an error, or the network failed (also botocore's ClientError)
        ├── Throttled               the account's quota is exhausted
        ├── Overloaded              AWS's shared capacity is exhausted
        ├── NotReady                an imported or custom model is still loading
        ├── ServerFailed            an internal error of AWS
        ├── ModelFailed             the model failed on this request
        ├── InvalidByService        the service rejected the request as invalid
        │   └── ContentFilteredError the content was filtered; `filtered` contains the reason
        ├── Denied                  credentials, permissions or access to the model are missing
        ├── NotFound                no such model or resource
        ├── TimedOut                no answer in time (also a TimeoutError)
        ├── Unreachable             no connection (also a ConnectionError)
        ├── AnswerIncomplete        the answer lacks the requested tool call or JSON; `answer` contains what arrived
        └── StreamBroken            the answer is incomplete; `received` contains the part that arrived

The text of a `Refused` also names the corresponding code of the service, such as `ValidationException` for
`InvalidRequest`.

Each exception has the attributes `code`, `decision`, `cause`, `origin`, `advice`, `attempts`, `request_id`, `route`,
`trail`, `retry_after` and `letter_id`, and a note for each earlier attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.dialects.filtered import filtered_by, filtered_of
from aws_bedrock_inference.wording import portable, sentence

if TYPE_CHECKING:
    from aws_bedrock_inference.call import Outcome, Route, Usage
    from aws_bedrock_inference.dialects.stream import Transcript
    from aws_bedrock_inference.fault import Decision, Fault, Origin
    from aws_bedrock_inference.made import FilteredContent, Hop


class BedrockError(Exception):
    """A failed call. The message states what happened, what this package did, and what to do."""

    def __init__(self, outcome: Outcome, operation: str, route: Route) -> None:
        assert outcome.fault is not None  # noqa: S101 - only a failed outcome becomes an exception
        Exception.__init__(self, sentence(outcome, outcome.fault, operation, route))
        self._set(outcome, outcome.fault, operation, route)

    def _set(self, outcome: Outcome, fault: Fault, operation: str, route: Route) -> None:
        self.outcome = outcome
        self.fault = fault
        self.operation = operation
        self.route = route
        for attempt in outcome.earlier:
            self.add_note(f"earlier attempt: {attempt}")

    @property
    def code(self) -> str:
        """The service's error code in its canonical spelling, such as `ThrottlingException`. For an error that the
        service did not return, the code is the name of boto3's exception, or a name of this package, such as
        `QueueFull`.
        """
        return self.fault.code

    @property
    def decision(self) -> Decision:
        """The decision whether the same request can be sent again: `RETRY` (yes), `FAIL` (no) or `RETRY_LIMITED`
        (usually only once).
        """
        return self.fault.decision

    @property
    def cause(self) -> str:
        """The name of the cause, such as `throttled-tokens-per-minute`. The name stays the same in later versions."""
        return self.fault.cause

    @property
    def advice(self) -> str:
        """The recommended action."""
        return self.fault.advice

    @property
    def origin(self) -> Origin:
        """The place where the failure arose, such as the service, a credential source, the network or this machine."""
        return self.fault.origin

    @property
    def attempts(self) -> int:
        """The number of requests that were sent; 0 if the call was refused before the first request. The attribute
        `outcome.earlier` of this exception contains all attempts except the last one.
        """
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
        """The seconds after which a retry can succeed, or None if unknown."""
        fault = self.fault
        return None if fault.retry_after is fault.suggested_wait is None else fault.stated_wait

    @property
    def trail(self) -> tuple[Hop, ...]:
        """The routes that were tried, in order, if the pipeline has a `Fallback`."""
        return self.outcome.made.trail

    @property
    def letter_id(self) -> str | None:
        """The id of the dead letter (see `DeadLetter`) that stores this call, or None if no dead letter stores it."""
        return self.outcome.made.letter_id

    @property
    def model(self) -> str:
        """The model id that was called."""
        return self.route.model

    @property
    def region(self) -> str:
        """The Region that was called."""
        return self.route.region

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (portable(self.outcome), self.operation, self.route))


class Refused(BedrockError):
    """A call that was not sent."""


class InvalidRequest(Refused, ValueError):
    """An invalid request. The message states what is wrong, where in the request, and what to do."""

    @property
    def advice(self) -> str:
        """The recommended action. The text also states the problem, and where in the request the problem is."""
        return f"{self.fault.message.rstrip('.')}. {self.fault.advice}"


class CircuitOpen(Refused):
    """A call that was refused because the model fails too often in this Region."""


class QuotaExhausted(Refused):
    """A call that was refused because it is larger than the quota, because the daily quota is exhausted, or because
    AWS has set the quota to 0.
    """


class QueueFull(Refused):
    """A call that was refused because too many calls already wait for quota."""


class DeadlineTooClose(Refused, TimeoutError):
    """A call that was refused because it could not end before its deadline."""


class BudgetExhausted(Refused):
    """A call that was refused because earlier calls have already cost as much as `MaxCost` allows."""


class PriceUnknown(Refused):
    """A call that was refused because its price is unknown, so that `MaxCost` cannot limit its cost."""


class ClientClosed(Refused):
    """A call that was not sent, or not retried, because the client is closed."""


class ServiceFault(BedrockError, ClientError):
    """An error of the service or the network. Also a botocore `ClientError`, with `response` and `operation_name`."""

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
    """A throttle: the account's quota is exhausted."""


class Overloaded(ServiceFault):
    """A lack of AWS's shared capacity."""


class NotReady(ServiceFault):
    """An imported or custom model that is still loading."""


class ServerFailed(ServiceFault):
    """An internal error of AWS."""


class ModelFailed(ServiceFault):
    """A failure of the model while it processed this request."""


class InvalidByService(ServiceFault):
    """A request that the service rejected as invalid."""


class _Answered(ServiceFault):
    """The base class of exceptions for calls that received a complete or partial answer."""

    @property
    def answer(self) -> dict[str, Any]:
        """The answer that arrived: a response of Converse, or the response body of InvokeModel. It is empty if no
        answer arrived.
        """
        value = self.outcome.value
        answer: dict[str, Any] = {} if value is None else value if isinstance(value, dict) else value.response({})
        return answer

    @property
    def received(self) -> str:
        """The text that arrived."""
        return text_of(((self.answer.get("output") or {}).get("message") or {}).get("content"))

    @property
    def usage(self) -> Usage | None:
        """The tokens that the answer used, or None if the service reported none."""
        return self.outcome.usage


class ContentFilteredError(_Answered, InvalidByService):
    """Content that a guardrail, the content filter of the model's provider, or the model itself blocked."""

    @property
    def filtered(self) -> FilteredContent | None:
        """The reason why the content was filtered."""
        return filtered_of(self.answer) or filtered_by(self.fault)


class AnswerIncomplete(_Answered):
    """An answer that lacks the requested tool call or JSON. The answer was truncated, the service could not read what
    the model wrote, or the JSON violates its schema.
    """


class Denied(ServiceFault):
    """Missing credentials, permissions or access to the model."""


class NotFound(ServiceFault):
    """A model or resource that does not exist in this Region."""


class TimedOut(ServiceFault, TimeoutError):
    """A call that got no answer within the time limit."""


class Unreachable(ServiceFault, ConnectionError):
    """A connection that failed, or that was lost before the answer."""


class StreamBroken(ServiceFault):
    """A streamed answer that ended too early."""

    @property
    def received(self) -> str:
        """The text that arrived before the break."""
        return self.transcript.text if self.transcript is not None else ""

    @property
    def received_message(self) -> dict[str, Any]:
        """The content that arrived before the break, as a Converse message. If the JSON input of a tool is incomplete,
        the message contains this input as text.
        """
        return self.transcript.message() if self.transcript is not None else {"role": "assistant", "content": []}

    @property
    def transcript(self) -> Transcript | None:
        """The events that arrived before the break."""
        transcript: Transcript | None = self.outcome.value
        return transcript
