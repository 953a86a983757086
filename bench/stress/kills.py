"""Kill `bedrock run` 100 times at random moments. In the end, every prompt must have exactly one answer, and it must be
the answer to this prompt.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stress.server import MODEL, server

KILLS = 100


def main() -> None:
    dice, longest = random.Random(3), 0.0  # noqa: S311 - moments, not secrets
    with tempfile.TemporaryDirectory() as directory, server() as url:
        source, output = Path(directory) / "in.jsonl", Path(directory) / "out.jsonl"
        prompts = {f"id-{number}": f"delay {number}" for number in range(60_000)}
        source.write_text("".join(json.dumps({"id": key, "prompt": text}) + "\n" for key, text in prompts.items()))
        command = [sys.executable, "-m", "aws_bedrock_inference.cli", "run", str(source), "-o", str(output)]
        command += ["--endpoint-url", url, "--model", MODEL, "--region", "us-east-1", "--rpm", "6000000"]
        for _ in range(KILLS):
            with subprocess.Popen(command, stderr=subprocess.DEVNULL) as run:
                time.sleep(dice.uniform(0.2, 1.6))
                run.kill()
        started = time.monotonic()
        code = subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode
        longest = time.monotonic() - started
        lines = [json.loads(line) for line in output.read_text().splitlines()]
    answers: dict[str, list[str]] = {}
    for line in lines:
        answers.setdefault(line["id"], []).append(json.dumps(line))
    wrong = sum(len(answers.get(key, ())) != 1 or f'"{text}"' not in answers[key][0] for key, text in prompts.items())
    detail = f"{KILLS} kills of a run of {len(prompts):,}; the last one took {longest:.0f} s and ended with {code}"
    print(json.dumps({"trials": len(prompts), "wrong": wrong + bool(code), "detail": detail}))


if __name__ == "__main__":
    main()
