"""Use the same policies for boto3 clients of other services, here DynamoDB and S3.

    python examples/any_boto3_client.py      # creates a table and a bucket with new names, and deletes them at the end

The wrapped client has boto3's own methods, answers and exceptions. It does not use botocore's own retries, so that
only one layer retries.
"""

from __future__ import annotations

import sys
import uuid

import boto3
from botocore.exceptions import ClientError

from aws_bedrock_inference import resilient
from aws_bedrock_inference.events import RetryScheduled

NAME = f"example-{uuid.uuid4()}"
NOTES = 60


def show(event: object) -> None:
    if isinstance(event, RetryScheduled):
        print(f"retry after {event.fault.code} in {event.wait:.2f} s", file=sys.stderr)


def main() -> int:
    table = resilient(boto3.client("dynamodb"), timeout=60, listener=show)
    store = resilient(boto3.client("s3", region_name="us-east-1"), timeout=60, listener=show)
    key = {"AttributeName": "id", "AttributeType": "S"}
    schema = [{"AttributeName": "id", "KeyType": "HASH"}]
    table.create_table(TableName=NAME, AttributeDefinitions=[key], KeySchema=schema, BillingMode="PAY_PER_REQUEST")
    store.create_bucket(Bucket=NAME)
    try:
        table.get_waiter("table_exists").wait(TableName=NAME)
        items = [{"PutRequest": {"Item": {"id": {"S": f"note-{number}"}}}} for number in range(NOTES)]
        for start in range(0, NOTES, 25):  # `resilient` sends UnprocessedItems again
            table.batch_write_item(RequestItems={NAME: items[start : start + 25]})
        store.put_object(Bucket=NAME, Key="notes.txt", Body=b"sixty notes")
        print(table.scan(TableName=NAME, Select="COUNT")["Count"], "notes in the table")
        print(len(store.get_object(Bucket=NAME, Key="notes.txt")["Body"].read()), "bytes in the bucket")
        try:
            store.get_object(Bucket=NAME, Key="no-such-key")
        except ClientError as error:  # boto3's exception, with a note about what to do
            print("as in boto3:", error.response["Error"]["Code"])
    finally:
        store.delete_object(Bucket=NAME, Key="notes.txt")
        store.delete_bucket(Bucket=NAME)
        table.delete_table(TableName=NAME)
    return 0


if __name__ == "__main__":
    sys.exit(main())
