"""Check whether `bedrock scan` finds every error in mixed logs. The logs (application, JSON lines, CloudWatch) are
generated: labelled texts, with unrelated lines between them.

    python bench/mixed_logs.py CORPUS.jsonl [CORPUS.jsonl ...] [--megabytes 4] [--seed 1] [--gap N] [--keep FOLDER]

The script compares the events that the scan found with the texts at their positions in the log. Each text must be found
once, with the same cause that `explain` returns for the text alone. No event may be found in the unrelated lines. A
text without a cause does not come from AWS, so the scan should not name a cause for it. If a text has several lines
with a time, each of these lines can begin a separate event; one of these events must have the cause.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.logs import BLOCK
from aws_bedrock_inference.knowledge.meanings import meaning
from aws_bedrock_inference.knowledge.scan import LogScan

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_bedrock_inference.knowledge.findings import Meaning

NOW = datetime(2026, 11, 29, tzinfo=UTC)
WORDS = re.findall(
    r"\S+",
    "request completed in ms path=/api/v1/items user session cache hit miss worker started order paid invoice queued"
    " page rendered heartbeat ok flushed 12 rows of table carts token refreshed for tenant north batch 7 of 9",
)
LOGGERS = ("shop.orders", "app.main", "worker.7", "web")


@dataclass
class Planted:
    """A generated log: its lines, and the position of each text."""

    lines: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    size: int = 0

    def add(self, line: str, text: str = "") -> None:
        self.lines.append(line)
        self.starts.append(self.size)
        if text:
            self.texts[self.size] = text
        self.size += len(line.encode()) + 1


def calm(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(4, 14)))


def application(text: str, at: datetime, chance: random.Random) -> str:
    stamp = f"{at:%Y-%m-%d %H:%M:%S},{at.microsecond // 1000:03d}"
    if text:
        return f"{stamp} {chance.choice(['ERROR', 'ERROR', 'WARNING'])} {chance.choice(LOGGERS)}: {text}"
    return f"{stamp} {chance.choice(['INFO', 'DEBUG'])} {chance.choice(LOGGERS)}: {calm(chance)}"


def json_lines(text: str, at: datetime, chance: random.Random) -> str:
    record: dict[str, Any] = {"timestamp": at.isoformat(), "level": "error" if text else "info", "pid": 7}
    record |= {"logger": chance.choice(LOGGERS), "request_id": f"{chance.getrandbits(64):016x}"}
    first = text.partition("\n")[0]
    shapes: tuple[dict[str, Any], ...] = (
        {"msg": text},
        {"message": "the call failed", "err": {"name": "Error", "message": first, "stack": text}},
        {"event": "the call failed", "exc_info": text},
        {"message": text, "status": 500},
    )
    return json.dumps(record | (chance.choice(shapes) if text else {"msg": calm(chance), "status": 200}))


def cloudwatch(text: str, at: datetime, chance: random.Random) -> str:
    stamp = f"{at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')}"
    if text:
        return f"{stamp} {text}"
    number = f"{chance.getrandbits(48):012x}"
    return chance.choice(
        [
            f"{stamp} START RequestId: 6f2c1d9e-0000-4000-8000-{number} Version: $LATEST",
            f"{stamp} END RequestId: 6f2c1d9e-0000-4000-8000-{number}",
            f"{stamp} [INFO] {calm(chance)}",
            f"{stamp} {calm(chance)}",
        ]
    )


def filtered(text: str, at: datetime, chance: random.Random) -> str:
    event = {
        "logStreamName": "2026/11/20/[$LATEST]0f",
        "timestamp": int(at.timestamp() * 1000),
        "message": (text or calm(chance)) + "\n",
        "ingestionTime": int(at.timestamp() * 1000) + 900,
        "eventId": f"{chance.getrandbits(180):056d}",
    }
    return " " * 8 + json.dumps(event, indent=4).replace("\n", "\n" + " " * 8) + ","


FORMS: dict[str, tuple[Callable[[str, datetime, random.Random], str], str, str]] = {
    "application": (application, "", ""),
    "JSON lines": (json_lines, "", ""),
    "CloudWatch export": (cloudwatch, "", ""),
    "filter-log-events": (filtered, '{\n    "events": [', "        {}\n    ]\n}"),
}


# This file uses its own pattern, so that the code under test does not choose its own test data.
OWN_TIME = re.compile(r"\d{4}[-/]\d\d[-/]\d\d|\d\d:\d\d:\d\d")


def has_own_times(text: str) -> bool:
    """Return whether a line of a text, other than the first line, has a time near its beginning."""
    return any(OWN_TIME.search(line[:60]) for line in text.split("\n")[1:])


def log(form: str, texts: list[str], size: int, gap: int, chance: random.Random) -> Planted:
    write, opening, closing = FORMS[form]
    planted, at = Planted(), NOW - timedelta(days=3)
    if opening:
        planted.add(opening)
    while planted.size < size:
        for text in chance.sample(texts, len(texts)):
            for _ in range(chance.choice([0, 1, 3, gap, 4 * gap])):
                at += timedelta(seconds=1)
                planted.add(write("", at, chance))
            at += timedelta(seconds=1)
            planted.add(write(text, at, chance), text)
    planted.add(closing)
    return planted


class Recorded(LogScan):
    """A scan that also records the position of each event in the log."""

    def __init__(self, content: bytes) -> None:
        super().__init__(now=NOW)
        self.events: list[tuple[int, str]] = []
        self._content = content
        self._end = 0

    def _count(self, event: bytes, before: bytes) -> None:
        super()._count(event, before)
        start = self._content.index(event, self._end)
        self._end = start + len(event)
        self.events.append((start, verdict(self._remembered(event))))


def verdict(known: Meaning | None) -> str:
    """Return the cause in the form in which a scan counts it, or an empty text if the error is not AWS's."""
    if known is None:
        return ""
    return f"possibly {known.cause}" if known.conditional else known.cause


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--gap", type=int, default=60, help="unrelated lines between two events, up to four times this number (60)"
    )
    parser.add_argument("--keep", type=Path, help="folder in which the logs are stored")
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.corpora for line in path.read_text(encoding="utf-8").splitlines()]
    names = {row["text"]: row["id"] for row in rows}
    foreign = {row["text"] for row in rows if row["cause"] is None}
    for form in FORMS:
        chance = random.Random(options.seed)  # noqa: S311 - nothing secret
        planted = log(form, list(names), int(options.megabytes * 1e6), options.gap, chance)
        content = "\n".join(planted.lines).encode()
        if options.keep:
            (options.keep / f"{form.replace(' ', '-').lower()}.log").write_bytes(content)
        report(form, planted, content, names, foreign)


def report(form: str, planted: Planted, content: bytes, names: dict[str, str], foreign: set[str]) -> None:
    scan = Recorded(content)
    scan.read(content[at : at + BLOCK] for at in range(0, len(content), BLOCK))
    found: dict[int, list[str]] = defaultdict(list)
    starts = sorted(planted.starts)
    for at, cause in scan.events:
        found[starts[bisect_right(starts, at) - 1]].append(cause)
    wrong: Counter[str] = Counter()
    claimed = several = 0
    inner = form in {"JSON lines", "filter-log-events"}
    for at, text in planted.texts.items():
        wanted, have = verdict(meaning(text.encode())), found.pop(at, [])
        claimed += text in foreign and any(cause and not cause.startswith("possibly") for cause in have)
        if not inner and has_own_times(text):
            several += 1
            if wanted not in (have or [""]):
                wrong[f"{names[text]}, several lines with times: {wanted or 'none'} planted, {have} found"] += 1
        elif have != [wanted] and (wanted or any(have)):
            wrong[f"{names[text]}: {wanted or 'none'} planted, {have} found"] += 1
    invented = Counter(cause for causes in found.values() for cause in causes if cause)
    strangers = sum(text in foreign for text in planted.texts.values())
    print(f"{form}: {len(content) / 1e6:.1f} MB, {len(planted.texts)} events of {len(names)} texts")
    print(f"    wrong: {wrong.total()}; with times of their own: {several}; foreign: {strangers}, claimed {claimed}")
    for text, count in [*wrong.items(), *invented.items()]:
        print(f"    {count} times {text}")


if __name__ == "__main__":
    main()
