"""The 300 prompts as one runs them with boto3 today: a thread pool, boto3's own retries, errors caught and counted.

Nothing here is worse than it needs to be: the connection pool is as large as the thread pool, and boto3's retries are its
present default (standard mode, three attempts).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import boto3

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.cli.demo.side import Side


def run_plain(
    records: Sequence[Record],
    side: Side,
    *,
    session: boto3.Session,
    endpoint_url: str,
    model: str,
    max_tokens: int,
    workers: int,
    streamed: Callable[[Record], bool],
) -> None:
    """Ask all `records` and put into `side` what came of them."""
    client: Any = session.client(
        "bedrock-runtime", endpoint_url=endpoint_url, config=Config(max_pool_connections=workers)
    )

    def ask(record: Record) -> str:
        request = {
            "modelId": model,
            "messages": [{"role": "user", "content": [{"text": record.source["prompt"]}]}],
            "inferenceConfig": {"maxTokens": max_tokens},
        }
        if not streamed(record):
            response = client.converse(**request)
            return str(response["output"]["message"]["content"][0]["text"])
        events = client.converse_stream(**request)["stream"]
        return "".join(event.get("contentBlockDelta", {}).get("delta", {}).get("text", "") for event in events)

    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(ask, record): record for record in records}
        for future in as_completed(futures):
            try:
                side.answers[futures[future].key] = future.result()
            except ClientError as error:
                side.lost[error.response["Error"]["Code"] or "error without a code"] += 1
            except BotoCoreError as error:
                side.lost[type(error).__name__] += 1
