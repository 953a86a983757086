"""How often `explain` is right on labelled texts (JSONL with text, cause, decision), and every miss.

A text without a cause is no error of AWS's: it is right to explain it as unknown. `also` lists causes as good.

    python bench/diagnosis.py --corpus FILE [--held-back | --not-held-back] [--quiet]

`--held-back` takes the third of the texts that signatures were written without, by a hash of the id.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.explain import explain


def held_back(example: dict[str, Any]) -> bool:
    return int(sha256(example["id"].encode()).hexdigest(), 16) % 3 == 0


def read(path: Path, *, part: bool | None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [example for example in lines if part is None or held_back(example) == part]


def share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({part / whole:.1%})" if whole else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-back", dest="part", action="store_true", default=None)
    which.add_argument("--not-held-back", dest="part", action="store_false")
    parser.add_argument("--quiet", action="store_true", help="the table only, no misses")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    examples = read(options.corpus, part=options.part)
    causes = catalogue().causes
    right: Counter[str] = Counter()
    of_class: Counter[str] = Counter()
    seconds = []
    for example in examples:
        started = perf_counter()
        found = explain(example["text"])
        seconds.append(perf_counter() - started)
        wanted, decision = example["cause"] or "unknown", example["decision"] or "none, no AWS error"
        group = causes[wanted].group if wanted in causes else "unknown"
        found_group = causes[found.cause].group if found.cause in causes else "unknown"
        right["cause"] += found.cause == wanted
        right["cause, or one as good"] += found.cause in (wanted, *example.get("also", ()))
        right["group"] += found_group == group
        decided = found.decision.value
        if found.cause == wanted == "unknown":
            decided = decision
        right["decision"] += decided == decision
        right["FAIL explained as RETRY"] += decision == "FAIL" and decided == "RETRY"
        of_class[decision] += 1
        right[decision] += decided == decision
        if found.cause != wanted and not options.quiet:
            wrong = "" if decided == decision else f" [{decision} explained as {decided}]"
            console.print(
                f"{example['id']}: {wanted}, explained as {found.cause}{wrong}, by {found.decided_by!r}", markup=False
            )
            console.print("    " + " ".join(example["text"].split())[:300], markup=False)
    table = Table(title=f"{len(examples)} texts", title_justify="left")
    table.add_column("")
    table.add_column("right", justify="right")
    for name in ("cause", "cause, or one as good", "group", "decision"):
        table.add_row(name, share(right[name], len(examples)))
    for name in sorted(of_class):
        table.add_row(f"decision {name}", share(right[name], of_class[name]))
    table.add_row("FAIL explained as RETRY", str(right["FAIL explained as RETRY"]))
    seconds.sort()
    table.add_row("time for one, median", f"{seconds[len(seconds) // 2] * 1000:.2f} ms")
    console.print(table)


if __name__ == "__main__":
    main()
