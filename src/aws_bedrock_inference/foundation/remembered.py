"""Store the lists of models and profiles that were read from AWS, in memory for this process and on disk for other
programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_bedrock_inference import kept
from aws_bedrock_inference.foundation.listing import Listing, from_json, to_json
from aws_bedrock_inference.sessions import of_aws

if TYPE_CHECKING:
    from pathlib import Path

_FORMAT = 1

# Parsed files with their modification time. They are cached, because a client needs the lists for each new model id.
_read: dict[str, tuple[int, Listing | None]] = {}
# The listings that this process has read from AWS itself, regardless of the directory that stores them.
_synced: dict[tuple[str, str, str], Listing] = {}


def recall(directory: str | Path | None, whose: str, region: str, endpoint: str) -> Listing | None:
    """Return the newest stored lists of one account in one Region, or None.

    All of AWS's own endpoints have the same lists, so `endpoint` can be an endpoint of the runtime or of the control
    plane. Lists from an endpoint outside AWS, such as the simulator, are stored separately.
    """
    if not whose:
        return None
    found = _on_disk(_file(directory, whose, region, endpoint))
    own = _synced.get((whose, region, _where(endpoint)))
    return max((each for each in (found, own) if each is not None), key=lambda each: each.at, default=None)


def remember(directory: str | Path | None, whose: str, endpoint: str, listing: Listing) -> None:
    """Store the lists of models and profiles in memory and on disk."""
    if not whose:
        return
    _synced[whose, listing.region, _where(endpoint)] = listing
    kept.write(_file(directory, whose, listing.region, endpoint), _FORMAT, to_json(listing))


def _file(directory: str | Path | None, whose: str, region: str, endpoint: str) -> Path:
    return kept.place(directory, "models", whose, region, _where(endpoint))


def _where(endpoint: str) -> str:
    return "aws" if of_aws(endpoint) else endpoint.rstrip("/")


def _on_disk(file: Path) -> Listing | None:
    try:
        changed = file.stat().st_mtime_ns
    except OSError:
        return None
    name = str(file)
    known = _read.get(name)
    if known is None or known[0] != changed:
        known = _read[name] = changed, _parsed(file)
    return known[1]


def _parsed(file: Path) -> Listing | None:
    content = kept.read(file, _FORMAT)
    if content is None:
        return None
    try:
        return from_json(content)
    except (KeyError, TypeError, ValueError):
        return None
