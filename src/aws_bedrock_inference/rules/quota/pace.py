"""State in words what delays the next waiting call of a quota. People read these texts in `Quota.explain` and in
`bedrock quota watch`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from aws_bedrock_inference.rules.quota.gates import PAUSE_LONGEST

if TYPE_CHECKING:
    from aws_bedrock_inference.rules.quota.gates import Concurrency, Day, Pause
    from aws_bedrock_inference.rules.quota.window import Window

NOBODY = "the callers determine the rate: no call is waiting"
DAY_REPORTED = "AWS reported an exhausted daily quota, so calls wait, and within 15 minutes one call tests the service"

RESERVED = ", but most tokens are only reserved, so a lower max_tokens admits more calls"


def pace(tokens: float | None, now: float, *, window: Window, pause: Pause, day: Day, concurrency: Concurrency) -> str:
    """Return the reason for which the next waiting call is not sent now. The call needs `tokens`; None means that no
    call is waiting.
    """
    if tokens is None:
        return NOBODY
    closed = _day(tokens, now, pause, day)
    if closed:
        return closed
    if now < pause.until:
        return _pause(pause, pause.until - now)
    if concurrency.in_flight >= concurrency.most:
        return _in_flight(concurrency)
    if now >= window.leased_until:
        return "this process has no share of the shared quota now, and waits for the store"
    return _minute(tokens, window)


def _day(tokens: float, now: float, pause: Pause, day: Day) -> str:
    if now < max(pause.exhausted_until, day.exhausted_until):
        return DAY_REPORTED
    if day.wait_for(tokens, now):
        return "tpd, the configured daily quota, is exhausted, so calls wait until midnight UTC"
    if day.wait_now(tokens, now):
        return "calls in flight have reserved the rest of tpd, the configured daily quota"
    return ""


def _pause(pause: Pause, seconds: float) -> str:
    if seconds > PAUSE_LONGEST:
        return f"the service requested a wait, which ends in {seconds:,.0f} s"
    if not pause.in_a_row:
        return "a short pause, while one call tests the service"
    throttles = "a throttle" if pause.in_a_row == 1 else f"{pause.in_a_row:,} throttles in a row"
    return f"a pause of at most {PAUSE_LONGEST:g} s after {throttles}, then one call tests the service"


def _in_flight(concurrency: Concurrency) -> str:
    if concurrency.most < concurrency.ceiling:
        return (
            f"the service lacked capacity, so at most {concurrency.most:,.0f} calls are in flight together, and "
            "each success raises this number"
        )
    return f"{concurrency.in_flight:,} calls are in flight, the maximum that concurrency permits"


def _minute(tokens: float, window: Window) -> str:
    """Return which limit per minute delays a call of `tokens`."""
    calls = [("tokens", window.tokens, tokens), ("requests", window.requests, 1.0)]
    known = [(name, limit, amount) for name, limit, amount in calls if limit.estimate < inf]
    for name, limit, amount in known:
        if limit.room < min(amount, limit.minute):
            reserved = name == "tokens" and window.outstanding > limit.used / 2
            return f"the limit of {name} per minute is reached" + RESERVED * reserved
    for name, limit, amount in known:
        if limit.level < limit.needs(amount):
            return f"calls are spread evenly over the minute, at the limit of {name} per minute"
    return "the first call in the queue starts now"
