"""Measure how often `explain` finds the right cause for labelled error texts, and print each wrong result. The texts
are JSONL with the fields text, cause and decision.

A text without a cause is not an error of AWS. For such a text, the right result is `unknown`. A cause with the
condition that the text comes from AWS is not wrong either. Any other cause is wrong and counted as claimed. `also` and
`decision_also` list causes and decisions that are equally good.

The vocabulary is the list of causes from which the labels were chosen. The label `none-fits:...` means that no cause of
the vocabulary was suitable. For such a text, a cause of the vocabulary is wrong. A cause outside the vocabulary,
`modelled` or `unknown` is right if the decision is right. `--vocabulary` names a file whose tables contain the
vocabulary. Without it, the vocabulary is the causes that existed before the day of labelling.

    python bench/diagnosis.py --corpus FILE [FILE ...] [--vocabulary FILE] [--held-back | --not-held-back] [--quiet]

`--held-back` selects the third of the texts that were not used to write the signatures. A hash of the id selects this
third.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.explain import explain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.knowledge.explain import Explanation

NONE_FITS = "none-fits:"
LABELLED = "2026-11-29"
"""The day on which the texts were labelled. Causes that are newer could not be chosen as labels."""
UNNAMED = ("modelled", "unknown")
"""The right causes for a text for which no other cause is suitable."""


class Case(NamedTuple):
    """One labelled text with its explanation."""

    example: dict[str, Any]
    found: Explanation
    vocabulary: frozenset[str]

    @property
    def foreign(self) -> bool:
        return self.example["cause"] is None

    @property
    def claimed(self) -> bool:
        return self.foreign and self.found.cause != "unknown" and not self.found.conditional

    @property
    def unnamed(self) -> bool:
        """True if no cause was suitable when the text was labelled."""
        return str(self.example["cause"]).startswith(NONE_FITS)

    @property
    def exact(self) -> bool:
        return bool(self.found.cause == self.example["cause"])

    @property
    def named_anew(self) -> bool:
        """True if the explanation names a cause that is newer than the labels."""
        return self.found.cause not in (*self.vocabulary, *UNNAMED)

    @property
    def left_open(self) -> bool:
        return self.found.cause in UNNAMED

    @property
    def as_good(self) -> bool:
        honest = self.unnamed and self.decided and (self.named_anew or self.left_open)
        return self.exact or self.found.cause in (self.example.get("also") or ()) or honest

    @property
    def decided(self) -> bool:
        return self.found.decision.value in (self.example["decision"], *(self.example.get("decision_also") or ()))

    @property
    def fail_as_retry(self) -> bool:
        return bool(self.example["decision"] == "FAIL" and self.found.decision.value == "RETRY" and not self.decided)

    @property
    def right(self) -> bool:
        return not self.claimed if self.foreign else self.as_good and self.decided


def held_back(example: dict[str, Any]) -> bool:
    return int(sha256(example["id"].encode()).hexdigest(), 16) % 3 == 0


def read(path: Path, *, part: bool | None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [example for example in lines if part is None or held_back(example) == part]


def vocabulary(path: Path | None) -> frozenset[str]:
    """Return the causes that the labels could name: the first column of the tables in a file, or the causes that
    existed on the day of labelling.
    """
    if path is not None:
        return frozenset(re.findall(r"^\| ([a-z0-9-]+) \|", path.read_text(encoding="utf-8"), re.MULTILINE))
    return frozenset(slug for slug, cause in catalogue().causes.items() if cause.seen < LABELLED)


def share(cases: list[Case], name: str) -> str:
    part = sum(getattr(case, name) for case in cases)
    return f"{part} of {len(cases)} ({part / len(cases):.1%})" if cases else "-"


def rows(cases: list[Case]) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table: for each result, its name and its number of texts."""
    ours, foreign = [case for case in cases if not case.foreign], [case for case in cases if case.foreign]
    yield "cause as labelled", share([case for case in ours if not case.unnamed], "exact")
    yield "cause, or one as good", share(ours, "as_good")
    unnamed = [case for case in ours if case.unnamed]
    yield "of these, where no cause fitted", share(unnamed, "as_good")
    yield "    named by a cause of its own", share([case for case in unnamed if case.decided], "named_anew")
    yield "    left to the models or unknown", share([case for case in unnamed if case.decided], "left_open")
    yield "decision, or one as good", share(ours, "decided")
    for name in ("FAIL", "RETRY", "RETRY_LIMITED"):
        yield f"decision {name}", share([case for case in ours if case.example["decision"] == name], "decided")
    yield "FAIL explained as RETRY", share(ours, "fail_as_retry")
    yield "foreign texts claimed", share(foreign, "claimed")
    yield "AWS's texts under a condition", str(sum(case.found.conditional for case in ours))


def miss(case: Case) -> str:
    example, found = case.example, case.found
    wanted = example["cause"] or "no AWS error"
    wrong = "" if case.foreign or case.decided else f" [{example['decision']} explained as {found.decision.value}]"
    text = " ".join(example["text"].split())[:300]
    return f"{example['id']}: {wanted}, explained as {found.cause}{wrong}, by {found.decided_by!r}\n    {text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, nargs="+")
    parser.add_argument("--vocabulary", type=Path, help="a Markdown file whose tables list the causes of the labels")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-back", dest="part", action="store_true", default=None)
    which.add_argument("--not-held-back", dest="part", action="store_false")
    parser.add_argument("--quiet", action="store_true", help="print only the table, not the errors")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    columns: dict[str, list[Case]] = {}
    words = vocabulary(options.vocabulary)
    seconds = []
    explain("warm")
    for path in options.corpus:
        cases = columns.setdefault(path.stem, [])
        for example in read(path, part=options.part):
            started = perf_counter()
            found = explain(example["text"])
            seconds.append(perf_counter() - started)
            cases.append(Case(example, found, words))
    if len(columns) > 1:
        columns["together"] = [case for cases in columns.values() for case in cases]
    every = list(columns.values())[-1]
    for case in every:
        if not case.right and not options.quiet:
            console.print(miss(case), markup=False)
        elif case.unnamed and not options.quiet:
            console.print(f"{case.example['id']}: {case.example['cause']}, now {case.found.cause}", markup=False)
    table = Table(title="Texts explained right", title_justify="left")
    table.add_column("")
    counts: Counter[str] = Counter({name: len(cases) for name, cases in columns.items()})
    for name in columns:
        table.add_column(f"{name} ({counts[name]})", justify="right")
    for row in zip(*(rows(cases) for cases in columns.values()), strict=True):
        table.add_row(row[0][0], *(cell for _, cell in row))
    seconds.sort()
    console.print(table)
    console.print(f"time for one, median: {seconds[len(seconds) // 2] * 1000:.2f} ms")


if __name__ == "__main__":
    main()
