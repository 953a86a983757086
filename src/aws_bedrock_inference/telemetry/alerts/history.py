"""The stored values of one count: its last ten minutes, its usual value, and its values at the same time on earlier
days.

The usual value must not include a new incident. Otherwise, the incident would soon look usual and would not be noticed.
Therefore the counts of the last ten minutes do not change the usual value. The counts of an open incident do not change
the usual value either. They begin to change it when the incident has been open for a day.
"""

from __future__ import annotations

from math import exp
from typing import Any, Self

from aws_bedrock_inference.telemetry.alerts.rules import PRIOR, WEIGHT

SLOT = 10.0
"""The number of seconds in a time slot."""

RECENT = 60
"""The number of recent slots that the rules examine: ten minutes."""

A_DAY = 8640
"""The number of slots in a day."""

QUARTER = 90
"""The number of slots in a quarter of an hour. The daily pattern has one value for each quarter of an hour."""

_QUARTERS = A_DAY // QUARTER

# The usual value is a weighted mean over about a day. With each new slot, the weight of older slots is multiplied by
# this factor.
_KEPT = exp(-1.0 / A_DAY)

# The minimum number of events and the minimum share in a quarter of an hour. With less, its value is not used.
_LEAST = 50
_NOTHING = 1e-9

# The number of seconds in a time slot. The daily pattern of a `Flow` divides by the observed seconds, because there is
# no number of events.
_SECONDS = 10


class Ring(dict[int, int]):
    """The counts of the last ten minutes, by time slot of ten seconds."""

    def add(self, slot: int, count: int) -> None:
        """Add `count` to the count of the time slot with the number `slot`."""
        self[slot] = self.get(slot, 0) + count

    def last(self, slot: int, slots: int) -> int:
        """Return the sum of the counts in `slots` consecutive time slots. The last of them has the number `slot`."""
        return sum(count for at, count in self.items() if slot - slots < at <= slot)

    def plain(self) -> list[int]:
        """Return the number of the first time slot, then the counts from this slot to the last one.

        `of` creates the object again from this list.
        """
        first = min(self, default=0)
        return [first, *(self.get(slot, 0) for slot in range(first, max(self, default=-1) + 1))]

    @classmethod
    def of(cls, plain: list[int]) -> Self:
        """Create the object from the list that its method `plain` returned."""
        return cls((slot, count) for slot, count in enumerate(plain[1:], plain[0]) if count)


class Pattern:
    """The daily pattern of one measured value: the value that is expected at each time of the day.

    The value is a share (such as the fraction of the attempts that failed) or an amount (such as the tokens of a time
    slot). The day is divided into quarters of an hour. The expected value of a quarter is the largest value of this
    quarter on earlier days.

    Older days count less. A value counts fully on the day after its measurement. On each further day, it is multiplied
    by `fade`.
    """

    def __init__(self, fade: float) -> None:
        self._fade = fade
        self._quarter, self._cases, self._of = 0, 0, 0
        self._text = ""
        self._days: dict[int, list[float]] | None = {}  # by quarter: the last day, its share, and that of earlier days

    def add(self, slot: int, cases: int, of: int) -> None:
        """Add the measured value of a time slot that has ended: `cases` / `of`, for example failures / attempts."""
        quarter = slot // QUARTER
        if quarter != self._quarter:
            self._close()
            self._quarter, self._cases, self._of = quarter, 0, 0
        self._cases += cases
        self._of += of

    def expected(self, slot: int) -> float:
        """Return the largest value that was measured on earlier days around the time of `slot`.

        The values of three quarters of an hour are compared: the quarter of `slot`, the previous one and the next one.
        """
        now = slot // QUARTER
        return max(self._before(quarter) for quarter in (now - 1, now, now + 1))

    def _before(self, quarter: int) -> float:
        day, of_day = divmod(quarter, _QUARTERS)
        found = self._known().get(of_day)
        if found is None:
            return 0.0
        return found[2] if found[0] == day else self._left(found, day)

    def _left(self, found: list[float], day: int) -> float:
        """Return the value that is expected on `day` in one quarter of an hour.

        `found` contains three numbers: the last measured day, the value that was measured on that day, and the value
        that was expected for that day. The method returns the larger one of two results:

        * The expected value, multiplied by `fade` once for each day since the last measured day.
        * The measured value, multiplied by `fade` one time less, because it counts fully on the next day.

        For example, `fade` is 0.5, and `found` is [10, 0.4, 0.1]. For day 12, the results are 0.1 * 0.5 * 0.5
        (expected) and 0.4 * 0.5 (measured). The method returns the larger one, 0.2.
        """
        known, share, earlier = found
        return float(max(share * self._fade ** (day - known - 1), earlier * self._fade ** (day - known)))

    def _close(self) -> None:
        day, quarter = divmod(self._quarter, _QUARTERS)
        share = self._cases / self._of if self._of >= _LEAST else 0.0
        days = self._known()
        found = days.get(quarter)
        earlier = 0.0 if found is None else self._left(found, day)
        if share > _NOTHING or earlier > _NOTHING:
            days[quarter] = [day, share, earlier]
        else:
            days.pop(quarter, None)
        self._text = ";".join(
            f"{quarter},{day:.0f},{share:.4g},{earlier:.4g}" for quarter, (day, share, earlier) in days.items()
        )

    def _known(self) -> dict[int, list[float]]:
        """Return the measured values of each quarter of an hour.

        The values are written to and loaded from a store far more often than they are used. They are therefore loaded
        as text, and this method parses the text only at the first use.
        """
        if self._days is None:
            rows = (row.split(",") for row in self._text.split(";") if row)
            self._days = {int(quarter): list(map(float, rest)) for quarter, *rest in rows}
        return self._days

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. The method `read` accepts these values."""
        return [self._quarter, self._cases, self._of, self._text]

    def read(self, plain: list[Any]) -> None:
        """Set the content to values that the method `plain` returned earlier."""
        self._quarter, self._cases, self._of, self._text = plain
        self._days = None


class Share:
    """A share: a fraction of the attempts or of the answers at a place (a model in a Region).

    Examples are the fraction of the attempts that failed with one cause, and the fraction of the answers that were
    truncated.
    """

    def __init__(self) -> None:
        self.recent = Ring()
        self.pattern = Pattern(fade=0.5)
        self._cases, self._of = 0.0, 0.0

    @property
    def usual(self) -> float:
        """The usual share."""
        return (self._cases + PRIOR * WEIGHT) / (self._of + WEIGHT)

    def learn(self, slot: int, of: int, *, usual: bool) -> None:
        """Move the time slot `slot` from the recent counts to the long-term values (the usual value and the daily
        pattern). `of` is the number of events in the slot.

        If `usual` is False, the slot changes only the daily pattern and not the usual value.
        """
        cases = self.recent.pop(slot, 0)
        self.pattern.add(slot, cases, of)
        if usual:
            self._cases = self._cases * _KEPT + cases
            self._of = self._of * _KEPT + of

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. `of` creates the object again from them."""
        return [self.recent.plain(), self.pattern.plain(), round(self._cases, 4), round(self._of, 2)]

    @classmethod
    def of(cls, plain: list[Any]) -> Self:
        """Create the object from the values that its method `plain` returned."""
        made = cls()
        recent, pattern, made._cases, made._of = plain
        made.recent = Ring.of(recent)
        made.pattern.read(pattern)
        return made


class Flow:
    """An amount that is measured in each time slot: spent dollars, used tokens or stored dead letters."""

    def __init__(self) -> None:
        self.recent = Ring()
        self.pattern = Pattern(fade=0.85)
        self.learned = 0
        self._sum, self._slots = 0.0, 0.0

    @property
    def usual(self) -> float:
        """The usual amount in one time slot of ten seconds."""
        return self._sum / self._slots if self._slots else 0.0

    def learn(self, slot: int, *, usual: bool) -> None:
        """Move the time slot `slot` from the recent counts to the long-term values (the usual value and the daily
        pattern).

        If `usual` is False, the slot changes only the daily pattern and not the usual value.
        """
        count = self.recent.pop(slot, 0)
        self.learned += 1
        self.pattern.add(slot, count * _SECONDS, _SECONDS)
        if usual:
            self._sum = self._sum * _KEPT + count
            self._slots = self._slots * _KEPT + 1.0

    def plain(self) -> list[Any]:
        """Return the content as values that JSON can write. `of` creates the object again from them."""
        numbers = [self.learned, round(self._sum, 6), round(self._slots, 4)]
        return [self.recent.plain(), self.pattern.plain(), *numbers]

    @classmethod
    def of(cls, plain: list[Any]) -> Self:
        """Create the object from the values that its method `plain` returned."""
        made = cls()
        recent, pattern, made.learned, made._sum, made._slots = plain
        made.recent = Ring.of(recent)
        made.pattern.read(pattern)
        return made
