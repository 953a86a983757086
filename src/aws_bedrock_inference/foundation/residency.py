"""Check which Regions can answer a call. For an inference profile, the check uses AWS's list of the profile's
destination Regions. It does not use a prefix such as `eu.` in the profile's id, because a prefix does not name each
Region.
"""

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
    """Return the patterns of allowed Regions as a tuple. Raises `ValueError` if there is no pattern, or if a pattern
    cannot match any Region.
    """
    found = (within,) if isinstance(within, str) else tuple(within)
    if not found or not all(str(each).strip() for each in found):
        raise ValueError(f"within={within!r:.80}: pass a pattern of Regions such as 'eu-*', or a list of patterns")
    for each in found:
        beginning, *wild = _WILDCARD.split(str(each), maxsplit=1)
        if not (_BEGINNING if wild else _REGION).fullmatch(beginning):
            raise ValueError(
                f"within={each!r:.80}: no Region has such a name; pass a Region such as 'eu-west-1', or a pattern "
                "such as 'eu-*'"
            )
    return found


def stays(regions: Iterable[str], within: tuple[str, ...]) -> bool:
    """Return True if each of `regions` matches a pattern in `within`. `regions` are the Regions that can answer a call.

    Return False if `regions` is empty, because the Regions are then unknown. For a global profile, `regions` contains
    `EVERYWHERE`, which only the pattern `*` matches.
    """
    found = tuple(regions)
    return bool(found) and all(
        ANYWHERE in within if region == EVERYWHERE else any(fnmatchcase(region, pattern) for pattern in within)
        for region in found
    )


def strays(regions: Iterable[str], within: tuple[str, ...], *, stores: bool = False) -> str | None:
    """Return None if all of `regions`, the Regions that can answer a call, match the patterns in `within`. Otherwise
    return a clause for an error message. The clause names `regions` and the patterns.

    Set `stores` to True if AWS stores the answer in the Region that produced it. The clause then states that the answer
    can also be stored there.
    """
    found = tuple(regions)
    if stays(found, within):
        return None
    done = "answered and its answer stored" if stores else "answered"
    return f"the call can be {done} in {shown(found)}, not only within {' '.join(within)}"


def shown(regions: Iterable[str]) -> str:
    """Return the Regions as text for messages."""
    return ", ".join(region or "any commercial Region" for region in sorted(regions)) or "unknown Regions"
