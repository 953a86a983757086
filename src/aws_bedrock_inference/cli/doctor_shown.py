"""The terminal's picture of a diagnosis: a line for each check as it ends, then the cause and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from aws_bedrock_inference.doctor.findings import Status, Verdict
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from rich.console import Console

    from aws_bedrock_inference.doctor.findings import Check, Report

_SIGNS = {
    Status.OK: ("✓", "green"),
    Status.WARNING: ("!", "yellow"),
    Status.FAILED: ("✗", "red"),
    Status.SKIPPED: ("-", "dim"),
}
_ASCII = {Status.OK: "ok", Status.WARNING: "warn", Status.FAILED: "FAIL", Status.SKIPPED: "skip"}


class Shown:
    """Prints checks as they end."""

    def __init__(self, console: Console, *, ascii_only: bool) -> None:
        self._console = console
        self._ascii = ascii_only or not (console.encoding or "").lower().startswith("utf")

    def check(self, check: Check) -> None:
        """Print one check."""
        sign, style = _SIGNS[check.status]
        sign = f"{_ASCII[check.status]:4}" if self._ascii else sign
        self._console.print(Text(f"{sign} {check.probe}: ", style=style).append(check.finding.message, style="default"))

    def end(self, report: Report) -> None:
        """Print the cause, whether it is proved, and what to do."""
        self._console.print()
        self._console.print(Text(summary(report), style="bold"))
        for candidate in report.candidates if len(report.candidates) > 1 or not report.proved else ():
            self._console.print(Text(f"  {candidate}", style="dim"))
        first = report.first
        remedies = first.remedies if first is not None else explain(report.error).remedies if report.error else ()
        for number, remedy in enumerate(remedies, 1):
            self._console.print(Text(f"  {number}. {remedy.do}"))
            if remedy.run:
                self._console.print(Text(f"     $ {remedy.run}", style="cyan"), soft_wrap=True)


def summary(report: Report) -> str:
    """Return the result in one line."""
    counts = ", ".join(f"{count} {name}" for name, count in report.counts().items() if count)
    if report.first is not None:
        return f"{report.cause}: {report.first.finding.message} ({counts})"
    if report.candidates and all(each.verdict is Verdict.EXCLUDED for each in report.candidates):
        return f"The cause that the text suggests is not there now: {report.candidates[0]} ({counts})"
    if report.error:
        return f"Not proved: the text suggests {report.error}, and no probe found it. ({counts})"
    return f"Nothing that would end calls was found. ({counts})"
