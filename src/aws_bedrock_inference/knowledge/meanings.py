"""The meaning of one event of a log: its cause as `explain` gives it, what it is about, and an example to show."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from aws_bedrock_inference.fault import Decision
from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.findings import Meaning, Subject
from aws_bedrock_inference.knowledge.judge import MODELLED, UNKNOWN
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.messages import message
from aws_bedrock_inference.knowledge.models import providers

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.explain import Explanation

MARKS = (
    *(b"exce", b"error", b"throttl", b"denied", b"timed out", b"fail", b"unable to", b" not "),
    *(b"too many", b"invalid", b"timeout", b"cannot", b"warn"),
)
"""The marks of trouble, in lower case; only lines with one of them are examined. `exce` is exception and exceeded. Each
mark costs about half a nanosecond a byte."""

# Of a longer event, the first bytes and lines, and those with marks, are explained; a record in JSON is read as one.
_EXPLAINED, _HEAD, _HEAD_LINES, _RECORD = 8_192, 1_024, 3, 1 << 17
_EXAMPLE = 300
_LEAD = 60

# The words of boto3 for an error of any service, and what shows that a code is of AWS.
_CODE = re.compile(r"error occurred \(([\w.]{2,80})\) when calling")


def meaning(event: bytes) -> Meaning | None:
    """Return the meaning of an event; None if it is no error that AWS could have sent."""
    text = message(_shortened(event))
    known = explain(text)
    if known.cause == UNKNOWN:
        code = _CODE.search(text)
        if code is None:
            return None
        return Meaning(
            code[1],
            "Not in the catalogue",
            Decision.RETRY_LIMITED,
            "low",
            known.service,
            code[1],
            _subject(known, text),
            _example(text, code[1]),
        )
    if known.decided_by.isdigit() and not (known.code or known.service):
        return None  # a status alone
    return Meaning(
        known.code if known.cause == MODELLED else known.cause,
        known.title,
        known.decision,
        known.confidence,
        known.service,
        known.code,
        _subject(known, text),
        _example(text, known.decided_by, known.code),
        conditional=getattr(known, "conditional", False),
    )


def _shortened(event: bytes) -> bytes:
    """Return an event without most frames of its traces if it is long: its first lines and those with marks."""
    if len(event) <= _EXPLAINED:
        return event
    lines = event.split(b"\n")
    telling = [line for line in lines[_HEAD_LINES:] if any(mark in line.lower() for mark in MARKS)]
    short = b"\n".join(lines[:_HEAD_LINES] + telling)
    if len(short) <= _EXPLAINED or (len(short) <= _RECORD and b"{" in short[:_HEAD]):
        return short
    low = short.lower()
    mark = min(at for at in map(low.find, MARKS) if at >= 0)
    return short[:_HEAD] + short[max(_HEAD, mark - _HEAD) : mark + _EXPLAINED]


def _subject(known: Explanation, text: str) -> Subject:
    model = _model().search(text)
    target = model[0] if model else _place(known.fields.get("resource", ""))
    return Subject(known.fields.get("action", "") or known.operation, masked(target, accounts=True))


def _place(resource: str) -> str:
    """Return a resource without the name of the one object in it."""
    bucket, slash, _ = resource.partition("/")
    return f"{bucket}/*" if slash and ":s3:" in resource else resource


@cache
def _model() -> re.Pattern[str]:
    """Return the pattern of a model id."""
    return re.compile(rf"(?<![\w.])(?:[a-z]{{2,6}}(?:-gov)?\.)?(?:{'|'.join(providers())})\.[a-z]\w{{0,30}}-[\w-]{{1,80}}(?::\d{{1,3}})?\b")


def _example(text: str, *telling: str) -> str:
    """Return the line of a text that holds the words that decided, cut around them if it is long."""
    lines = [" ".join(line.split()) for line in text.splitlines()] or [""]
    flat = " ".join(lines)
    for words in filter(None, telling):
        for line in (*lines, flat):
            at = line.lower().find(" ".join(words.split()).lower())
            if at >= 0:
                return _cut(line, at)
    marked = [line for line in lines if any(mark.decode() in line.lower() for mark in MARKS)]
    return _cut((marked or lines)[0], 0)


def _cut(line: str, at: int) -> str:
    shown = masked(line, accounts=True)
    if len(shown) <= _EXAMPLE:
        return shown
    begin = 0 if at < _EXAMPLE - 2 * _LEAD else at - _LEAD
    shown = ("… " if begin else "") + shown[begin:]
    return shown if len(shown) <= _EXAMPLE else shown[: _EXAMPLE - 2] + " …"
