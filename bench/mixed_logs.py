"""Three mixed logs (application, JSON lines, CloudWatch) made of labelled texts with noise between, and whether
`bedrock scan` counts in them what was planted.

    python bench/mixed_logs.py CORPUS.jsonl [CORPUS.jsonl ...] [--megabytes 4] [--seed 1] [--gap N] [--keep FOLDER]

A text whose lines bear times of their own cannot be told from several events, and is left out of the plain logs. Each
text must be found as often as it was planted, with the cause that `explain` gives it alone; texts without a cause
are not AWS's, and none should be claimed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.knowledge.lines import Kind, line_at
from aws_bedrock_inference.knowledge.logs import BLOCK
from aws_bedrock_inference.knowledge.meanings import meaning
from aws_bedrock_inference.knowledge.scan import LogScan

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 29, tzinfo=UTC)
WORDS = re.findall(
    r"\S+",
    "request completed in ms path=/api/v1/items user session cache hit miss worker started order paid invoice queued"
    " page rendered heartbeat ok flushed 12 rows of table carts token refreshed for tenant north batch 7 of 9",
)
LOGGERS = ("shop.orders", "app.main", "worker.7", "web")


@dataclass
class Planted:
    """What a log holds: its lines, and which texts were planted how often."""

    lines: list[str] = field(default_factory=list)
    texts: Counter[str] = field(default_factory=Counter)
    size: int = 0

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += len(line) + 1


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


def is_one_event(text: str) -> bool:
    """Return whether no line of a text but its first bears a time or is a record."""
    return all(line_at(line.encode(), 0).kind < Kind.STAMPED for line in text.split("\n")[1:])


def log(form: str, texts: list[str], size: int, gap: int, chance: random.Random) -> Planted:
    write, opening, closing = FORMS[form]
    planted, at, inline = Planted(), NOW - timedelta(days=3), form in {"JSON lines", "filter-log-events"}
    usable = [text for text in texts if inline or is_one_event(text)]
    if opening:
        planted.add(opening)
    while planted.size < size:
        for text in chance.sample(usable, len(usable)):
            for _ in range(chance.choice([0, 1, 3, gap, 4 * gap])):
                at += timedelta(milliseconds=chance.randint(1, 400))
                planted.add(write("", at, chance))
            at += timedelta(milliseconds=7)
            planted.add(write(text, at, chance))
            planted.texts[text] += 1
    planted.add(closing)
    return planted


def cause(text: str) -> str:
    """Return the cause that a text alone has, as a scan counts it; nothing if it is not AWS's."""
    known = meaning(text.encode())
    return "" if known is None or known.conditional else known.cause


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--megabytes", type=float, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gap", type=int, default=60, help="lines of noise between two events, up to four times this")
    parser.add_argument("--keep", type=Path, help="folder for the logs")
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.corpora for line in path.read_text(encoding="utf-8").splitlines()]
    foreign = {row["text"] for row in rows if row["cause"] is None}
    texts = [row["text"] for row in rows]
    for form in FORMS:
        chance = random.Random(options.seed)  # noqa: S311 - nothing secret
        planted = log(form, texts, int(options.megabytes * 1e6), options.gap, chance)
        content = "\n".join(planted.lines).encode()
        if options.keep:
            (options.keep / f"{form.replace(' ', '-').lower()}.log").write_bytes(content)
        report(form, planted, content, foreign)


def report(form: str, planted: Planted, content: bytes, foreign: set[str]) -> None:
    scan = LogScan(now=NOW)
    scan.read(content[at : at + BLOCK] for at in range(0, len(content), BLOCK))
    found = Counter({finding.cause: finding.count for finding in scan.by_cause()})
    wanted: Counter[str] = Counter()
    strangers: Counter[bool] = Counter()
    for text, count in planted.texts.items():
        wanted[cause(text)] += count
        strangers[bool(cause(text))] += count * (text in foreign)
    others, found_others = wanted.pop("", 0), scan.other + sum(finding.count for finding in scan.possible())
    print(f"{form}: {len(content) / 1e6:.1f} MB, {planted.texts.total()} events of {len(planted.texts)} texts")
    print(f"    AWS's: {wanted.total()} planted, {found.total()} found; others: {others} planted, {found_others} found")
    print(f"    foreign: {strangers.total()}, claimed {strangers[True]}")
    for name in sorted(wanted | found):
        if wanted[name] != found[name]:
            print(f"    {name}: {wanted[name]} planted, {found[name]} found")


if __name__ == "__main__":
    main()
