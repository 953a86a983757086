"""Findings of probes, and the report of all of them, as values."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.commands import with_values
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aws_bedrock_inference.knowledge.entries import Remedy

SCHEMA_VERSION = 1


class Status(Enum):
    """The end of a probe. `SKIPPED` says nothing about health: the probe was not tried, and its message says why."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The end of one probe: the `status`, a `message` of one sentence, and what was `tried`: the call that was made,
    the setting that was read, or what a conclusion was drawn from.

    `cause` is a slug of the catalogue where the finding has one. `fields` are the values of the placeholders in its
    remedies, such as BUCKET. `excludes` are causes that this shows not to be there now. `of_error` says that this
    explains the error which the doctor was asked about.
    """

    status: Status
    message: str
    tried: str = ""
    cause: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    of_error: bool = False
    excludes: tuple[str, ...] = ()


def ok(message: str, tried: str = "", *, excludes: Iterable[str] = ()) -> Finding:
    """Return the finding that all is well, which shows that the causes in `excludes` are not there."""
    return Finding(Status.OK, message, tried, excludes=tuple(excludes))


def warning(message: str, tried: str = "", *, cause: str = "", **fields: str) -> Finding:
    """Return the finding of something that may do harm later, or that could not be found out."""
    return Finding(Status.WARNING, message, tried, cause, fields)


def failed(message: str, tried: str = "", *, cause: str, **fields: str) -> Finding:
    """Return the finding of a fault that ends calls."""
    return Finding(Status.FAILED, message, tried, cause, fields)


def cause_of(error: Exception, *, otherwise: str) -> str:
    """Return the cause that the catalogue has of an error, or `otherwise`."""
    cause = explain(error).cause
    return cause if cause in catalogue().causes else otherwise


def skipped(reason: str) -> Finding:
    """Return the finding of a probe that was not tried."""
    return Finding(Status.SKIPPED, reason)


@dataclass(frozen=True, slots=True)
class Check:
    """A probe's finding in the report. `seconds` is the time that it took."""

    probe: str
    area: str
    finding: Finding
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """The status of the finding."""
        return self.finding.status

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """The remedies, with the placeholders filled as far as the probe knows them; empty if nothing is wrong."""
        if not self.finding.cause or self.status is Status.OK:
            return ()
        known = explain(self.finding.cause).remedies
        return tuple(each._replace(run=with_values(each.run, self.finding.fields)) for each in known)

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON has it."""
        finding = asdict(self.finding) | {"status": self.status.value}
        remedies = [remedy._asdict() for remedy in self.remedies]
        return {"probe": self.probe, "area": self.area, "seconds": round(self.seconds, 3), **finding} | (
            {"remedies": remedies} if remedies else {}
        )


class Verdict(Enum):
    """The word of the probes about a cause that an error's text leaves possible."""

    PROVED = "proved"
    EXCLUDED = "excluded"
    OPEN = "not told apart"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cause that the error's text leaves possible, and what the probes say of it; `why` is what the probe found."""

    cause: str
    verdict: Verdict
    why: str = ""

    def __str__(self) -> str:
        if self.verdict is Verdict.EXCLUDED:
            return f"not {self.cause}: {self.why}"
        return f"{self.cause}: {self.why or self.verdict.value}"


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of the doctor. `cause` is the slug of the cause that is to be healed first, empty if none was found;
    `proved` says that a probe showed it, and that it is not only what the error's text suggests. `error` is the cause
    that the text alone suggests, where an error was given, and `others` are those that the text leaves possible too.
    """

    checks: tuple[Check, ...]
    error: str = ""
    others: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The causes that the error's text leaves possible, the likeliest first, with what the probes say of each."""
        return tuple(map(self._candidate, dict.fromkeys((self.error, *self.others)))) if self.error else ()

    def _candidate(self, cause: str) -> Candidate:
        findings = [check.finding for check in self.checks]
        for each in findings:
            if each.status is Status.FAILED and each.cause == cause:
                return Candidate(cause, Verdict.PROVED, each.message)
        for each in findings:
            if cause in each.excludes:
                return Candidate(cause, Verdict.EXCLUDED, each.message)
        return Candidate(cause, Verdict.OPEN)

    @property
    def first(self) -> Check | None:
        """The check to act on: the first failed one in the order of what depends on what, one that explains the error
        before all others; without a failure None.
        """
        bad = [check for check in self.checks if check.status is Status.FAILED]
        return next((check for check in bad if check.finding.of_error), bad[0] if bad else None)

    @property
    def cause(self) -> str:
        """The slug of the cause. If no probe found one, that which the error's text suggests, and which is not excluded
        as long as there is another.
        """
        if self.first is not None:
            return self.first.finding.cause
        return next((each.cause for each in self.candidates if each.verdict is Verdict.OPEN), self.error)

    @property
    def proved(self) -> bool:
        """True if a probe found the cause."""
        return self.first is not None

    @property
    def overall(self) -> Status:
        """The worst status of all checks; skipped ones do not count."""
        found = {check.status for check in self.checks}
        return next((each for each in (Status.FAILED, Status.WARNING) if each in found), Status.OK)

    def counts(self) -> dict[str, int]:
        """Return how many checks ended in each status."""
        return {status.value: sum(check.status is status for check in self.checks) for status in Status}

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON has it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "overall": self.overall.value,
            "cause": self.cause,
            "proved": self.proved,
            "counts": self.counts(),
            "candidates": [
                {"cause": each.cause, "verdict": each.verdict.value, "why": each.why} for each in self.candidates
            ],
            "checks": [check.to_json() for check in self.checks],
        }


def of_error(finding: Finding) -> Finding:
    """Return the finding as one that explains the error which the doctor was asked about."""
    return replace(finding, of_error=True)
