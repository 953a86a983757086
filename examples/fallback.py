"""Answer even if a model or a Region fails. The client tries another route, then the cache, and then returns a
message.

    python examples/fallback.py "Why is the sky blue?"
    python examples/fallback.py --chat "What is a prism?"       # stays on one route, for its prompt cache

Standard error shows the route that answered, and the routes that failed.
"""

from __future__ import annotations

import logging
import sys

from aws_bedrock_inference import BedrockClient, Cache, Degrade, Fallback, Quota, Target, standard

MODEL = "us.amazon.nova-lite-v1:0"

pipeline = standard(
    Quota(rpm=500, tpm=200_000),
    fallback=Fallback(
        Target(MODEL, region_name="us-west-2", quota=Quota(rpm=500, tpm=200_000)),  # the same model in another Region
        "us.amazon.nova-micro-v1:0",  # then a smaller model; its quota is estimated
    ),
    # A cached answer is used for an hour. For a day after that, it is used only if every route fails.
    cache=Cache("sqlite://fallback-answers.db", ttl=3_600, stale_if_error=86_400),
    degrade=Degrade("I can't answer right now. Please ask again in a few minutes."),
)


def main() -> int:
    logging.basicConfig(level=logging.ERROR)
    words = sys.argv[1:]
    pin = "chat-42" if "--chat" in words else None
    prompt = " ".join(word for word in words if word != "--chat") or "Why is the sky blue?"
    with BedrockClient(MODEL, pipeline=pipeline, timeout=10) as client:
        reply = client.invoke(prompt, max_tokens=400, temperature=0, pin=pin)
    print(reply.text)
    for hop in reply.trail:
        print(f"left {hop}", file=sys.stderr)
    if reply.degraded_by is not None:
        print(f"the message, because of {reply.degraded_by.code}", file=sys.stderr)
    elif reply.cached is not None:
        print(f"from the cache, {reply.cached:.0f} s old", file=sys.stderr)
    else:
        print(f"answered by {reply.route} after {reply.attempts} request(s)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
