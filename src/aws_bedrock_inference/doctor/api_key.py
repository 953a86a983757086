"""Read what the text of a Bedrock API key contains: the kind of the key, its Region, its expiry time and its owner.

A short-term key is a presigned URL in base64. It contains the Region and an expiry time. The key can expire earlier,
because it also ends with the AWS session that created it. A long-term key contains the name of an IAM user's
credential. Only IAM stores the expiry time of a long-term key. Both forms are described in
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_bedrock.html and in the source of AWS's package
aws-bedrock-token-generator, read 2026-11-29.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

_SHORT, _LONG = "bedrock-api-key-", "ABSK"
_OWNER = re.compile(r"(?P<user>[\w+=,.@-]{1,64})-at-(?P<account>\d{12}):")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The content of a Bedrock API key. A value that the key does not contain is empty or None.

    * `kind`: `short-term` or `long-term`. It is empty if the key has neither of these forms.
    * `region`: the only Region that accepts the key.
    * `ends`: the latest time at which the key expires, in seconds since the epoch. A key can expire earlier, with the
      session that created it.
    * `user`: the IAM user in `account` that owns the key.
    """

    kind: str = ""
    region: str = ""
    ends: float | None = None
    user: str = ""
    account: str = field(default="", repr=False)


def read_key(key: str) -> ApiKey:
    """Return what the text of an API key contains, such as its Region, its expiry time or its owner."""
    if key.startswith(_SHORT):
        return _short(_text(key.removeprefix(_SHORT)))
    if key.startswith(_LONG):
        owner = _OWNER.match(_text(key.removeprefix(_LONG)))
        return ApiKey("long-term", user=owner["user"], account=owner["account"]) if owner else ApiKey("long-term")
    return ApiKey()


def _short(url: str) -> ApiKey:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(f"//{url}").query).items()}
    scope = asked.get("X-Amz-Credential", "").split("/")  # key id, day, Region, service, aws4_request
    region = scope[2] if len(scope) == 5 else ""  # noqa: PLR2004 - the parts of a scope
    try:
        made = datetime.strptime(asked["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        return ApiKey("short-term", region, made + float(asked["X-Amz-Expires"]))
    except (KeyError, ValueError):
        return ApiKey("short-term", region)


def _text(encoded: str) -> str:
    try:
        return b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""
