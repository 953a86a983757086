"""Answers of AWS stored on disk: one JSON file for each account, Region and endpoint, with mode 0600.

The files are only a cache, so a damaged file is not an error. If a file cannot be read, it counts as missing. If a file
cannot be written, nothing is stored.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def place(directory: str | Path | None, kind: str, whose: str, region: str, endpoint: str) -> Path:
    """Return the path of a cache file in `directory`, or in the user's cache directory if `directory` is None.

    The file contains AWS's answers about one subject (`kind`: `models` or `quotas`). The answers are for one account
    or access key (`whose`), one Region and one endpoint.
    """
    if directory is None:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "aws-bedrock-inference"  # noqa: PTH111 - which raises without a home
    where = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
    return Path(directory) / f"{kind}-{whose}-{region}-{where}.json"


def read(file: Path, version: int) -> dict[str, Any] | None:
    """Return the content of a cache file. Return None if the file does not exist, cannot be read, or has a format
    version other than `version`.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) and content.get("format") == version else None
    except (OSError, ValueError, RecursionError):
        return None


def write(file: Path, version: int, content: dict[str, Any]) -> None:
    """Write `content` atomically: completely or not at all."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")  # its mode is 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as new:  # noqa: PTH123 - a descriptor, not a path
                json.dump({"format": version, **content}, new)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
