"""Ask one question. Print the answer and its tokens, or the reason why there is no answer.

    python examples/sync.py "Why is the sky blue?"

A call returns a complete answer or raises an exception. Retries, waits and the circuit breaker are inside the call, so
you need no loop around it.
"""

from __future__ import annotations

import sys

from aws_bedrock_inference import BedrockClient, Refused, ServiceFault

MODEL = "us.amazon.nova-lite-v1:0"


def main() -> int:
    prompt = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with BedrockClient(MODEL, timeout=60) as client:
        try:
            reply = client.invoke(prompt, system="Answer in one paragraph.", max_tokens=400)
        except Refused as error:  # nothing was sent: bad input, no quota, no time left, or an open circuit
            print(error, file=sys.stderr)
            return 2
        except ServiceFault as error:  # the service or the network failed, and no further attempt makes sense
            print(error, file=sys.stderr)
            return 1
    print(reply.text)
    if reply.stop_reason == "max_tokens":
        print("(the answer reached max_tokens and was truncated)", file=sys.stderr)
    print(f"{reply.usage.output_tokens} output tokens, attempts: {reply.attempts}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
