"""Store on disk the quotas from Service Quotas, with the time at which they were read. Each account, Region and
endpoint has a separate file.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference import kept
from aws_bedrock_inference.service_quotas.table import Found

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

_FORMAT = 1


class Reading(NamedTuple):
    """A reading: the quotas, and the time at which they were read, in seconds since the epoch."""

    at: float
    found: tuple[Found, ...]


def place(directory: str | Path | None, whose: str, region: str, endpoint: str) -> Path:
    """Return the path of the file that stores the quotas of one account, in one Region, from one endpoint.

    `whose` is the account id, or a hash of the access key if the account id is unknown.
    """
    return kept.place(directory, "quotas", whose, region, endpoint)


def read(file: Path) -> Reading | None:
    """Return the reading (the stored quotas and their time) in a file, or None if the file does not exist or is
    damaged.
    """
    try:
        content = kept.read(file, _FORMAT)
        if content is None:
            return None
        return Reading(float(content["at"]), tuple(_found(**quota) for quota in content["quotas"]))
    except (ValueError, TypeError, KeyError):
        return None


def write(file: Path, reading: Reading) -> None:
    """Store a reading (quotas and their time). The file is replaced in one step, so that no other process reads a
    half-written file.
    """
    kept.write(file, _FORMAT, {"at": reading.at, "quotas": [asdict(found) for found in reading.found]})


def _found(*, code: Any, name: Any, applied: Any, default: Any, adjustable: Any) -> Found:
    return Found(str(code), str(name), _number(applied), _number(default), adjustable=bool(adjustable))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
