"""An AWS Lambda function behind a function URL or API Gateway. It receives {"prompt": ...} and returns {"text": ...}.

    python examples/lambda_handler.py        # one event, as Lambda sends it

The call ends before Lambda stops the function, so the caller gets a reason instead of a timeout.
"""

from __future__ import annotations

import json
import sys
from math import ceil
from typing import Any

from aws_bedrock_inference import BedrockClient, BedrockError, Decision, InvalidByService, InvalidRequest, Origin

# Created at import: Lambda reuses it, with its open connections, for later events.
client = BedrockClient("us.amazon.nova-lite-v1:0")
SPARE_SECONDS = 1.0


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    seconds = max(1.0, context.get_remaining_time_in_millis() / 1000 - SPARE_SECONDS)
    try:
        prompt = json.loads(event["body"])["prompt"]
    except (ValueError, KeyError, TypeError):
        return response(400, error='the body must be JSON: {"prompt": "..."}')
    try:
        reply = client.invoke(prompt, max_tokens=400, timeout=seconds)
    except BedrockError as error:
        if isinstance(error, InvalidRequest | InvalidByService) and error.origin is Origin.CALLER:
            return response(400, error=error.fault.message)  # error in the prompt
        codes = [*(attempt.fault.code for attempt in error.outcome.earlier), error.code]  # one for each attempt
        print(json.dumps({"codes": codes, "cause": error.cause, "request_ids": error.request_ids}))
        if error.retry_after is not None:
            return response(503, {"retry-after": str(ceil(error.retry_after))}, error="busy, please ask again later")
        return response(500 if error.decision is Decision.FAIL else 503, error="no answer is possible now")
    return response(200, text=reply.text, stop_reason=reply.stop_reason)


def response(status: int, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", **(headers or {})},
        "body": json.dumps(body),
    }


class Context:
    """A replacement for the context object that Lambda passes, with 30 seconds left."""

    def get_remaining_time_in_millis(self) -> int:
        return 30_000


if __name__ == "__main__":
    prompt = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    print(json.dumps(handler({"body": json.dumps({"prompt": prompt})}, Context()), indent=2))
