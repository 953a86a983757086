"""Describe an unreadable answer by its headers. Often the headers show what answered in place of AWS."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
EVENT_STREAM = "application/vnd.amazon.eventstream"
_LOWEST_ERROR = 400
_NAME = re.compile(r"[\w.+/-]{1,80}")  # a header can contain any text, so only names are shown


def stated_form(headers: Mapping[str, str], expected: str) -> str:
    """Return words about the form of the body, such as "; its Content-Type is text/html". Return an empty text if the
    headers state the `expected` type and no encoding. The names in `headers` are in lower case.
    """
    found = {name: _NAME.match(headers.get(name.lower(), "").lower()) for name in ("Content-Type", "Content-Encoding")}
    return "".join(f"; its {name} is {value[0]}" for name, value in found.items() if value and value[0] != expected)


def redirection(status: int, headers: Mapping[str, str]) -> str:
    """Return words that name the host of a redirect, for an error message. Return an empty text if the headers name no
    host. Also return an empty text for a status that is not a redirect, because other answers can contain a `Location`,
    too.
    """
    if status >= _LOWEST_ERROR:
        return ""
    try:
        host = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        return ""
    return f"the answer redirects to {host}" if host and _NAME.fullmatch(host) else ""
