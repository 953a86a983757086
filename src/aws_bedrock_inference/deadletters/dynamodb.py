"""Store dead letters in a DynamoDB table, for any number of machines."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from botocore.config import Config
from botocore.exceptions import ClientError

from aws_bedrock_inference.clock import monotonic, wall
from aws_bedrock_inference.deadletters import TABLE
from aws_bedrock_inference.deadletters.dynamodb_errors import code_of, is_too_large, lacks_index, store_errors
from aws_bedrock_inference.deadletters.dynamodb_items import LARGEST, item_of, record_of, summary_in
from aws_bedrock_inference.deadletters.dynamodb_table import INDEX, create, query_of
from aws_bedrock_inference.deadletters.filters import Wanted
from aws_bedrock_inference.deadletters.store import KEPT_SECONDS, Page, Place, Record, without_password
from aws_bedrock_inference.deadletters.watch import Watch
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.sessions import make_client
from aws_bedrock_inference.stores.request import StoreUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.clock import Clock
    from aws_bedrock_inference.deadletters.letter import State, Summary

# Maximum seconds to store a letter, including boto3's retries.
LIMIT = 10.0
_CONFIG = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=32,
)

# Items per page of a query with filters.
_FILTERED = 1000

# Items per BatchGetItem request.
_PER_BATCH = 100
_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:[\w:/.-]{20,1024}")
_OPTIONS = {"region": "region_name", "endpoint_url": "endpoint_url", "bucket": "bucket"}


class DynamoLetters:
    """Stores each dead letter as an item of the DynamoDB table `table`. The key of the table is the attribute `id`.
    `bucket` is an S3 bucket for content that is too large for an item.

    The Region, the endpoint and the credentials are found in the same way as in boto3, from `session` if it is set.

    Letters are listed with the index `by-state`, so the cost of listing does not grow with the number of finished
    letters. A table without this index, such as a table from AWS's documentation, is scanned completely.

    DynamoDB cannot check whether a lease has expired, because a condition cannot use the current time. Therefore a
    process that waits for a claimed letter measures the time with its own `clock`. A redrive changes the letter's
    version when it records its result. If the version stays the same for the duration of the lease, the redrive
    recorded no result in time, and its claim has expired.
    """

    def __init__(
        self,
        table: str = TABLE,
        *,
        session: Any = None,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        bucket: str | None = None,
        clock: Clock = monotonic,
        time_of_day: Clock = wall,
    ) -> None:
        if not _TABLE_NAME.fullmatch(table):
            known = without_password(table)
            raise ValueError(
                f"{known!r:.80} is not the name of a DynamoDB table. A name has 3 to 255 letters, digits, _ . and -"
            )
        self.table = table
        self.place = f"the DynamoDB table {table}" + (f" in {region_name}" if region_name else "")
        self.limit = LIMIT
        self._session = session
        self._options = {"region_name": region_name, "endpoint_url": endpoint_url}
        self._bucket = bucket
        self._watch = Watch(clock)
        self._time_of_day = time_of_day
        self._clients: dict[tuple[int, str], Any] = {}  # by process: a forked child opens its own connections
        self._scans = False

    def put(self, record: Record) -> None:
        """Store a new dead letter. If its content is too large for an item, the content is stored in S3. Raises
        `StoreUnusable` if no bucket is set for such content.
        """
        item = item_of(record.summary)
        with self._raising():
            item |= self._held("content", record.summary.id, record.content, LARGEST - len(item["summary"]["S"]))
            try:
                self._client().put_item(TableName=self.table, Item=item, ConditionExpression="attribute_not_exists(id)")
            except ClientError as error:
                # If a response was lost, boto3 sends the request again. The letter then exists already, and a redrive
                # may have claimed it.
                if code_of(error) != "ConditionalCheckFailedException":
                    raise

    def get(self, id: str) -> Record | None:  # noqa: A002 - its name in AWS's documentation
        """Return the complete dead letter with this id, or None."""
        with self._raising():
            answer = self._client().get_item(TableName=self.table, Key={"id": {"S": id}}, ConsistentRead=True)
            return self._record(answer["Item"]) if "Item" in answer else None

    def page(self, state: State, wanted: Wanted, limit: int, after: Place | None, *, newest: bool, whole: bool) -> Page:
        """Return at most `limit` selected dead letters in this state, ordered by the time of their first failure.

        `LetterStore.page` explains the parameters. If the table has no index, the letters are not ordered.
        """
        found: list[tuple[Summary, dict[str, Any]]] = []
        with self._raising():
            for item in self._items(state, wanted, limit, after, newest=newest):
                summary = summary_in(item)
                if summary.state == state and wanted.fits(summary):
                    found.append((summary, item))
                    if len(found) == limit:
                        break
            if not whole:
                records = [Record(summary) for summary, _ in found]
            elif self._scans:
                records = [self._record(item) for _, item in found]
            else:
                read = self._read([summary.id for summary, _ in found])
                there = [read[summary.id] for summary, _ in found if summary.id in read]
                records = [record for record in there if record.summary.state == state]
        last = found[-1][0] if len(found) == limit else None
        return Page(records, None if last is None else Place(last.first, last.id))

    def update(self, summary: Summary, version: int, answer: bytes | None = None) -> bool:
        """Replace the summary of a dead letter, and its answer if `answer` is not None. Return True.

        If the version of the letter is no longer `version`, change nothing and return False. An answer that is too
        large for the item is stored in S3. If no bucket is set, such an answer is not stored, and a warning is logged.
        """
        with self._raising():
            try:
                held = self._held("answer", f"{summary.id}/{summary.version}", answer, LARGEST) if answer else {}
                return self._updated(summary, version, held)
            except (ClientError, StoreUnusable) as error:
                if answer is None or not (isinstance(error, StoreUnusable) or is_too_large(error)):
                    raise
            held = self._in_bucket("answer", f"{summary.id}/{summary.version}", answer) if self._bucket else {}
            if not held:
                LOGGER.warning(
                    "the answer to dead letter %s was not stored: it does not fit into the item, and no S3 bucket is "
                    "set. Name one in the store's URL: dynamodb://%s?bucket=NAME",
                    *(summary.id, self.table),
                )
            return self._updated(summary, version, held)

    def has_lapsed(self, summary: Summary) -> bool:
        """Return whether the claim of a dead letter has expired.

        The first call of this method for a claim returns False and starts to measure the time. With a lease of 1,000 s,
        a later call returns True if the claim has not changed for 1,000 s since the first call.
        """
        return self._watch.has_lapsed(summary)

    def now(self) -> float:
        """Return the current time in seconds since the epoch."""
        return self._time_of_day()

    def create(self) -> list[str]:
        """Create the table, or add the settings that an existing table lacks."""
        with self._raising():
            done = create(self._client(), self.table, self.place)
        self._scans = False
        return done

    def close(self) -> None:
        """Close the connections. A later request opens new connections."""
        for key in [key for key in self._clients if key[0] == os.getpid()]:
            self._clients.pop(key).close()

    def __repr__(self) -> str:
        return f"DynamoLetters({self.table!r})"

    def _raising(self) -> Any:
        return store_errors(self.place, self.table)

    def _client(self, service: str = "dynamodb") -> Any:
        key = os.getpid(), service
        client = self._clients.get(key)
        if client is None:
            options = self._options if service == "dynamodb" else {**self._options, "endpoint_url": None}
            client, *_ = make_client(service, self._session, config=_CONFIG, **options)
            self._clients[key] = client
        return client

    def _updated(self, summary: Summary, version: int, held: dict[str, Any]) -> bool:
        item = {**item_of(summary), **held}
        if summary.finished:
            item["expires"] = {"N": str(int(self._time_of_day() + KEPT_SECONDS))}
        names = {f"#{name}": name for name in item if name != "id"}
        sets = ", ".join(f"#{name} = :{name}" for name in item if name != "id")
        drop = "" if summary.finished else " REMOVE #expires"
        same = "#version = :before" if version else "attribute_exists(id) AND attribute_not_exists(#version)"
        values = {f":{name}": value for name, value in item.items() if name != "id"}
        if version:
            values[":before"] = {"N": str(version)}
        try:
            self._client().update_item(
                TableName=self.table,
                Key={"id": item["id"]},
                UpdateExpression=f"SET {sets}{drop}",
                ConditionExpression=same,
                ExpressionAttributeNames={**names, "#expires": "expires"},
                ExpressionAttributeValues=values,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            # If a response was lost, boto3 sends the request again. The stored summary can then already be the new one.
            there: Any = error.response.get("Item", {})
            return bool(there.get("summary") == item["summary"])
        return True

    def _items(
        self, state: State, wanted: Wanted, limit: int, after: Place | None, *, newest: bool
    ) -> Iterator[dict[str, Any]]:
        """Yield the items of dead letters in the state `state`. If the table has no index, scan the table and yield the
        items of all states.

        A query without filters reads up to `limit` items per request to DynamoDB. A query with filters reads up to
        1,000 items per request, because the filters can reject most of these items.
        """
        key = {} if after is None else {"id": {"S": after.id}, "state": {"S": state}, "first": {"N": repr(after.first)}}
        if not self._scans:
            try:
                query = query_of(self.table, state, wanted, newest=newest)
                yield from self._pages("query", {**query, "Limit": limit if wanted == Wanted() else _FILTERED}, key)
            except ClientError as error:
                if not lacks_index(error):
                    raise
            else:
                return
            self._scans = True
            LOGGER.warning(
                "%s has no index %s, so each list reads the complete table. Add the index: `bedrock dlq create --store "
                "%s`",
                *(self.place, INDEX, self.table),
            )
        yield from self._pages("scan", {"TableName": self.table}, {"id": key["id"]} if key else {})

    def _pages(self, operation: str, request: dict[str, Any], key: dict[str, Any]) -> Iterator[dict[str, Any]]:
        ask = getattr(self._client(), operation)
        while True:
            page = ask(**request, **({"ExclusiveStartKey": key} if key else {}))
            yield from page["Items"]
            key = page.get("LastEvaluatedKey")
            if not key:
                return

    def _read(self, ids: list[str]) -> dict[str, Record]:
        """Return the dead letters with these ids, by id. Ids without a letter are omitted."""
        read: dict[str, Record] = {}
        for start in range(0, len(ids), _PER_BATCH):
            wanted: Any = {self.table: {"Keys": [{"id": {"S": each}} for each in ids[start : start + _PER_BATCH]]}}
            while wanted:
                answer = self._client().batch_get_item(RequestItems=wanted)
                for items in answer["Responses"].values():
                    read |= {item["id"]["S"]: self._record(item) for item in items}
                wanted = answer.get("UnprocessedKeys")
        return read

    def _record(self, item: dict[str, Any]) -> Record:
        for name in ("content", "answer"):
            if f"{name}_at" in item:
                item = {**item, name: {"B": self._from_bucket(item[f"{name}_at"]["S"])}}
        return record_of(item)

    def _from_bucket(self, where: str) -> bytes:
        """Return the content of an object in S3. If S3 returns an error, log it and return empty bytes. The other dead
        letters of the page can then still be read.
        """
        bucket, _, key = where.removeprefix("s3://").partition("/")
        try:
            return bytes(self._client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
        except ClientError as error:
            LOGGER.error("%s cannot be read: %s", where, code_of(error))
            return b""

    def _held(self, name: str, key: str, content: bytes, room: int) -> dict[str, Any]:
        """Return the attribute that stores `content` in an item.

        If `content` has more than `room` bytes, it is stored in S3, and the attribute contains the URI of the S3
        object. If no bucket is set, raise `StoreUnusable` instead.
        """
        if len(content) <= room:
            return {name: {"B": content}}
        if self._bucket is None:
            raise StoreUnusable(
                f"{self.place}: the {name} is {len(content):,} bytes after compression, but an item can have at "
                f"most 400 KB. Name an S3 bucket for large dead letters (dynamodb://{self.table}?bucket=NAME), or "
                "remove large parts with redact="
            )
        return self._in_bucket(name, key, content)

    def _in_bucket(self, name: str, key: str, content: bytes) -> dict[str, Any]:
        where = f"dead-letters/{self.table.rpartition('/')[2]}/{key}"
        self._client("s3").put_object(Bucket=self._bucket, Key=where, Body=content)
        return {f"{name}_at": {"S": f"s3://{self._bucket}/{where}"}}


def table_at(rest: str) -> DynamoLetters:
    """Return the store for a URL such as `dynamodb://TABLE?region=NAME&bucket=NAME`. Raises `ValueError` for an
    invalid URL.
    """
    name, _, query = rest.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    for option in options:
        if option not in _OPTIONS:
            raise ValueError(
                f"dynamodb://{without_password(name)} has no option {option!r:.40}. Options: {', '.join(_OPTIONS)}"
            )
    return DynamoLetters(name, **{_OPTIONS[option]: value for option, value in options.items()})
