"""Create and query the DynamoDB table of dead letters and its index. A table that an earlier version of this package
created is upgraded.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.deadletters.dynamodb_errors import code_of
from aws_bedrock_inference.deadletters.dynamodb_items import item_of, summary_in
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

if TYPE_CHECKING:
    from aws_bedrock_inference.deadletters.filters import Wanted
    from aws_bedrock_inference.deadletters.letter import State

INDEX = "by-state"
_EXPIRES = "expires"
_KEYS = [{"AttributeName": "id", "KeyType": "HASH"}]
_TYPES = [
    {"AttributeName": "id", "AttributeType": "S"},
    {"AttributeName": "state", "AttributeType": "S"},
    {"AttributeName": "first", "AttributeType": "N"},
]
_BY_STATE = {
    "IndexName": INDEX,
    "KeySchema": [{"AttributeName": "state", "KeyType": "HASH"}, {"AttributeName": "first", "KeyType": "RANGE"}],
    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["summary"]},
}

# Seconds to wait for the table or its index, and seconds between two checks.
_READY = 600
_LOOK = 2.0


def create(client: Any, table: str, place: str) -> list[str]:
    """Create the table, or add the settings that an existing table lacks. Return texts that describe the changes."""
    try:
        found = client.describe_table(TableName=table)["Table"]
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
        client.create_table(
            TableName=table,
            KeySchema=_KEYS,
            AttributeDefinitions=_TYPES,
            BillingMode="PAY_PER_REQUEST",
            GlobalSecondaryIndexes=[_BY_STATE],
        )
        _await(client, table)
        done = [f"{place} was created, billed by request, with the index {INDEX}"]
    else:
        done = _indexed(client, table, place, found)
    return [*done, *_kept_tidy(client, table)]


def has_our_key(found: dict[str, Any]) -> bool:
    """Return whether the description of a table from DynamoDB has the key that dead letters need."""
    return found["KeySchema"] == _KEYS and _TYPES[0] in found["AttributeDefinitions"]


def has_our_index(found: dict[str, Any]) -> bool:
    """Return whether the description of a table has the index with which dead letters are listed without a scan of the
    table.
    """
    return any(each["IndexName"] == INDEX for each in found.get("GlobalSecondaryIndexes", ()))


def _indexed(client: Any, table: str, place: str, found: dict[str, Any]) -> list[str]:
    if not has_our_key(found):
        raise StoreUnusable(
            f"{place} cannot store dead letters: the table's only key must be the partition key `id`, a string. The "
            "table was not changed. Choose another table"
        )
    if has_our_index(found):
        return []
    request: dict[str, Any] = {"Create": _BY_STATE}
    if found.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST":
        throughput = found["ProvisionedThroughput"]
        units = {name: throughput[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}
        request = {"Create": {**_BY_STATE, "ProvisionedThroughput": units}}
    client.update_table(TableName=table, AttributeDefinitions=_TYPES, GlobalSecondaryIndexUpdates=[request])
    _await(client, table)
    adopted = _adopt(client, table)
    return [
        f"{place} now has the index {INDEX}",
        *([f"{adopted:,} letters were added to the index"] if adopted else []),
    ]


def _adopt(client: Any, table: str) -> int:
    """Add the attributes of the index to the items that the example program in AWS's documentation has written. Return
    the number of these items.
    """
    adopted = 0
    for page in client.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            if "summary" in item:
                continue
            known = {name: value for name, value in item_of(summary_in(item)).items() if name not in {"id", "version"}}
            client.update_item(
                TableName=table,
                Key={"id": item["id"]},
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in known),
                ConditionExpression="attribute_exists(id) AND attribute_not_exists(#summary)",
                ExpressionAttributeNames={f"#{name}": name for name in known},
                ExpressionAttributeValues={f":{name}": value for name, value in known.items()},
            )
            adopted += 1
    return adopted


def _kept_tidy(client: Any, table: str) -> list[str]:
    """Enable the deletion of finished dead letters after 30 days, and point-in-time recovery for the last 35 days.

    Return texts that describe the changes.
    """
    done = []
    expiry = client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if expiry.get("TimeToLiveStatus", "DISABLED") == "DISABLED":
        client.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": _EXPIRES}
        )
        done.append("letters that are redriven or discarded are deleted after 30 days")
    backups = client.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if recovery != "ENABLED":
        client.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        done.append("the table can be restored to any second of the last 35 days")
    return done


def _await(client: Any, table: str) -> None:
    """Wait until the table and its index are ready. Raise an exception if they are not ready in time."""
    until = clocks.monotonic() + _READY
    while True:
        found = client.describe_table(TableName=table)["Table"]
        indexes = found.get("GlobalSecondaryIndexes", ())
        # An emulator may not return the status of an index.
        if found["TableStatus"] == "ACTIVE" and all(each.get("IndexStatus", "ACTIVE") == "ACTIVE" for each in indexes):
            return
        if clocks.monotonic() >= until:
            raise StoreUnavailable(f"the table {table} is not ready after {_READY} s; run the command again later")
        clocks.sleep(_LOOK)


def query_of(table: str, state: State, wanted: Wanted, *, newest: bool) -> dict[str, Any]:
    """Return the parameters of a query for the dead letters of a state. The query uses the index, and selects letters
    by the time of their first failure.
    """
    condition = "#state = :state"
    values: dict[str, Any] = {":state": {"S": state}}
    if wanted.since > -inf or wanted.until < inf:
        condition += " AND #first BETWEEN :since AND :until"
        since = min(max(wanted.since, 0.0), 1e12)
        values[":since"] = {"N": repr(since)}
        values[":until"] = {"N": repr(max(since, min(wanted.until, 1e12)))}  # BETWEEN refuses an end before the start
    return {
        "TableName": table,
        "IndexName": INDEX,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {"#state": "state", **({"#first": "first"} if ":since" in values else {})},
        "ExpressionAttributeValues": values,
        "ScanIndexForward": not newest,
    }
