"""Probes that check the places where processes store shared data: the table that contains dead letters (failed calls),
and the store through which processes share a quota.
"""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from aws_bedrock_inference.deadletters.dynamodb_table import INDEX, has_our_index, has_our_key
from aws_bedrock_inference.doctor.findings import Finding, failed, ok, skipped, warning
from aws_bedrock_inference.doctor.probe import probe
from aws_bedrock_inference.doctor.states import facts
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.stores import path_in
from aws_bedrock_inference.stores.disk import network_of
from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable
from aws_bedrock_inference.stores.sqlite import SHARES

if TYPE_CHECKING:
    from pathlib import Path

    from aws_bedrock_inference.doctor.world import World

_PLACES = "places"
_MISSING, _KEYS = "dynamodb-table-missing", "dynamodb-key-schema-mismatch"
_UNUSABLE = "shared-store-unusable"

# The scripts of stores/valkey.py need this version: they replicate effects and read the time.
_REDIS = (6, 2)


@probe(_PLACES, needs=["identity"], tells=[_MISSING, _KEYS, "kms-denied"], calls=["dynamodb:DescribeTable"])
def dead_letters(world: World) -> Finding:
    """Check the keys, the index and the status of the dead-letter table."""
    if not world.table:
        return skipped("No dead-letter table was specified: pass --dead-letters, or table in Python.")
    table, _, query = world.table.removeprefix("dynamodb://").partition("?")
    region = dict(parse_qsl(query)).get("region") or world.region
    shown = masked(table, accounts=True)
    tried = f"called dynamodb:DescribeTable for {shown} in {region}"
    answer = world.ask("dynamodb", "describe_table", region_name=region, TableName=table)
    if answer.why is not None and answer.code == "ResourceNotFoundException":
        return failed(f"The table {shown} does not exist in {region}.", tried, cause=_MISSING, TABLE=shown)
    if answer.why is not None:
        return warning(f"The table {shown} could not be checked: {answer.why_not('dynamodb:DescribeTable')}.", tried)
    return _fitness(answer.value["Table"], shown, tried)


def _fitness(found: dict[str, Any], shown: str, tried: str) -> Finding:
    """Return the finding (the result of the probe) that states whether a table can store dead letters.

    `found` is DynamoDB's description of the table.
    """
    status = found.get("TableStatus", "ACTIVE")
    cause = facts()["dynamodb"].get(status)
    if cause:
        return failed(
            f"The table {shown} has the status {status}. A table accepts calls only while it is ACTIVE or UPDATING.",
            tried,
            cause=cause,
            TABLE=shown,
        )
    if not has_our_key(found):
        message = (
            f"The table {shown} cannot store dead letters, because the table's only key must be the partition key "
            "`id`, a string."
        )
        return failed(message, tried, cause=_KEYS, TABLE=shown)
    if not has_our_index(found):
        lack = f"The table {shown} has no index {INDEX}, so every listing reads the whole table."
        return warning(f"{lack} `bedrock dlq create --store {shown}` adds the index.", tried)
    return ok(f"The table {shown} can store dead letters.", tried, excludes=[_MISSING, _KEYS])


@probe(_PLACES, tells=[_UNUSABLE])
def store(world: World) -> Finding:
    """Check whether the shared store can be reached and used. The probe only reads from the store."""
    if not world.store:
        return skipped("No shared store was specified: pass --store, or store in Python.")
    try:
        if world.store.startswith("sqlite://"):
            return _file(path_in(world.store, "shares.db"))
        return _server(world, world.store)
    except ImportError:
        return warning(
            "The package redis is not installed, so the store could not be checked. Run pip install "
            "'aws-bedrock-inference[valkey]'.",
            "imported redis",
        )
    except (StoreUnavailable, ValueError) as error:
        return failed(_ended(str(error)), "connected to the store", cause=_UNUSABLE)


def _server(world: World, url: str) -> Finding:
    from aws_bedrock_inference.stores.server import Server  # noqa: PLC0415 - redis-py is an extra
    from aws_bedrock_inference.stores.server_errors import SHARES as PURPOSE  # noqa: PLC0415 - the same

    server = Server(url, PURPOSE, timeout=world.wait, text=True)
    try:
        with server.errors():
            facts_of_server: dict[str, Any] = server.client().info("server")
    finally:
        server.close()
    tried = f"connected to {server.place} and sent INFO"
    name = "valkey" if "valkey_version" in facts_of_server else "redis"
    version = str(facts_of_server.get(f"{name}_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name == "redis" and numbers and numbers < _REDIS:
        message = f"{server.place} runs Redis {version}, but Redis 6.2 or later, or Valkey, is required."
        return failed(message, tried, cause=_UNUSABLE)
    return ok(
        f"{server.place} answers ({name.capitalize()} {version}) and is not a replica.", tried, excludes=[_UNUSABLE]
    )


def _file(path: Path) -> Finding:
    tried = f"read {path} as SQLite, without a lock"
    if network_of(path):
        raise StoreUnusable(
            f"{path} is on {network_of(path)}, a network file system, where SQLite's write-ahead log does not work. "
            "Use a file on a disk of this machine"
        )
    directory = path.parent
    if not path.exists():
        if not directory.is_dir() or not os.access(directory, os.W_OK):
            raise StoreUnusable(
                f"{path} does not exist, and this user cannot write to the directory {directory}. Create the "
                "directory, or correct its permissions"
            )
        return ok(f"{path} does not exist yet. Its first use creates it.", tried)
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(directory, os.W_OK):
        raise StoreUnusable(
            f"This user needs read and write access to {path} and write access to its directory. Correct the "
            "permissions"
        )
    try:
        application, version, tables = _content(path)
    except sqlite3.Error as error:
        raise StoreUnusable(
            f"{path} is damaged or is not a file of {SHARES.noun} ({error}). Use another path, or move the file away"
        ) from error
    if application not in (0, SHARES.application) or (not application and tables - SHARES.tables.keys()):
        raise StoreUnusable(f"{path} is a database of another program. Choose another file")
    if version > SHARES.newest:
        raise StoreUnusable(f"{path} was written by a newer version of this package. Update aws-bedrock-inference")
    return ok(f"{path} is a file of {SHARES.noun}, and this user can write to it.", tried, excludes=[_UNUSABLE])


def _content(path: Path) -> tuple[int, int, set[str]]:
    """Return the application id, the version and the tables of a SQLite file. The file is opened with `immutable`, so
    that SQLite creates no other file next to it.
    """
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    finally:
        connection.close()
    return application, version, tables


def _ended(message: str) -> str:
    return message.rstrip(".") + "."


PROBES = (dead_letters, store)
