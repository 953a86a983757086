"""Errors of a Redis or Valkey server, by the word they begin with: whether they pass by themselves, and what to do.

The words are those of Redis 7.0 (src/server.c createSharedObjects, src/acl.c, src/cluster.c, src/replication.c) and
Valkey 8, read 2026-11; `BEDROCK...` are of our own script. An older server wraps the error of a script's command in
text of its own, so a word is looked for in the whole message.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import redis

from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

_CREDENTIALS = "put the right user and password into the URL, percent-encoded"


class Purpose(NamedTuple):
    """The use of a server: to do what, with which `keys`, and the `rights` that this needs."""

    use: str
    keys: str
    rights: str


SHARES = Purpose(
    "share a quota",
    "bedrock:quota:*",
    "EVAL, EVALSHA, SCRIPT LOAD, SCAN, TIME and the commands of hashes and EXPIRE",
)
ANSWERS = Purpose("keep answers", "bedrock:answer:*", "GET and SET")

# These pass: a failover ends, a server loads its data, memory is freed.
_PASSING = {
    "READONLY": "it is a replica now; the next request connects anew, by name",
    "LOADING": "it loads its data",
    "MASTERDOWN": "it has lost its primary",
    "CLUSTERDOWN": "the cluster is down",
    "TRYAGAIN": "the cluster moves keys",
    "NOREPLICAS": "it has too few replicas to accept writes",
    "BUSY": "a script of another program blocks it",
    "OOM": "its memory is full: raise maxmemory, or let it evict keys",
    "MISCONF": "it cannot save to its disk and so refuses writes",
    "max number of clients": "too many connections are open: raise maxclients",
}

# These stay until somebody changes something.
_LASTING = {
    "without any password configured": "it has no password: remove it from the URL",
    "NOAUTH": _CREDENTIALS,
    "WRONGPASS": _CREDENTIALS,
    "invalid username-password": _CREDENTIALS,
    "invalid password": _CREDENTIALS,
    "NOPERM": "allow this user {rights} on keys {keys}",
    "DENIED": "it is in protected mode: set a password or bind it to this network",
    "MOVED": "it is a node of a cluster: write redis+cluster:// (rediss+cluster:// with TLS)",
    "ASK": "it is a node of a cluster: write redis+cluster:// (rediss+cluster:// with TLS)",
    "CROSSSLOT": "it is a cluster: write redis+cluster:// (rediss+cluster:// with TLS)",
    "cluster mode disabled": "it is no cluster: write redis:// (rediss:// with TLS)",
    "cluster support disabled": "it is no cluster: write redis:// (rediss:// with TLS)",
    "Cluster mode is not enabled": "it is no cluster: write redis:// (rediss:// with TLS)",
    "DB index is out of range": "choose another database number in the URL",
    "WRONGTYPE": "a key there belongs to another program: choose another database number, or delete {keys}",
    "BEDROCKFORMAT": "a newer version of this package wrote its data: update aws-bedrock-inference here",
    "BEDROCKDATA": "its data was not written by this package: delete the keys {keys}; no data there is irreplaceable",
    "unknown command": "it does not run scripts: use a Redis (6.2 or newer) or Valkey server, not a proxy or sentinel",
}

# redis-py takes the word out of the message where it has a class for it.
_CLASSES = {
    "ReadOnlyError": "READONLY",
    "BusyLoadingError": "LOADING",
    "MasterDownError": "MASTERDOWN",
    "ClusterDownError": "CLUSTERDOWN",
    "TryAgainError": "TRYAGAIN",
    "OutOfMemoryError": "OOM",
    "AuthenticationError": "NOAUTH",
    "AuthorizationError": "NOAUTH",
    "NoPermissionError": "NOPERM",
    "MovedError": "MOVED",
    "AskError": "ASK",
    "ClusterCrossSlotError": "CROSSSLOT",
}


def trouble(place: str, error: Exception, purpose: Purpose) -> StoreUnavailable:
    """Return the exception for `error` of the server at `place`."""
    text = " ".join((_CLASSES.get(type(error).__name__, "") + f" {error}").split())
    for known, kind in ((_LASTING, StoreUnusable), (_PASSING, StoreUnavailable)):
        for words, advice in known.items():
            if re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text):
                return kind(f"{place} cannot be used to {purpose.use}: {advice.format_map(purpose._asdict())} ({text})")
    advice = ". Check that the server runs there" if isinstance(error, redis.ConnectionError) else ""
    return StoreUnavailable(f"{place} cannot be used to {purpose.use}: {text.rstrip('.')}{advice}")
