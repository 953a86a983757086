"""Find signs of trouble in the book, which contains the counts of a service.

Each rule examines the counts of all processes together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.telemetry.alerts.history import A_DAY, SLOT
from aws_bedrock_inference.telemetry.alerts.place import MILLION
from aws_bedrock_inference.telemetry.alerts.rules import (
    DAY_NEARLY,
    FAILURES,
    LETTERS,
    MINUTE_NEARLY,
    SPEND,
    STOPS,
    TOKENS,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.telemetry.alerts.book import Book
    from aws_bedrock_inference.telemetry.alerts.history import Flow, Ring
    from aws_bedrock_inference.telemetry.alerts.place import Cause
    from aws_bedrock_inference.telemetry.alerts.rules import Surge

# An incident stays open while its share is at least this fraction of the threshold at which an incident opens.
_KEEPS = 0.5
_KEEPS_QUOTA = 0.9


class Sign(NamedTuple):
    """A sign of trouble: the count `key` is above its usual value in the last `window` time slots (ten seconds each).

    If `opens` is False, the sign only prolongs an open incident and does not open a new one. `since` is the slot in
    which the rise began. `share` is the measured value, and `usual` is the usual value. If `unit` is empty, both are
    fractions of all events or of a quota. Otherwise, both are amounts in `unit`, such as dollars an hour.
    """

    rule: str
    key: str
    place: str
    opens: bool
    since: int
    window: int
    share: float
    usual: float
    unit: str = ""
    cause: str = ""
    tenants: tuple[str, ...] = ()
    note: str = ""


def signs(book: Book, slot: int) -> Iterator[Sign]:
    """Return the signs of trouble (counts above their usual value) at the time slot `slot`. The signs that open
    incidents come first.
    """
    found = [*_causes(book, slot), *_flows(book, slot), *_quotas(book, slot), *_days(book, slot)]
    return iter(sorted(found, key=lambda sign: not sign.opens))


def _causes(book: Book, slot: int) -> Iterator[Sign]:
    for key, cause in book.causes.items():
        if not cause.share.recent:
            continue
        place = book.places[cause.place]
        rule = STOPS if cause.kind == "stop" else FAILURES
        of = place.answers if cause.kind == "stop" else place.attempts
        new = key in book.fresh or cause.kind == "lost"
        for wanted in (60,) if new else rule.windows:
            window = min(wanted, slot - cause.over)  # signs of an incident that has ended do not open another
            cases = cause.share.recent.last(slot, window)
            if not cases:
                continue
            total = max(cases, of.last(slot, window))
            usual = cause.share.usual
            if not new and cases < _KEEPS * rule.threshold(usual, 0.0) * total:
                continue
            pattern = cause.share.pattern.expected(slot)
            least = _KEEPS * rule.threshold(usual, pattern)
            rises = rule.holds(
                [(cause.share.recent.get(at, 0), of.get(at, 0)) for at in of if slot - window < at <= slot],
                usual,
                pattern,
            )
            keeps = cases >= _KEEPS * total * rule.threshold(usual, pattern) and (
                cases > 1 or cause.kind == "permanent"
            )
            if new or rises or keeps:
                name = {"stop": "stops", "lost": "lost"}.get(cause.kind, "new" if new else "failures")
                since = _since(cause, of, slot, window, least)
                yield Sign(name, key, cause.place, new or rises, since, wanted, cases / total, usual, cause=cause.name)


def _since(cause: Cause, of: Ring, slot: int, window: int, least: float) -> int:
    """Return the first time slot in which the failures with `cause` were at least the fraction `least` of all events.

    Only the last `window` slots are examined, up to `slot`. If there is no such time slot, return `slot`.
    """
    recent = cause.share.recent
    high = (at for at in recent if at > slot - window and recent[at] >= least * of.get(at, 0))
    return min(high, default=slot)


def _flows(book: Book, slot: int) -> Iterator[Sign]:
    for name, place in book.places.items():
        for rule, surge, flow, unit in (
            ("spend", SPEND, place.spend, "dollars an hour"),
            ("spend", TOKENS, place.tokens, "tokens an hour"),
            ("letters", LETTERS, place.letters, "an hour"),
        ):
            if flow.recent and flow.learned >= surge.learning:
                found = _surge(surge, flow, slot)
                if found is not None:
                    opens, amount, usual = found
                    an_hour = 3600.0 / SLOT / (MILLION if surge is SPEND else 1)
                    since, half = slot - surge.window + 1, surge.window // 2
                    tenants = tuple(place.largest()) if rule == "spend" else ()
                    key = f"{rule}|{unit}|{name}"
                    yield Sign(
                        rule, key, name, opens, since, half, amount * an_hour, usual * an_hour, unit, tenants=tenants
                    )


def _surge(surge: Surge, flow: Flow, slot: int) -> tuple[bool, float, float] | None:
    """Examine the recent amount of `flow`: dollars, tokens or dead letters.

    Return three values:

    * True if the amount is high enough to open an incident. False if the amount is only high enough to prolong an open
      incident.
    * The amount per time slot.
    * The expected amount per time slot. This is the larger one of two values: the usual amount, and the amount at the
      same time on earlier days.

    Return None if the amount is too low to open or to prolong an incident.
    """
    half = surge.window // 2
    second, whole = flow.recent.last(slot, half), flow.recent.last(slot, surge.window)
    if second < _KEEPS * max(surge.factor * flow.usual * half, surge.floor / 2):
        return None
    usual, pattern = flow.usual, flow.pattern.expected(slot)
    opens = surge.holds(whole - second, second, usual, pattern)
    if not opens and second < _KEEPS * surge.factor * pattern * half:
        return None
    return opens, second / half, max(usual, pattern)


def _quotas(book: Book, slot: int) -> Iterator[Sign]:
    for name, quota in book.quotas.items():
        _, region, model, _ = name.split("|")
        for unit, ring, limit in (("requests", quota.requests, quota.rpm), ("tokens", quota.tokens, quota.tpm)):
            if limit:
                part = ring.last(slot, 60) / (10.0 * limit)
                if part >= _KEEPS_QUOTA * MINUTE_NEARLY:
                    note = f"{part:.0%} of {limit:,.0f} {unit} per minute, over ten minutes"
                    key = f"quota|{unit}|{name}"
                    opens = part >= MINUTE_NEARLY
                    yield Sign("quota", key, f"{model}|{region}", opens, slot - 59, 60, part, 0.0, note=note)


def _days(book: Book, slot: int) -> Iterator[Sign]:
    for name, day in book.days.items():
        if day.limit and day.day == slot // A_DAY and day.used >= DAY_NEARLY * day.limit:
            region = name.split("|")[1]
            part = day.used / day.limit
            hours = (A_DAY - slot % A_DAY) * SLOT / 3600.0
            note = f"{part:.0%} of {day.limit:,.0f} tokens are used, and {hours:.1f} hours of the day (UTC) are left"
            yield Sign("day", f"day|{name}|{day.day}", f"|{region}", True, slot, 1, part, 0.0, note=note)  # noqa: FBT003
