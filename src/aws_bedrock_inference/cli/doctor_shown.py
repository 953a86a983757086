"""Print a diagnosis of `bedrock doctor`: a line for each check when the check ends, then the cause and the remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from aws_bedrock_inference.doctor.findings import Status, Verdict
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from rich.console import Console

    from aws_bedrock_inference.doctor.findings import Check, Report

_SIGNS = {
    Status.OK: ("✓", "ok", "green"),
    Status.WARNING: ("!", "warn", "yellow"),
    Status.FAILED: ("✗", "FAIL", "bold red"),
    Status.SKIPPED: ("-", "skip", "dim"),
}
_WIDEST = 100
_NAME = 22  # columns: the longest name of a check
_NARROW = 72  # columns: in a narrower terminal, a column of names would leave too little room for the messages


class Shown:
    """Prints the result of each check as soon as the check has ended. The skipped checks are printed together at the
    end.
    """

    def __init__(self, console: Console, *, ascii_only: bool) -> None:
        self._console = console
        self._console.width = min(console.width, _WIDEST)
        self._word = 1 if ascii_only or not (console.encoding or "").lower().startswith("utf") else 0

    def check(self, check: Check) -> None:
        """Print one check, unless it was skipped."""
        if check.status is Status.SKIPPED:
            return
        sign, style = _SIGNS[check.status][self._word], _SIGNS[check.status][2]
        head, message = Text.assemble((f"{sign:4} " if self._word else f"{sign} ", style)), check.finding.message
        if self._console.width < _NARROW:
            self._hanging(head, f"{check.probe}: {message}")
        else:
            self._hanging(head.append(f"{check.probe:{_NAME}} "), message)

    def end(self, report: Report) -> None:
        """Print the end of the diagnosis: the skipped checks, the cause, its evidence and the remedies."""
        for reason, names in _not_tried(report).items():
            self._hanging(Text(f"{_SIGNS[Status.SKIPPED][self._word]} "), f"{', '.join(names)}: {reason}", "dim")
        self._console.print()
        self._hanging(Text(), summary(report), "bold")
        for candidate in report.candidates if len(report.candidates) > 1 or not report.proved else ():
            self._hanging(Text("  "), str(candidate), "dim")
        first = report.first
        if first is not None:
            self._hanging(Text(), f"Shown by {first.probe}: {first.finding.tried}.", "dim")
        remedies = first.remedies if first is not None else explain(report.error).remedies if report.error else ()
        for number, remedy in enumerate(remedies, 1):
            self._hanging(Text(f" {number}. "), remedy.do)
            if remedy.run:
                self._console.print(Text(f"    $ {remedy.run}", style="cyan"), soft_wrap=True)

    def _hanging(self, head: Text, text: str, style: str = "") -> None:
        """Print `head`, then the text. Further lines of the text are indented by the width of `head`."""
        plain = text.encode("ascii", "replace").decode() if self._word else text
        width = max(10, self._console.width - head.cell_len)
        for line in Text(plain, style).wrap(self._console, width, overflow="fold"):
            line.rstrip()
            self._console.print(head + line, soft_wrap=True)
            head = Text(" " * head.cell_len)


def _not_tried(report: Report) -> dict[str, list[str]]:
    """Return the skipped checks. Each key is a reason for skipping; its value is a list of the names of checks."""
    reasons: dict[str, list[str]] = {}
    for check in report.checks:
        if check.status is Status.SKIPPED:
            reasons.setdefault(check.finding.message, []).append(check.probe)
    return reasons


def summary(report: Report) -> str:
    """Return the result of the diagnosis in one line."""
    counts = ", ".join(f"{count} {name}" for name, count in report.counts().items() if count)
    if report.first is not None:
        return f"{report.cause}: {report.first.finding.message} ({counts})"
    if report.candidates and all(each.verdict is Verdict.EXCLUDED for each in report.candidates):
        return f"The cause that the text suggests is not present now: {report.candidates[0]} ({counts})"
    if report.error:
        return f"Not proved: the text suggests {report.error}, but no check found it. ({counts})"
    return f"No cause of failed calls was found. ({counts})"
