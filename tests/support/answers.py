"""Answers of the service in the clients' tests."""

from __future__ import annotations

import base64
import json
from typing import Any

from support.wire import answer, event, exception

MESSAGES = [{"role": "user", "content": [{"text": "Why is the sky blüe?"}]}]
REPLY: dict[str, Any] = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Because "}, {"text": "of Rayleigh."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8},
    "metrics": {"latencyMs": 7},
}
FRAMES = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Because "}}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "of Rayleigh."}}),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event(
        "metadata",
        {"usage": {"inputTokens": 3, "outputTokens": 5, "totalTokens": 8}, "metrics": {"latencyMs": 7}},
    ),
]
TOO_MANY = "Too many requests, please wait before trying again."
THROTTLED_FRAME = exception("throttlingException", {"message": TOO_MANY})


def chunk(body: Any) -> bytes:
    """Return a frame of InvokeModelWithResponseStream."""
    return event("chunk", {"bytes": base64.b64encode(json.dumps(body).encode()).decode()})


def fault(status: int, code: str, message: str = "It went wrong.", number: int = 1) -> bytes:
    """Return an error answer with the request id `request-<number>`."""
    return answer(
        {"message": message}, status=f"{status} X", x_amzn_ErrorType=code, x_amzn_RequestId=f"request-{number}"
    )


THROTTLED = fault(429, "ThrottlingException", TOO_MANY)
UNAVAILABLE = fault(503, "ServiceUnavailableException")
INTERNAL = fault(500, "InternalServerException")
