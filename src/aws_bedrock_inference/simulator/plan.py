"""The plan of an answer. It consists of steps for the server: wait, write bytes, or break the connection."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.simulator.error_texts import ServiceMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from aws_bedrock_inference.simulator.error_texts import ServiceError


# The text after the code in the header: https://github.com/aws-samples/amazon-bedrock-client-for-mac/issues/99
_NAMESPACE = "http://internal.amazon.com/coral/{}/"


class Break(enum.Enum):
    """The way in which a connection ends before its answer is complete."""

    RESET = enum.auto()


Step = float | bytes | Break
"""One step of a plan: the seconds to wait, the bytes to write, or a way to break the connection."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of an answer: the status and headers, and the steps that follow.

    If `streamed` is True, each piece of the body is written separately. If it is False, the headers and the body are
    written together.

    The server must close the generator `steps`, even if the client has disconnected. The end of the generator settles
    the tokens that the request reserved.
    """

    status: int
    headers: list[tuple[str, str]]
    steps: Generator[Step, None, None]
    streamed: bool = False


def whole(
    status: int,
    body: bytes,
    headers: Iterable[tuple[str, str]] = (),
    *,
    wait: float = 0.0,
    on_done: Callable[[], None] = lambda: None,
) -> Plan:
    """Return the plan of an answer that is not a stream. At the end of the answer, `on_done` is called, even if the
    client has disconnected.
    """
    return Plan(status, [("content-type", "application/json"), *headers], _whole_body(wait, body, on_done))


def report(content: Any) -> Plan:
    """Return the plan of an answer from one of the simulator's own pages. The body is `content`, as JSON."""
    return whole(200, json.dumps(content).encode())


def refusal(error: ServiceError) -> Plan:
    """Return the plan of an error answer, in the form that the service uses."""
    if isinstance(error, ServiceMissing):
        text = f"<ErrorResponse><Error><Code>{error.code}</Code><Message>{error}</Message></Error></ErrorResponse>"
        return Plan(error.status, [("content-type", "text/xml")], _whole_body(0.0, text.encode(), lambda: None))
    headers = [("x-amzn-errortype", f"{error.code}:{_NAMESPACE.format(error.namespace)}"), *error.headers]
    return whole(error.status, json.dumps({"message": str(error)}).encode(), headers)


def broken() -> Plan:
    """Return a plan with which the server resets the connection before it answers."""
    return Plan(200, [], _reset())


def later(plan: Plan, seconds: float) -> Plan:
    """Return the plan of an answer with an additional first step: wait `seconds`."""
    return Plan(plan.status, plan.headers, _delayed(plan.steps, seconds), plan.streamed)


def stream(
    frames: list[Step],
    headers: list[tuple[str, str]],
    *,
    wait: float,
    pause: float,
    on_done: Callable[[float], None],
) -> Plan:
    """Return the plan of a stream. The server waits `wait` seconds before the status and headers, and `pause` seconds
    after each frame.

    At the end, `on_done` is called with the share of the frames that were sent, from 0 to 1.
    """
    head = [("content-type", "application/vnd.amazon.eventstream"), *headers]
    return Plan(200, head, _streamed(frames, wait, pause, on_done), streamed=True)


def _whole_body(wait: float, body: bytes, on_done: Callable[[], None]) -> Generator[Step, None, None]:
    try:
        yield wait
        yield body
    finally:
        on_done()


def _reset() -> Generator[Step, None, None]:
    yield Break.RESET


def _delayed(steps: Generator[Step, None, None], seconds: float) -> Generator[Step, None, None]:
    yield seconds
    yield from steps


def _streamed(
    frames: list[Step], wait: float, pause: float, on_done: Callable[[float], None]
) -> Generator[Step, None, None]:
    share = 0.0
    try:
        yield wait
        if not pause:
            frames = _joined(frames)
        for number, frame in enumerate(frames, 1):
            yield frame
            share = number / len(frames)
            if pause and isinstance(frame, bytes):
                yield pause
    finally:
        on_done(share)


def _joined(frames: list[Step]) -> list[Step]:
    """Join the frames (encoded stream events) that are due at the same time into one write. A service under load also
    does this.
    """
    joined: list[Step] = []
    for frame in frames:
        if joined and isinstance(frame, bytes) and isinstance(joined[-1], bytes):
            joined[-1] += frame
        else:
            joined.append(frame)
    return joined
