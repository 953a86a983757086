"""The report of one process about the last few seconds.

The report contains counts, and one sample of each failure. It contains no other facts about individual calls.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, Self

FORMAT = 1


class Answers(NamedTuple):
    """Calls that were answered at a place (a model in a Region): their number, their tokens, and their cost in dollars.

    The cost is None if it is unknown.
    """

    place: str
    operation: str
    tenant: str
    number: int
    tokens: int
    cost: float | None
    refused: int = 0
    truncated: int = 0


class Failures(NamedTuple):
    """Attempts that failed with one cause.

    `kind` is `permanent`, `transient` or `refusal`. A refusal is a call that this package refused because of earlier
    failures. `code`, `request_id`, `message` and `advice` belong to the last failed attempt.
    """

    place: str
    operation: str
    tenant: str
    cause: str
    kind: str
    number: int
    code: str = ""
    request_id: str = ""
    message: str = ""
    advice: str = ""


class Letters(NamedTuple):
    """The numbers of dead letters of a place (a model in a Region).

    `kept` is the number of stored letters. `lost` is the number of letters that were lost, because the store refused
    them.
    """

    place: str
    cause: str
    kept: int
    lost: int = 0


class Use(NamedTuple):
    """The use of one quota of an account, and the limits of the quota if they are known."""

    quota: str
    requests: int
    tokens: int
    rpm: float | None = None
    tpm: float | None = None
    tpd: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The counts of one process.

    Three fields contain ids of alerts. `held` are the alerts that the process is delivering. `delivered` are the alerts
    whose delivery ended after the previous report, successfully or not. `released` are alerts that the process did not
    deliver before its end. Only the final report of the process contains them. Another process can then deliver them.
    """

    answers: tuple[Answers, ...] = ()
    failures: tuple[Failures, ...] = ()
    letters: tuple[Letters, ...] = ()
    uses: tuple[Use, ...] = ()
    held: tuple[str, ...] = ()
    delivered: tuple[str, ...] = ()
    released: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the report as a text that `from_json` can read."""
        return json.dumps([FORMAT, *(getattr(self, each.name) for each in fields(self))], separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Create the report from the text that `to_json` returned. Raises `ValueError` for any other text."""
        try:
            version, answers, failures, letters, uses, *names = json.loads(text)
            rows: tuple[Any, ...] = (
                tuple(Answers(*row) for row in answers),
                tuple(Failures(*row) for row in failures),
                tuple(Letters(*row) for row in letters),
                tuple(Use(*row) for row in uses),
            )
            report = cls(*rows, *(tuple(name) for name in names))
        except (TypeError, ValueError) as error:
            raise ValueError(f"the report of a process in the store of the alerts cannot be read: {error}") from error
        if version != FORMAT:
            raise ValueError(
                f"the report of a process in the store of the alerts has format {version}, but this version of "
                f"aws-bedrock-inference reads only format {FORMAT}. Use the same version in all processes"
            )
        return report
