"""The Regions in which a call may be answered: judged by the destinations of a profile, never by its prefix."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aws_bedrock_inference.foundation.listing import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable

ANYWHERE = "*"

# What a Region is called, and how a pattern of Regions begins before its first wildcard.
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_BEGINNING = re.compile(r"[a-z]{0,4}|[a-z]{2,4}-[a-z0-9-]*")
_WILDCARD = re.compile(r"[*?\[]")


def patterns(within: str | Iterable[str]) -> tuple[str, ...]:
    """Return the shell patterns of allowed Regions. Raises `ValueError` for none, and for one that
    no Region can fit.
    """
    found = (within,) if isinstance(within, str) else tuple(within)
    if not found or not all(str(each).strip() for each in found):
        raise ValueError(f"within={within!r:.80}: give a pattern of Regions such as 'eu-*', or several of them")
    for each in found:
        beginning, *wild = _WILDCARD.split(str(each), maxsplit=1)
        if not (_BEGINNING if wild else _REGION).fullmatch(beginning):
            raise ValueError(
                f"within={each!r:.80}: no Region has such a name; give one, such as 'eu-west-1', or a pattern of them, "
                "such as 'eu-*'"
            )
    return found


def stays(regions: Iterable[str], within: tuple[str, ...]) -> bool:
    """Return whether a call that may be answered in any of `regions` stays within the patterns. Where nothing is known
    of the destinations, it does not; where it may go everywhere, only `*` allows it.
    """
    found = tuple(regions)
    return bool(found) and all(
        ANYWHERE in within if region == EVERYWHERE else any(fnmatchcase(region, pattern) for pattern in within)
        for region in found
    )


def strays(regions: Iterable[str], within: tuple[str, ...], *, stores: bool = False) -> str | None:
    """Return why a call that may be answered in any of `regions` does not stay within the patterns, in a sentence
    without a full stop; None if it does. What a call `stores` at AWS stays in the Region that has answered.
    """
    found = tuple(regions)
    if stays(found, within):
        return None
    done = "answered and its answer stored" if stores else "answered"
    return f"the call may be {done} in {shown(found)}, not only within {' '.join(within)}"


def shown(regions: Iterable[str]) -> str:
    """Return the Regions as a person reads them."""
    return ", ".join(region or "any commercial Region" for region in sorted(regions)) or "unknown Regions"
