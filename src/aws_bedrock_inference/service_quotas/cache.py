"""Readings of quotas on disk: one JSON file for each account, Region and endpoint.

A cache, so nothing that is wrong with it is an error: what cannot be read is not there, what cannot be written is not
kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.service_quotas.table import Found

if TYPE_CHECKING:
    from typing import Any

_FORMAT = 1


class Reading(NamedTuple):
    """The quotas that were found, and the time of the reading, in seconds since the epoch."""

    at: float
    found: tuple[Found, ...]


def place(directory: str | Path | None, whose: str, region: str, endpoint: str) -> Path:
    """Return the file for readings of one account, or access key, in one Region at one endpoint."""
    if directory is None:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "aws-bedrock-inference"
    where = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
    return Path(directory) / f"quotas-{whose}-{region}-{where}.json"


def read(file: Path) -> Reading | None:
    """Return the reading in a file; None when there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            return None
        return Reading(float(content["at"]), tuple(_found(**quota) for quota in content["quotas"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write(file: Path, reading: Reading) -> None:
    """Keep a reading, whole or not at all."""
    content = {"format": _FORMAT, "at": reading.at, "quotas": [asdict(found) for found in reading.found]}
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")
        try:
            with open(descriptor, "w", encoding="utf-8") as new:  # noqa: PTH123 - a descriptor, not a path
                json.dump(content, new)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)


def _found(*, code: Any, name: Any, applied: Any, default: Any, adjustable: Any) -> Found:
    return Found(str(code), str(name), _number(applied), _number(default), adjustable=bool(adjustable))


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
