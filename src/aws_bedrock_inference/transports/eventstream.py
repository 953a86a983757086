"""Decode the bytes of a stream into boto3's events and into faults.

`fast/frames.py` reads the frames of the stream as botocore reads them. botocore drops the text of an exception whose
name is not in the stream's model, such as `modelTimeoutException` in ConverseStream. This decoder preserves the name
and the text of every exception.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from botocore.eventstream import ParserError

from aws_bedrock_inference.dialects.halves import Halves
from aws_bedrock_inference.knowledge.classify import answered, unanswered
from aws_bedrock_inference.transports.fast.frames import Frames
from aws_bedrock_inference.transports.operations import worded
from aws_bedrock_inference.transports.stated import EVENT_STREAM, stated_form

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.transports.fast.frames import Frame
    from aws_bedrock_inference.transports.operations import Operation
    from aws_bedrock_inference.transports.timeouts import Exchange


class Body(Protocol):
    """The body of an answer. Each transport has its own class for it."""

    def close(self) -> None:
        """Release the connection. A repeated call has no effect."""


B = TypeVar("B", bound=Body)


class Decoder:
    """Decodes one stream. Pass the bytes that arrive to `feed`, then call `next` until it returns None. Call `end`
    after the last bytes.

    `head` is boto3's response without the stream. Each fault contains the request id of `head`.
    """

    def __init__(self, plan: Operation, head: dict[str, Any]) -> None:
        self._plan = plan
        self._metadata = head["ResponseMetadata"]
        self._frames = Frames()
        self._halves = Halves()
        # Words about the body if its headers name another form than an event stream. Empty after the first frame.
        self._foreign = stated_form(self._metadata.get("HTTPHeaders", {}), EVENT_STREAM)

    def feed(self, data: bytes) -> None:
        """Add the next bytes of the body."""
        self._frames.feed(data)

    def next(self) -> dict[str, Any] | Fault | None:
        """Return the next event or the fault that ends the stream, or None if more bytes are needed."""
        try:
            while (message := self._frames.next()) is not None:
                self._foreign = ""
                if message.headers.get(":message-type") in ("exception", "error"):
                    return self._fault(message)
                event = self._plan.event(message.headers, message.payload)
                if event:
                    # Only an escape in the JSON can be half of a character.
                    cut = b"\\u" in message.payload or self._halves.held
                    return self._halves.whole(event) if cut else event
        except (ParserError, ValueError) as error:
            return self._damaged(error, str(error))
        except Exception as error:  # noqa: BLE001 - if botocore fails in any way, the frame cannot be read
            return self._damaged(error, type(error).__name__)
        return None

    def end(self) -> Fault | None:
        """Return a fault if the stream ended in the middle of a frame (one message), or None if it ended between two
        frames.
        """
        if not self._frames.open:
            return None
        return unanswered(None, code="StreamBroken", message="the stream ended in the middle of a frame")

    def _damaged(self, error: Exception, problem: str) -> Fault:
        if self._foreign:
            text = f"the answer is not an event stream{self._foreign}"
            return unanswered(error, code="MalformedResponse", message=text)
        return unanswered(error, code="StreamBroken", message=f"a frame of the stream is damaged: {problem}")

    def _fault(self, message: Frame) -> Fault:
        headers = message.headers
        if headers[":message-type"] == "error":
            code, members = headers.get(":error-code"), {"message": headers.get(":error-message")}
        else:
            code, members = headers.get(":exception-type"), _members(message.payload)
        code = code if isinstance(code, str) else ""
        text = worded(members.pop("message", members.pop("Message", None)))
        return answered(
            code,
            text,
            status=self._plan.event_status(code),
            request_id=self._metadata.get("RequestId"),
            response={**members, "Error": {"Code": code, "Message": text}, "ResponseMetadata": self._metadata},
        )


class OpenAnswer(Generic[B]):
    """The open stream of an answer, for both transports. It occupies a connection until the stream ends or is
    closed.
    """

    def __init__(self, plan: Operation, head: dict[str, Any], body: B, exchange: Exchange) -> None:
        self.response = head
        self._decoder = Decoder(plan, head)
        self._body = body
        self._exchange = exchange
        self._limit = "first_content"
        self._ended = False

    @property
    def begun(self) -> bool:
        """True if the answer has already contained content.

        Before the first content, the next wait for bytes is limited by `Timeout(first_content=...)`. After it, each
        wait is limited by `Timeout(idle=...)`.
        """
        return self._limit == "idle"

    @begun.setter
    def begun(self, begun: bool) -> None:
        if begun:
            self._limit = "idle"

    @property
    def quiet(self) -> bool:
        """True while a long silence is normal, for example while the model thinks. The limit
        `Timeout(idle=...)` is then multiplied by `timeouts.QUIET`.
        """
        return self._exchange.quiet

    @quiet.setter
    def quiet(self, quiet: bool) -> None:
        self._exchange.quiet = quiet

    def close(self) -> None:
        """Release the connection for other calls. If the answer has unread bytes, close the connection instead."""
        self._ended = True
        self._body.close()


def _members(payload: bytes) -> dict[str, Any]:
    text = payload.decode(errors="replace")
    try:
        members = json.loads(text)
    except (ValueError, RecursionError):
        members = text
    return members if isinstance(members, dict) else {"message": text}
