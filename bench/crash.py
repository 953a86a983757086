"""Run `bedrock run` with 1,000 prompts against a faulty service, and kill it up to five times at random moments.

    python crash.py             # from bench/: 100 runs, about ten minutes on two cores
    python crash.py 10          # fewer

At the end, every prompt must have exactly one answer or one failure. The service may send no more surplus answers than
prompts were in flight at the kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from stress.server import MODEL, http, unary

PROMPTS, KILLS, SIDE_BY_SIDE = 1000, 5, 2
BAD = 50  # one in this number of prompts is refused as invalid

DOWN = ("503 Service Unavailable", "ServiceUnavailableException", "The service is unavailable. Please try again.")
FULL = ("429 Too Many Requests", "ThrottlingException", "Too many requests, please wait before trying again.")
WRONG = ("400 Bad Request", "ValidationException", "Input is too long for requested model.")


def error(status: str, code: str, message: str) -> bytes:
    return http(json.dumps({"message": message}).encode(), "application/json", status, f"x-amzn-ErrorType: {code}\r\n")


class Service:
    """A service that answers each prompt with the prompt itself within 20 ms, and counts the complete answers. Some
    requests fail.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.answered: Counter[str] = Counter()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                length = next(int(line[15:]) for line in head.splitlines() if line.startswith("content-length:"))
                text = json.loads(await reader.readexactly(length))["messages"][0]["content"][0]["text"]
                await asyncio.sleep(self.dice.uniform(0.0, 0.02))
                chance = self.dice.random()
                if chance < 0.01:
                    break  # the connection is lost
                if chance < 0.06:
                    writer.write(error(*(DOWN if chance < 0.03 else FULL)))
                else:
                    self.answered[text] += 1
                    writer.write(error(*WRONG) if text.endswith(" is too long") else unary(text))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@dataclass
class Result:
    """The counts of one run. `wrong` contains the errors that were found."""

    kills: int = 0
    in_flight: int = 0
    beyond: int = 0
    wrong: list[str] = field(default_factory=list)


async def one(number: int, folder: Path) -> Result:
    dice, result = random.Random(number), Result()  # noqa: S311 - moments, not secrets
    prompts = {
        f"id-{each}": f"{number}: prompt {each}{'' if each % BAD else ' is too long'}" for each in range(PROMPTS)
    }
    source, output = folder / "in.jsonl", folder / "out.jsonl"
    source.write_text("".join(json.dumps({"id": key, "prompt": text}) + "\n" for key, text in prompts.items()))
    service = Service(dice)
    async with await asyncio.start_server(service.talk, "127.0.0.1", 0, backlog=512) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        command = ["-m", "aws_bedrock_inference", "run", str(source), "-o", str(output), "--endpoint-url", url]
        command += ["--model", MODEL, "--region", "us-east-1", "--rpm", "6000000"]
        for last in [False] * dice.randint(1, KILLS) + [True]:
            run = await asyncio.create_subprocess_exec(
                sys.executable, *command, stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
            )
            waiting = asyncio.create_task(run.communicate())
            if not last:
                await asyncio.wait({waiting}, timeout=dice.uniform(0.3, 3.0))
            if not last and run.returncode is None:
                run.kill()
            _, said = await waiting
            if run.returncode == -signal.SIGKILL:
                result.kills += 1
                result.in_flight += claimed(Path(f"{output}.journal"))
            elif run.returncode != 1:  # some prompts have failed
                result.wrong.append(f"ended with {run.returncode}: {said.decode()[-200:]}")
            else:
                break
    check(prompts, output, service.answered, result)
    return result


def claimed(journal: Path) -> int:
    """Return how many prompts the next run may send again.

    These are the prompts in flight. If the kill came after the run was complete, they are also the failed prompts,
    because a run after a complete run sends failed prompts again.
    """
    if not journal.exists():
        return 0
    with closing(sqlite3.connect(journal)) as database:
        try:
            done = database.execute("SELECT 1 FROM facts WHERE name = 'ended' AND value = 'complete'").fetchone()
            count = "SELECT count(*) FROM records WHERE state IN (1, ?)"
            return int(database.execute(count, (3 if done else 1,)).fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # killed before the table was created


def check(prompts: dict[str, str], output: Path, answered: Counter[str], result: Result) -> None:
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    failures = [json.loads(line) for line in Path(f"{output}.failed.jsonl").read_text().splitlines()]
    fates = Counter([line["id"] for line in answers] + [line["id"] for line in failures])
    result.wrong += [f"{key} has {fates[key]} results" for key in prompts if fates[key] != 1]
    result.wrong += [f"{line['id']} has another's answer" for line in answers if line["text"] != prompts[line["id"]]]
    result.wrong += [f"{line['id']} failed" for line in failures if not line["prompt"].endswith(" is too long")]
    result.beyond = answered.total() - PROMPTS
    if result.beyond > result.in_flight:
        result.wrong.append(f"{result.beyond} answers too many, {result.in_flight} prompts were in flight at the kills")


async def all_of(runs: int) -> list[Result]:
    free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def in_turn(number: int) -> Result:
        async with free:
            with tempfile.TemporaryDirectory() as folder:
                return await one(number, Path(folder))

    return await asyncio.gather(*map(in_turn, range(runs)))


def main() -> None:
    os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")  # noqa: S106 - made up
    results = asyncio.run(all_of(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
    wrong = [text for result in results for text in result.wrong]
    kills, in_flight, beyond = (
        sum(getattr(result, name) for result in results) for name in ("kills", "in_flight", "beyond")
    )
    detail = (
        f"{len(results)} runs of {PROMPTS:,} killed {kills} times: {in_flight:,} prompts in flight at the kills, "
        f"{beyond:,} paid twice"
    )
    print(*wrong[:20], sep="\n", file=sys.stderr)
    print(json.dumps({"trials": len(results) * PROMPTS, "wrong": len(wrong), "detail": detail}))


if __name__ == "__main__":
    main()
