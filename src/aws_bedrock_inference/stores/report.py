"""The report of a member (a process) of a shared quota. The store saves the report, so that people and other members
can read it.

A report contains the version of its format. A process also reads the next version, so that the processes of a fleet
can be updated one after the other. For example, a process that writes version 1 reads version 2 and refuses version 3.
Fields that the process does not know or cannot read are ignored.
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
"""The version of the format of new reports. Reports from before the format had a version contain the same fields."""

# The maximum length of a reason, in characters.
_LONGEST = 200

# A larger count is a mistake, and arithmetic with it would fail for all members.
_MOST = 1e15


class ReportTooNew(ValueError):
    """Raised for a report from a version of this package that is too new for this version to read."""


@dataclass(frozen=True, slots=True)
class MemberReport:
    """The report of a member (a process) about itself.

    * `used`: its use in the last minute, by dimension (requests and tokens). This includes the tokens that its calls in
      flight have `reserved`.
    * `waiting`: the number of calls that wait for quota, by priority.
    * `consumers`: the recent use of its calls in tokens per minute, by priority.
    * `throttled`: the number of throttles since the process started.
    * `minute`: when the use of the last minute occurred, as tuples (seconds ago, requests, tokens). For example,
      (20, 3, 900) means 3 requests and 900 tokens, 20 seconds ago. If the member leaves, the other members count this
      use until it is a minute old.
    * `reasons`: texts that explain the estimated limits, by dimension.
    * `pace`: a text that states what delays the next waiting call. It is empty in reports of older versions.
    * `answers`: statistics about the lengths of the answers.
    """

    used: Mapping[str, int] = field(default_factory=dict)
    reserved: int = 0
    waiting: Mapping[float, int] = field(default_factory=dict)
    consumers: Mapping[float, int] = field(default_factory=dict)
    throttled: int = 0
    minute: tuple[Use, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    pace: str = ""
    answers: AnswerSizes = field(default_factory=AnswerSizes, compare=False)

    def to_json(self) -> str:
        """Return the report as the text that the store saves."""
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
                "pace": self.pace[:_LONGEST],
                "answers": self.answers.as_dict(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the report in `text`. An earlier or later version of this package can have written the text. Raises
        `ReportTooNew` if the format of the report is more than one version above `VERSION`.
        """
        try:
            fields = _mapping(json.loads(text))
        except (ValueError, RecursionError):
            return cls()
        version = _count(fields.get("version"))
        if version > VERSION + 1:
            raise ReportTooNew(
                f"the report of this process has format {version}, but this command reads only formats up to "
                f"{VERSION + 1}: update aws-bedrock-inference in the environment of this command"
            )
        return cls(
            used={name: _count(value) for name, value in _mapping(fields.get("used")).items()},
            reserved=_count(fields.get("reserved")),
            waiting=_by_priority(fields.get("waiting")),
            consumers=_by_priority(fields.get("consumers")),
            throttled=_count(fields.get("throttled")),
            minute=uses_of(text),
            reasons=_reasons(fields.get("reasons")),
            pace=_words(fields.get("pace")),
            answers=_sizes(fields.get("answers")),
        )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and 0 <= value < _MOST else 0


def _reasons(value: Any) -> dict[str, str]:
    """Return the texts in `value` that explain the estimated limits of requests and tokens."""
    known = ((name, text) for name, text in _mapping(value).items() if name in ("requests", "tokens"))
    return {name: _words(text) for name, text in known if isinstance(text, str)}


def _words(value: Any) -> str:
    """Return a shortened text, without characters that can control a terminal."""
    return "".join(filter(str.isprintable, value))[:_LONGEST] if isinstance(value, str) else ""


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
