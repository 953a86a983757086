"""Check which Regions may answer a call, based on the destinations of a profile, never on its prefix."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from aws_bedrock_inference.foundation.listing import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable

ANYWHERE = "*"

# The form of a Region's name, and of a pattern's beginning before its first wildcard.
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_BEGINNING = re.compile(r"[a-z]{0,4}|[a-z]{2,4}-[a-z0-9-]*")
_WILDCARD = re.compile(r"[*?\[]")


def patterns(within: str | Iterable[str]) -> tuple[str, ...]:
    """Return the shell patterns of allowed Regions. Raises `ValueError` if there is none, and for a pattern that
    cannot match any Region.
    """
    found = (within,) if isinstance(within, str) else tuple(within)
    if not found or not all(str(each).strip() for each in found):
        raise ValueError(f"within={within!r:.80}: pass a pattern of Regions such as 'eu-*', or several patterns")
    for each in found:
        beginning, *wild = _WILDCARD.split(str(each), maxsplit=1)
        if not (_BEGINNING if wild else _REGION).fullmatch(beginning):
            raise ValueError(
                f"within={each!r:.80}: no Region has such a name; pass a Region such as 'eu-west-1', or a pattern "
                "such as 'eu-*'"
            )
    return found


def stays(regions: Iterable[str], within: tuple[str, ...]) -> bool:
    """Return whether a call that any of `regions` may answer stays within the patterns. It does not if the
    destinations are unknown. If any Region may answer it, only `*` allows it.
    """
    found = tuple(regions)
    return bool(found) and all(
        ANYWHERE in within if region == EVERYWHERE else any(fnmatchcase(region, pattern) for pattern in within)
        for region in found
    )


def strays(regions: Iterable[str], within: tuple[str, ...], *, stores: bool = False) -> str | None:
    """Return why a call that any of `regions` may answer does not stay within the patterns, as a sentence without a
    full stop; None if it does. If the call `stores` its answer at AWS, the reason says so: the answer is stored in the
    Region that produced it.
    """
    found = tuple(regions)
    if stays(found, within):
        return None
    done = "answered and its answer stored" if stores else "answered"
    return f"the call may be {done} in {shown(found)}, not only within {' '.join(within)}"


def shown(regions: Iterable[str]) -> str:
    """Return the Regions as text for people."""
    return ", ".join(region or "any commercial Region" for region in sorted(regions)) or "unknown Regions"
