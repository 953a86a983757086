"""Explain the errors of a Redis or Valkey server: whether waiting helps, and what to do. Most errors begin with a
word that identifies the error, such as `LOADING`.

These words come from the sources of Redis 7.0 (src/server.c createSharedObjects, src/acl.c, src/cluster.c,
src/replication.c) and Valkey 8, as of November 2026. Words that begin with `BEDROCK` come from this package's script.
If a command in a script fails, older servers write other text before the word. Therefore the word is searched for in
the whole message.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import redis

from aws_bedrock_inference.stores.request import StoreUnavailable, StoreUnusable

_CREDENTIALS = "write the correct user and password into the URL, percent-encoded"


class Purpose(NamedTuple):
    """The purpose for which a Redis or Valkey server is used. `use` completes the sentence "cannot be used to …".
    `keys` is the pattern of the keys, and `rights` lists the permissions that the purpose needs.
    """

    use: str
    keys: str
    rights: str


SHARES = Purpose(
    "share a quota",
    "bedrock:quota:*",
    "EVAL, EVALSHA, SCRIPT LOAD, SCAN, TIME and the commands of hashes and EXPIRE",
)
ANSWERS = Purpose("keep answers", "bedrock:answer:*", "GET and SET")

# These errors end by themselves: a failover is completed, a server has loaded its data, memory is freed.
_PASSING = {
    "READONLY": "it is now a replica; the next request looks up its name again and reconnects",
    "LOADING": "it is loading its data",
    "MASTERDOWN": "it has lost the connection to its primary",
    "CLUSTERDOWN": "the cluster is down",
    "TRYAGAIN": "the cluster is moving keys between its nodes",
    "NOREPLICAS": "it has too few replicas to accept writes",
    "BUSY": "a script of another program is blocking it",
    "OOM": "its memory is full: raise maxmemory, or set a maxmemory-policy that evicts keys",
    "MISCONF": "it cannot save its data to disk, so it refuses writes",
    "max number of clients": "too many connections are open: raise maxclients",
}

# These errors remain until somebody corrects their cause.
_LASTING = {
    "without any password configured": "the server has no password: remove the password from the URL",
    "NOAUTH": _CREDENTIALS,
    "WRONGPASS": _CREDENTIALS,
    "invalid username-password": _CREDENTIALS,
    "invalid password": _CREDENTIALS,
    "NOPERM": "allow this user {rights} on keys {keys}",
    "DENIED": "it is in protected mode: set a password or bind it to this network",
    "MOVED": "it is a node of a cluster: use redis+cluster:// (rediss+cluster:// with TLS)",
    "ASK": "it is a node of a cluster: use redis+cluster:// (rediss+cluster:// with TLS)",
    "CROSSSLOT": "it is a cluster: use redis+cluster:// (rediss+cluster:// with TLS)",
    "cluster mode disabled": "it is not a cluster: use redis:// (rediss:// with TLS)",
    "cluster support disabled": "it is not a cluster: use redis:// (rediss:// with TLS)",
    "Cluster mode is not enabled": "it is not a cluster: use redis:// (rediss:// with TLS)",
    "DB index is out of range": "choose another database number in the URL",
    "WRONGTYPE": "another program uses the same keys: choose another database number, or delete the keys {keys}",
    "BEDROCKFORMAT": "a newer version of this package wrote its data: update aws-bedrock-inference in this environment",
    "BEDROCKDATA": "this package did not write its data: delete the keys {keys}; they contain only replaceable data",
    "unknown command": "it does not run scripts: use a Redis (6.2 or newer) or Valkey server, not a proxy or sentinel",
}

# redis-py removes the word from the message if it has an exception class for it.
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
    """Return the exception for an `error` of the Redis or Valkey server at `place` (a URL without password)."""
    text = " ".join((_CLASSES.get(type(error).__name__, "") + f" {error}").split())
    for known, kind in ((_LASTING, StoreUnusable), (_PASSING, StoreUnavailable)):
        for words, advice in known.items():
            if re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text):
                return kind(f"{place} cannot be used to {purpose.use}: {advice.format_map(purpose._asdict())} ({text})")
    advice = ". Check that the server runs there" if isinstance(error, redis.ConnectionError) else ""
    return StoreUnavailable(f"{place} cannot be used to {purpose.use}: {text.rstrip('.')}{advice}")
