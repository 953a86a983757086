"""The side of plain boto3: a thread pool, boto3's own retries, errors caught and counted.

The comparison is fair: the connection pool is as large as the thread pool, streams are closed, and retries have boto3's
defaults.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.cli.demo.side import Side, Task

WORKERS = 24


def run_plain(records: Sequence[Record], side: Side, task: Task) -> None:
    """Send all `records` and store the results in `side`."""
    client: Any = task.session.client(
        "bedrock-runtime", endpoint_url=task.url, config=Config(max_pool_connections=WORKERS)
    )

    def ask(record: Record) -> str:
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

    with closing(client), ThreadPoolExecutor(WORKERS) as pool:
        try:
            futures = {pool.submit(ask, record): record for record in records}
            for future in as_completed(futures):
                try:
                    side.answers[futures[future].key] = future.result()
                except ClientError as error:
                    side.lost[error.response["Error"]["Code"] or "error without a code"] += 1
                except (BotoCoreError, HTTPError) as error:  # urllib3 breaks through where a stream breaks
                    side.lost[type(error).__name__] += 1
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
