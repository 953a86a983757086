"""The results of the doctor: the findings of its probes, and the report that contains all of them. A "probe" is one
read-only check, and a "finding" is its result. A "check" is the finding together with the name of its probe. A
"cause" is an entry of the error catalogue.
"""

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
    """The status of a finding (the result of a probe). `SKIPPED` means that the probe did not run, so the finding shows
    neither success nor failure. The finding's message states the reason.
    """

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one probe.

    * `status` is its status, and `message` is a short sentence.
    * `tried` states what the probe did: the request that it sent, the setting that it read, or the facts that it
      compared.
    * `cause` is the name of a cause in the catalogue. It is empty if the probe found no cause.
    * `fields` are the values of placeholders in the remedies of this cause, such as BUCKET.
    * `excludes` are the causes that the probe excluded. The error to diagnose has none of these causes.
    * `of_error` is True if the finding explains the error that the doctor diagnoses.
    """

    status: Status
    message: str
    tried: str = ""
    cause: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    of_error: bool = False
    excludes: tuple[str, ...] = ()


def ok(message: str, tried: str = "", *, excludes: Iterable[str] = ()) -> Finding:
    """Return a finding (the result of a probe) with the status `OK`: the probe found no problem. The error to diagnose
    cannot have any of the causes in `excludes`.
    """
    return Finding(Status.OK, message, tried, excludes=tuple(excludes))


def warning(message: str, tried: str = "", *, cause: str = "", **fields: str) -> Finding:
    """Return a warning as the result of a probe. The warning means that something can cause failures later, or that the
    probe had no clear result.
    """
    return Finding(Status.WARNING, message, tried, cause, fields)


def failed(message: str, tried: str = "", *, cause: str, **fields: str) -> Finding:
    """Return a finding (the result of a probe) with the status `FAILED`: calls fail because of `cause`."""
    return Finding(Status.FAILED, message, tried, cause, fields)


def cause_of(error: Exception, *, otherwise: str) -> str:
    """Return the name of the cause that the catalogue finds for an error. The result is `otherwise` if the catalogue
    finds none.
    """
    cause = explain(error).cause
    return cause if cause in catalogue().causes else otherwise


NO_MODEL = "No model was specified: pass --model, or model_id in Python."


def skipped(reason: str) -> Finding:
    """Return the finding (the result) for a probe that did not run."""
    return Finding(Status.SKIPPED, reason)


@dataclass(frozen=True, slots=True)
class Check:
    """The finding (result) of one probe, as the doctor's report contains it. `seconds` is the duration of the probe."""

    probe: str
    area: str
    finding: Finding
    seconds: float = 0.0

    @property
    def status(self) -> Status:
        """The status of the finding: OK, WARNING, FAILED or SKIPPED."""
        return self.finding.status

    @property
    def remedies(self) -> tuple[Remedy, ...]:
        """The remedies of the cause that the probe found. Placeholders are replaced by the values that the probe knows.
        The tuple is empty if the finding is not a problem.
        """
        if not self.finding.cause or self.status is Status.OK:
            return ()
        known = explain(self.finding.cause).remedies
        return tuple(each._replace(run=with_values(each.run, self.finding.fields)) for each in known)

    def to_json(self) -> dict[str, Any]:
        """Return the check as JSON."""
        finding = asdict(self.finding) | {"status": self.status.value}
        remedies = [remedy._asdict() for remedy in self.remedies]
        return {"probe": self.probe, "area": self.area, "seconds": round(self.seconds, 3), **finding} | (
            {"remedies": remedies} if remedies else {}
        )


class Verdict(Enum):
    """The result of the probes for one possible cause of the error: proved, excluded or undecided."""

    PROVED = "proved"
    EXCLUDED = "excluded"
    OPEN = "undecided"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible cause of the error, and the result of the probes for this cause. `why` is the message of the probe
    that proved or excluded the cause. If no probe did, `why` is empty.
    """

    cause: str
    verdict: Verdict
    why: str = ""

    def __str__(self) -> str:
        if self.verdict is Verdict.EXCLUDED:
            return f"not {self.cause}: {self.why}"
        return f"{self.cause}: {self.why or self.verdict.value}"


@dataclass(frozen=True, slots=True)
class Report:
    """The report of the doctor.

    * `error`: the most likely cause according to the text of the error to diagnose. It is empty if no error was passed.
    * `others`: less likely causes of an error with this text.
    * `cause`: the cause to fix first. It can differ from `error`, because a probe can find another cause. It is empty
      if no cause is known.
    * `proved`: True if a probe found `cause`, and False if only the text of the error suggests it.
    """

    checks: tuple[Check, ...]
    error: str = ""
    others: tuple[str, ...] = ()

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The possible causes of the error, most likely first, each with the result of the probes."""
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
        """The failed check that the user has to fix first, or None if no check failed.

        It is the failed check that explains the error to diagnose. If no check explains the error, it is the first
        check that failed, because later checks depend on earlier ones.
        """
        bad = [check for check in self.checks if check.status is Status.FAILED]
        return next((check for check in bad if check.finding.of_error), bad[0] if bad else None)

    @property
    def cause(self) -> str:
        """The name of the cause to fix first.

        * If a check failed: the cause that the check `first` found.
        * If no check failed: the first of `candidates` that the probes did not exclude. If the probes excluded all
          candidates, it is the first candidate.
        * If no check failed and no error was passed: an empty text.
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
        """The worst status of all checks of the doctor. Skipped checks are not included."""
        found = {check.status for check in self.checks}
        return next((each for each in (Status.FAILED, Status.WARNING) if each in found), Status.OK)

    def counts(self) -> dict[str, int]:
        """Return the number of checks in each status."""
        return {status.value: sum(check.status is status for check in self.checks) for status in Status}

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON."""
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
    """Return the finding (the result of a probe), marked as one that explains the error to diagnose."""
    return replace(finding, of_error=True)
