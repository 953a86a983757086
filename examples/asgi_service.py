"""A web service that streams answers: a client sends a prompt with POST, and receives text.

    python examples/asgi_service.py          # listens on PORT (default 8080); needs granian (extra `simulator`)
    curl -N -d "Why is the sky blue?" -H "x-user: ana" http://127.0.0.1:8080/

This is plain ASGI: it runs under uvicorn, hypercorn and granian. In FastAPI, keep `client`, `http_status` and the
first lines of `answer`. FastAPI's `StreamingResponse` then sends the pieces and detects that a browser disconnects.
"""

from __future__ import annotations

import asyncio
import logging
import os
from math import ceil
from typing import Any

from granian import Granian
from granian.constants import Interfaces

from aws_bedrock_inference import AsyncBedrockClient, BedrockError, InvalidByService, InvalidRequest, Origin, Quota

logging.basicConfig()  # print the library's warnings: retries, and failed calls with their cause
# One client for the process: all requests share its connections, its quota and its circuit.
client = AsyncBedrockClient("us.amazon.nova-lite-v1:0", quota=Quota(rpm=500, tpm=200_000), timeout=60)
PLAIN_TEXT = [(b"content-type", b"text/plain; charset=utf-8")]


def http_status(error: BedrockError) -> tuple[int, list[tuple[bytes, bytes]], str]:
    """Return the status, headers and text for the browser. The cause of the error is only in the log."""
    if isinstance(error, InvalidRequest | InvalidByService) and error.origin is Origin.CALLER:
        return 400, [], error.fault.message  # error in the prompt, not in this service's model id
    if error.retry_after is not None:
        return 503, [(b"retry-after", str(ceil(error.retry_after)).encode())], "Busy, please ask again later."
    return (500 if error.decision.value == "FAIL" else 503), [], "No answer is possible now."


async def answer(prompt: str, user: str, send: Any) -> None:
    try:
        stream = client.invoke_stream(prompt, max_tokens=600, tenant=user, on_interrupt="continue")
        first = await anext(stream, "")  # before any header, so that a failed call can still set the status
    except BedrockError as error:
        status, headers, text = http_status(error)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})
        return
    async with stream:  # StreamBroken ends the connection early, so the browser sees that text is missing
        await send({"type": "http.response.start", "status": 200, "headers": PLAIN_TEXT})
        await send({"type": "http.response.body", "body": first.encode(), "more_body": True})
        async for piece in stream:
            await send({"type": "http.response.body", "body": piece.encode(), "more_body": True})
    await send({"type": "http.response.body"})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await client.aclose()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    user = dict(scope["headers"]).get(b"x-user", b"anonymous").decode()  # in a real service: from the session
    answering = asyncio.create_task(answer(body.decode(errors="replace"), user, send))
    leaving = asyncio.ensure_future(receive())  # the next message after the body means that the browser disconnected
    await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
    leaving.cancel()
    if answering.done():
        answering.result()
    else:
        answering.cancel()  # nobody reads the rest: close the stream and settle its reservation


if __name__ == "__main__":
    Granian("asgi_service:app", port=int(os.environ.get("PORT", "8080")), interface=Interfaces.ASGI).serve()
