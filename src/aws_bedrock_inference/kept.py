"""The answers of AWS on disk: one JSON file for each account, Region and endpoint, readable by its owner alone.

A cache, so nothing that is wrong with it is an error: what cannot be read is not there, what cannot be written is not
kept.
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
    """Return the file of that kind for one account, or access key, in one Region at one endpoint."""
    if directory is None:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "aws-bedrock-inference"  # noqa: PTH111 - which raises without a home
    where = hashlib.sha256(endpoint.encode()).hexdigest()[:8]
    return Path(directory) / f"{kind}-{whose}-{region}-{where}.json"


def read(file: Path, version: int) -> dict[str, Any] | None:
    """Return what a file of that version of its format holds; None when there is none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) and content.get("format") == version else None
    except (OSError, ValueError, RecursionError):
        return None


def write(file: Path, version: int, content: dict[str, Any]) -> None:
    """Keep `content`, whole or not at all."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".new")  # its mode is 0600
        try:
            with open(descriptor, "w", encoding="utf-8") as new:  # noqa: PTH123 - a descriptor, not a path
                json.dump({"format": version, **content}, new)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
