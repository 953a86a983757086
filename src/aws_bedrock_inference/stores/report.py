"""The report of a member of a shared quota: what the store keeps for people to look at, in one format.

A report carries the version of its format. The next version is read as far as its fields are known here, so that the
processes of a fleet may be updated one by one; a newer one is refused. A field that cannot be read counts as nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Self

from aws_bedrock_inference.rules.quota.gone import uses_of
from aws_bedrock_inference.tokens.answer_sizes import AnswerSizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_bedrock_inference.rules.quota.gone import Use

VERSION = 1
"""The format that is written. Reports of before there were versions have the same fields and none of this."""

# The longest reason, in characters.
_LONGEST = 160

# No count is larger: it is a mistake, and arithmetic with it would fail for all members.
_MOST = 1e15


class ReportTooNew(ValueError):
    """A report was written by a version of this package that is too new to be read here."""


@dataclass(frozen=True, slots=True)
class MemberReport:
    """A member's report about itself.

    `used` is what its last minute took, by dimension, with what calls in flight have `reserved`, in tokens. `waiting`
    are calls and `consumers` tokens a minute, both by priority; `throttled` counts since the process began. `minute` is
    what counts for the others when the member is gone: (seconds ago, requests, tokens). `reasons` say in words, by
    dimension, why the estimated limit is what it is.
    """

    used: Mapping[str, int] = field(default_factory=dict)
    reserved: int = 0
    waiting: Mapping[float, int] = field(default_factory=dict)
    consumers: Mapping[float, int] = field(default_factory=dict)
    throttled: int = 0
    minute: tuple[Use, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    answers: AnswerSizes = field(default_factory=AnswerSizes, compare=False)

    def to_json(self) -> str:
        """Return the report as the store keeps it."""
        return json.dumps(
            {
                "version": VERSION,
                "used": dict(self.used),
                "reserved": self.reserved,
                "waiting": {str(priority): calls for priority, calls in self.waiting.items()},
                "consumers": {str(priority): tokens for priority, tokens in self.consumers.items()},
                "throttled": self.throttled,
                "minute": [[round(number, 3) for number in use] for use in self.minute],
                "reasons": {name: reason[:_LONGEST] for name, reason in self.reasons.items()},
                "answers": self.answers.as_dict(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the report that `to_json` wrote, perhaps in another version. Raises `ReportTooNew`."""
        try:
            fields = _mapping(json.loads(text))
        except (ValueError, RecursionError):
            return cls()
        version = _count(fields.get("version"))
        if version > VERSION + 1:
            raise ReportTooNew(
                f"its report has format {version}, and formats up to {VERSION + 1} are read here: "
                "update aws-bedrock-inference where you run this command"
            )
        return cls(
            used={name: _count(value) for name, value in _mapping(fields.get("used")).items()},
            reserved=_count(fields.get("reserved")),
            waiting=_by_priority(fields.get("waiting")),
            consumers=_by_priority(fields.get("consumers")),
            throttled=_count(fields.get("throttled")),
            minute=uses_of(text),
            reasons=_words(fields.get("reasons")),
            answers=_sizes(fields.get("answers")),
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _MOST else 0


def _words(value: Any) -> dict[str, str]:
    """Return short texts that a terminal can show as they are."""
    known = ((name, text) for name, text in _mapping(value).items() if name in ("requests", "tokens"))
    return {name: "".join(filter(str.isprintable, text))[:_LONGEST] for name, text in known if isinstance(text, str)}


def _by_priority(value: Any) -> dict[float, int]:
    counts = {}
    for name, count in _mapping(value).items():
        try:
            priority = float(name)
        except ValueError:
            continue
        if isfinite(priority):
            counts[priority] = _count(count)
    return counts


def _sizes(value: Any) -> AnswerSizes:
    try:
        sizes = AnswerSizes.from_dict(value)
    except (TypeError, ValueError, OverflowError):
        return AnswerSizes()
    sound = all(0 <= count < _MOST for count in (sizes.count, sizes.output, sizes.reserved, sizes.full))
    return sizes if sound else AnswerSizes()
