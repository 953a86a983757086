"""Read the wait, in seconds, that a service states in an error answer.

The wait can be in three places:

* in the header `Retry-After`, as seconds or a date;
* in a header with milliseconds: `x-amz-retry-after` of AWS, or `retry-after-ms` of model vendors;
* in the member `retryAfterSeconds` of the body, as in throttles of Lambda.

An implausible value is ignored. Waits in sentences are not read. If the answer states no wait, the catalogue's
`retry_after` for the cause applies, which is the wait that AWS's documents state.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.knowledge.reading import attribute, chain, header, is_a, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST = 31_536_000.0
"""One year in seconds. No service requests a longer wait, so a larger value is an error."""

_MEMBERS = ("retryAfterSeconds", "RetryAfterSeconds")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{0,15})?")


def retry_after(value: object, wall: float) -> float | None:
    """Return the wait in seconds that the header `Retry-After` states, as a number or a date. `wall` is the current
    time of day, in seconds since the epoch. The result is None if the header states no wait.
    """
    seconds = _number(value)
    if seconds is None and isinstance(value, str):
        try:
            date = parsedate_to_datetime(value)
            seconds = max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - wall)
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
    return _sane(seconds)


def milliseconds(value: object) -> float | None:
    """Return the wait in seconds from a header that contains milliseconds. The result is None if the header states no
    wait.
    """
    number = _number(value)
    return None if number is None else _sane(number / 1000)


def stated(x: Any, response: Mapping[str, Any] | None) -> tuple[float | None, float | None]:
    """Return the values of a fault's `retry_after` and `suggested_wait`: two waits in seconds that an error states. A
    wait that the error does not state is None.

    * `retry_after` is from the header `Retry-After` or `retry-after-ms`, or from the body.
    * `suggested_wait` is from the header `x-amz-retry-after`.

    `response` is boto3's dictionary of the error. If it is None, the headers are read from `x`.
    """
    if response is not None:
        metadata = response.get("ResponseMetadata")
        headers = metadata.get("HTTPHeaders") if isinstance(metadata, dict) else None
        headers = headers if isinstance(headers, dict) else {}
        seconds = _first((headers.get("retry-after"), *map(response.get, _MEMBERS)))
        return seconds, milliseconds(headers.get("x-amz-retry-after"))
    for link in chain(x) if is_a(x, BaseException) else (x,):
        answer = attribute(link, "response") if is_a(link, BaseException) else link
        own = milliseconds(header(answer, "retry-after-ms"))
        seconds = own if own is not None else _first([header(answer, "retry-after")])
        suggested = milliseconds(header(answer, "x-amz-retry-after"))
        if seconds is not None or suggested is not None:
            return seconds, suggested
    return None, None


def _first(values: Iterable[object]) -> float | None:
    """Return the first of `values` that is a valid wait, in seconds. Return None if none is valid."""
    for value in values:
        wait = retry_after(value, clocks.wall()) if value is not None else None
        if wait is not None:
            return wait
    return None


def _number(value: object) -> float | None:
    match = _NUMBER.fullmatch(text_of(value).strip()) if isinstance(value, (str, int, float)) else None
    return float(match.group()) if match else None


def _sane(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds <= LONGEST else None
