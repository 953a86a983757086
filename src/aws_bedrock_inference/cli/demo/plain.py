"""The clients of `bedrock demo` that use boto3: many threads, boto3's retries, and errors that are caught and counted.

The comparison is fair to boto3: each thread has its own connection, and streams are closed. The number of threads is
24. In a test with boto3's retry mode `adaptive`, 12, 16, 20, 24, 32 and 48 threads were compared, and 24 threads used
the largest part of the quota.

The boto3 clients lose answers for two reasons. boto3 does not retry a stream that breaks. In an outage, boto3 stops
retrying, because failed calls exhaust its retry quota.
"""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.cli.demo.side import Side, Task

WORKERS = 24
ATTEMPTS = 10

DEFAULT: dict[str, Any] = {}
ADAPTIVE: dict[str, Any] = {"mode": "adaptive", "total_max_attempts": ATTEMPTS}


def run_plain(records: Sequence[Record], side: Side, task: Task, retries: Any) -> None:
    """Send all `records` with the settings `retries` of boto3, and store the results in `side` (the results of this
    client).

    The threads are daemons, because an interrupted demo must not wait for boto3's retries.
    """
    config = Config(max_pool_connections=WORKERS, retries=retries)
    client: Any = task.session.client("bedrock-runtime", endpoint_url=task.url, config=config)
    waiting: SimpleQueue[Record] = SimpleQueue()
    for record in records:
        waiting.put(record)

    def work() -> None:
        with suppress(Empty):
            while True:
                _note(waiting.get_nowait(), lambda record: _answer(client, record, task), side)

    with closing(client):
        threads = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    side.done()


def _note(record: Record, ask: Callable[[Record], str], side: Side) -> None:
    try:
        text = ask(record)
    except ClientError as error:
        side.failures.append(error.response["Error"]["Code"] or "error without a code")
    except (BotoCoreError, HTTPError) as error:  # botocore does not wrap urllib3's error if a stream breaks
        side.failures.append(type(error).__name__)
    else:
        side.answers[record.key] = text


def _answer(client: Any, record: Record, task: Task) -> str:
    request = {
        "modelId": task.model,
        "messages": [{"role": "user", "content": [{"text": record.source["prompt"]}]}],
        "inferenceConfig": {"maxTokens": task.max_tokens},
    }
    if not task.streamed(record):
        response = client.converse(**request)
        return str(response["output"]["message"]["content"][0]["text"])
    with closing(client.converse_stream(**request)["stream"]) as events:
        return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)
