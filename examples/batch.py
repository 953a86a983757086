"""Answer many prompts within a quota. A second run sends only the prompts that have no answer yet.

    python examples/batch.py answers.jsonl

`bedrock run` does this for files of any size, with a journal that survives a killed run. Use a program like this one
when the prompts come from your own code.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from aws_bedrock_inference import AsyncBedrockClient, BedrockError, Quota

if TYPE_CHECKING:
    from collections.abc import Iterable

MODEL = "us.amazon.nova-lite-v1:0"
PROMPTS = {f"fact-{number}": f"Tell one fact about the number {number}." for number in range(20)}
IN_FLIGHT = 50  # maximum number of calls at a time, including calls that wait for quota


async def ask(client: AsyncBedrockClient, name: str, slots: asyncio.Semaphore, answers: TextIO) -> bool:
    async with slots:
        try:
            reply = await client.invoke(PROMPTS[name], max_tokens=200)
        except BedrockError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return False
    answers.write(json.dumps({"id": name, "text": reply.text, "stop_reason": reply.stop_reason}) + "\n")
    answers.flush()
    return True


async def ask_all(names: Iterable[str], answers: TextIO) -> list[bool]:
    slots = asyncio.Semaphore(IN_FLIGHT)
    # With the priority "batch", calls of a higher priority that share this quota go first.
    async with AsyncBedrockClient(MODEL, quota=Quota(rpm=500, tpm=200_000), priority="batch") as client:
        return await asyncio.gather(*(ask(client, name, slots, answers) for name in names))


def main() -> int:
    output = Path(sys.argv[1] if len(sys.argv) > 1 else "answers.jsonl")
    lines = output.read_text(encoding="utf-8").splitlines() if output.exists() else []
    missing = PROMPTS.keys() - {json.loads(line)["id"] for line in lines}
    with output.open("a", encoding="utf-8") as answers:
        done = asyncio.run(ask_all(sorted(missing), answers))
    print(f"{sum(done)} of {len(done)} answered; {len(PROMPTS) - len(done)} had an answer. See {output}")
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
