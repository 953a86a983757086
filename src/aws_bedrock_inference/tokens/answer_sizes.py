"""Count the lengths of answers, and recommend a value of `max_tokens` with which more calls fit into the same quota."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log, log10
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.forks import Locked

if TYPE_CHECKING:
    from collections.abc import Mapping

# The limit of each bucket, in tokens, is 5 % above that of the previous bucket. A quantile is therefore at most 5 % too
# high. 300 buckets reach two million tokens; longer answers count in the last bucket.
_GROWTH = 1.05
_SCALE = 1 / log(_GROWTH)
_BUCKETS = 300

# The minimum number of answers for a recommendation. With fewer answers, the 98 % quantile is only the longest answer.
ENOUGH = 50
_QUANTILE = 0.98

# The recommendation is twice the tokens that 98 % of the answers need, so that the other 2 % and longer future answers
# still fit.
_ROOM = 2

# A new value is recommended only if at least a tenth more calls then fit into the quota.
_WORTH = 1.1


class AnswerSizes(Locked):
    """Counts answers by their number of output tokens, in buckets about 5 % wide. It also sums the tokens that were
    reserved for these answers.

    An `AnswerSizes` needs the same memory for ten answers as for a million. Threads can share it.
    """

    def __init__(self) -> None:
        self._buckets = [0] * _BUCKETS
        super().__init__()
        self.count = 0
        self.output = 0
        self.reserved = 0
        self.full = 0

    def add(self, output: int, reserved: int) -> None:
        """Count an answer of `output` tokens. `reserved` is the number of tokens that were reserved for it, which is
        its max_tokens.

        An answer that used all of its reserved tokens is also counted in `full`, because it was probably truncated.
        """
        bucket = int(log(output) * _SCALE + 1e-9) if output > 1 else 0
        with self._lock:
            self._buckets[bucket if bucket < _BUCKETS else -1] += 1
            self.count += 1
            self.output += output
            self.reserved += reserved
            if output >= reserved:
                self.full += 1

    def quantile(self, share: float) -> int:
        """Return the number of output tokens that is enough for the fraction `share` (0 to 1) of the answers.

        For example, if `quantile(0.98)` returns 800, then 98 % of the answers have at most 800 tokens. The result is at
        most 5 % too high. It is 0 if no answer was counted.
        """
        if not is_number(share, least=0, most=1):
            raise ValueError(f"quantile({shown(share)}): pass a share from 0 to 1, such as 0.98")
        with self._lock:
            wanted = max(1, ceil(share * self.count))
            for bucket, number in enumerate(self._buckets):
                wanted -= number
                if wanted <= 0:
                    return floor(_GROWTH ** (bucket + 1))
        return 0

    def merge(self, other: AnswerSizes) -> None:
        """Add the counts of `other`, another `AnswerSizes`."""
        counted = other.as_dict()
        with self._lock:
            for bucket, number in counted["buckets"].items():
                self._buckets[int(bucket)] += number
            self.count += counted["count"]
            self.output += counted["output"]
            self.reserved += counted["reserved"]
            self.full += counted["full"]

    def as_dict(self) -> dict[str, Any]:
        """Return all counts as values that JSON can represent. Empty buckets are omitted."""
        with self._lock:
            return {
                "growth": _GROWTH,
                "count": self.count,
                "output": self.output,
                "reserved": self.reserved,
                "full": self.full,
                "buckets": {str(bucket): number for bucket, number in enumerate(self._buckets) if number},
            }

    @classmethod
    def from_dict(cls, counted: Mapping[str, Any]) -> Self:
        """Return an `AnswerSizes` with the counts of `counted`, a dictionary that `as_dict` returned.

        Raises `ValueError` if `counted` was changed, or if a version of this package with other buckets created it.
        """
        sizes = cls()
        try:
            for bucket, number in counted["buckets"].items():
                sizes._buckets[_index(bucket)] = int(number)
            sizes.count, sizes.output = int(counted["count"]), int(counted["output"])
            sizes.reserved, sizes.full = int(counted["reserved"]), int(counted["full"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(
                f"AnswerSizes.from_dict(): a count is missing or is not a number ({error!r}); pass the dictionary that "
                "as_dict() returned"
            ) from None
        if counted.get("growth") != _GROWTH or sum(sizes._buckets) != sizes.count:
            raise ValueError(
                "the stored answer sizes were changed, or another version of this package stored them: delete them, "
                "and store the result of AnswerSizes.as_dict() again"
            )
        return sizes


@dataclass(frozen=True, slots=True)
class Advice:
    """A recommended value of `max_tokens`, and the effect of setting it.

    * `max_tokens`: None if a new value would not help, or if too few answers are known.
    * `text`: the recommendation, or the reason why there is none.
    * `concurrency`: the number of calls that fit into the quota at the same time, relative to now. With 2.0, twice as
      many calls fit.
    * `answer`: the size that 98 % of the answers do not exceed, in tokens.
    * `reserved`: the current mean reservation for an answer, in tokens.
    * `charge`: the mean charge for a finished call, in tokens. No value of `max_tokens` changes it.
    """

    max_tokens: int | None
    concurrency: float
    answer: int
    reserved: int
    charge: int
    text: str

    def __str__(self) -> str:
        return self.text


def advise_max_tokens(sizes: AnswerSizes, *, burndown: float, mean_input: float) -> Advice:
    """Recommend a `max_tokens` that is long enough for answers such as those in `sizes`.

    `mean_input` is the mean number of input tokens of a call. `burndown` is the number of quota tokens that one output
    token costs when a call ends.
    """
    if not (is_number(burndown, above=0) and is_number(mean_input, least=0)):
        raise ValueError(
            f"advise_max_tokens(burndown={shown(burndown)}, mean_input={shown(mean_input)}): pass a burndown above 0, "
            "and a mean_input of 0 or more"
        )
    count = sizes.count
    if count < ENOUGH:
        return Advice(
            None, 1.0, 0, 0, 0, f"{count} answers are too few to recommend max_tokens; at least {ENOUGH} are needed."
        )
    answer, reserved = sizes.quantile(_QUANTILE), round(sizes.reserved / count)
    charge = round(mean_input + burndown * sizes.output / count)
    wanted = _rounded(_ROOM * answer)
    concurrency = (mean_input + reserved) / (mean_input + wanted)
    known = f"98 % of answers are under {answer + 1:,} tokens; you reserve {reserved:,}"
    if sizes.full > (1 - _QUANTILE) * count:
        text = f"{sizes.full / count:.0%} of answers used all of their max_tokens ({reserved:,}): do not lower it."
        return Advice(None, 1.0, answer, reserved, charge, text)
    if concurrency < _WORTH:
        return Advice(None, 1.0, answer, reserved, charge, f"{known}: a lower max_tokens would not help.")
    text = f"{known}; max_tokens={wanted:,} allows {concurrency:.1f} times as many calls at the same time."
    if charge > mean_input + wanted:
        text += f" The long-term rate is limited by the charge of a finished call, {charge:,} tokens."
    return Advice(wanted, concurrency, answer, reserved, charge, text)


def _index(bucket: str) -> int:
    index = int(bucket)
    if not 0 <= index < _BUCKETS:
        raise ValueError(f"bucket {bucket}")
    return index


def _rounded(tokens: float) -> int:
    """Round a number up to two significant digits. For example, 612 becomes 620."""
    unit: int = 10 ** max(0, floor(log10(tokens)) - 1)
    return ceil(tokens / unit) * unit
