"""Answer repeated questions from a cache, and return a fixed message when the model cannot be called.

    python examples/cache_and_message.py "Why is the sky blue?"

Run it twice with the same question. The second answer comes from the cache file, even during an outage. During an
outage, the answer to a new question is the message.
"""

from __future__ import annotations

import logging
import sys

from aws_bedrock_inference import BedrockClient, Cache, Degrade, Quota, Retry, standard

MODEL = "us.amazon.nova-lite-v1:0"
DAY = 86_400

pipeline = standard(
    Quota(rpm=500, tpm=200_000),
    # A cached answer is used for an hour. For a day after that, it is used only if the call fails.
    cache=Cache("sqlite://example-answers.db", ttl=3_600, stale_if_error=DAY),
    degrade=Degrade("I can't answer right now. Please ask again in a few minutes."),
    retry=Retry(attempts=3),
)


def main() -> int:
    logging.basicConfig(level=logging.WARNING)  # the log contains a warning for each message sent instead of an answer
    prompt = " ".join(sys.argv[1:]) or "Why is the sky blue?"
    with BedrockClient(MODEL, pipeline=pipeline, timeout=15) as client:
        # Only answers at temperature 0 are stored. For models that refuse a temperature, use Cache(sampled=True).
        reply = client.invoke(prompt, max_tokens=400, temperature=0)
    print(reply.text)
    if reply.degraded_by is not None:
        source = f"the message, because of {reply.degraded_by.code}"
    elif reply.cached is not None:
        source = f"the cache, {reply.cached:.0f} s old"
    else:
        source = "the model"
    print(f"from {source}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
