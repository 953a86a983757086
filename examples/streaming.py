"""Print an answer while it arrives, and continue it after the stream breaks.

    python examples/streaming.py "Why is the sky blue?"

A fault before the first content is retried, and the reader does not notice it. After the first content, a retry would
show the text twice. With `on_interrupt="continue"`, the client requests the rest of the answer and joins the two
parts.
"""

from __future__ import annotations

import sys

from aws_bedrock_inference import BedrockError, BedrockStreamingClient, StreamBroken

MODEL = "us.amazon.nova-lite-v1:0"


def main() -> int:
    prompt = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with BedrockStreamingClient(MODEL, timeout=120) as client:
        try:
            with client.invoke_stream(prompt, max_tokens=600, on_interrupt="continue") as stream:
                for piece in stream:
                    print(piece, end="", flush=True)
        except StreamBroken as error:  # the stream broke too often, or no time was left to continue
            print(f"\nincomplete after {len(error.received)} characters: {error.code}", file=sys.stderr)
            return 1
        except BedrockError as error:  # no text was shown
            print(error, file=sys.stderr)
            return 1
    print()
    reply = stream.reply
    for seam in reply.seams:
        checked = "verified" if seam.verified else "not verified"
        print(f"joined at character {seam.at}, {checked}; {seam.fault.code}", file=sys.stderr)
    print(f"{reply.usage.output_tokens} output tokens, stop reason {reply.stop_reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
