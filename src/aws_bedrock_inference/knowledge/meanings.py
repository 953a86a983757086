"""Find the meaning of one event in a log: its cause according to `explain`, its subject, and an example to show. An
"event" is one log message with all its lines. A "mark" is a word that indicates an error (see `marks.py`).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.explain import explain
from aws_bedrock_inference.knowledge.findings import Meaning, Subject
from aws_bedrock_inference.knowledge.judge import MODELLED, UNKNOWN
from aws_bedrock_inference.knowledge.marks import first_mark
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.messages import message
from aws_bedrock_inference.knowledge.models import providers

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.explain import Explanation

# Of a longer event, only the first bytes and lines, and the lines with marks, are explained. A JSON record is read
# whole.
_EXPLAINED, _HEAD, _HEAD_LINES, _RECORD = 8_192, 1_024, 3, 1 << 17
_EXAMPLE = 300
_LEAD = 60

# boto3's wording of an error of any service.
_CODE = re.compile(r"error occurred \(([\w.]{2,80})\) when calling")


def meaning(event: bytes) -> Meaning | None:
    """Return the meaning of an event (log message), or None if the event is not an error that AWS could have sent."""
    text = _text(event)
    known = explain(text)
    stated = _CODE.search(text)
    status_alone = known.decided_by.isdigit() and not (known.code or known.service)
    if stated is None and (known.cause == UNKNOWN or status_alone):
        return None
    cause, title, confidence, words = known.cause, known.title, known.confidence, known.decided_by
    if stated is not None and cause == UNKNOWN:
        cause, title, confidence, words = stated[1], "Not in the catalogue", "low", stated[1]
    return Meaning(
        cause=known.code if cause == MODELLED else cause,
        title=title,
        decision=known.decision,
        confidence=confidence,
        service=known.service,
        code=known.code or (stated[1] if stated else ""),
        subject=_subject(known, text),
        words=words,
        conditional=known.conditional,
    )


def example(event: bytes, known: Meaning) -> str:
    """Return the line of an event (log message) that shows the cause of the error, with secrets masked.

    Of a long line, return only the part around the words that show the cause.
    """
    lines = [" ".join(line.split()) for line in _text(event).splitlines()] or [""]
    for words in filter(None, (known.words, known.code)):
        for line in (*lines, " ".join(lines)):
            at = line.lower().find(" ".join(words.split()).lower())
            if at >= 0:
                return _cut(line, at)
    marked = [line for line in lines if first_mark(line.encode(errors="replace")) >= 0]
    return _cut((marked or lines)[0], 0)


def _cut(line: str, at: int) -> str:
    shown = masked(line, accounts=True)
    if len(shown) > _EXAMPLE and at > _EXAMPLE - 2 * _LEAD:
        shown = f"… {shown[at - _LEAD :]}"
    return shown if len(shown) <= _EXAMPLE else f"{shown[: _EXAMPLE - 2]} …"


def _text(event: bytes) -> str:
    return message(_shortened(event))


def _shortened(event: bytes) -> bytes:
    """Return an event (log message) unchanged, or a part of the event if the event is long.

    The part consists of the first lines and of all lines with words that indicate an error. If this is still too long,
    only the beginning and the text around the first such word remain.
    """
    if len(event) <= _EXPLAINED:
        return event
    lines = event.split(b"\n")
    telling = [line for line in lines[_HEAD_LINES:] if first_mark(line) >= 0]
    short = b"\n".join(lines[:_HEAD_LINES] + telling)
    if len(short) <= _EXPLAINED or (len(short) <= _RECORD and b"{" in short[:_HEAD]):
        return short
    mark = first_mark(short)
    return short[:_HEAD] + short[max(_HEAD, mark - _HEAD) : mark + _EXPLAINED]


def _subject(known: Explanation, text: str) -> Subject:
    model = _model().search(text)
    target = model[0] if model else _place(known.fields.get("resource", ""))
    return Subject(known.fields.get("action", "") or known.operation, masked(target, accounts=True))


def _place(resource: str) -> str:
    """Return the name of a resource. In the ARN of an S3 object, the object's key is replaced by `*`, so that only the
    bucket remains.
    """
    bucket, slash, _ = resource.partition("/")
    return f"{bucket}/*" if slash and ":s3:" in resource else resource


@cache
def _model() -> re.Pattern[str]:
    """Return the pattern that matches a model id."""
    named = "|".join(providers())
    return re.compile(
        rf"(?<![\w.])(?:[a-z]{{2,6}}(?:-gov)?\.)?(?:{named})\.[a-z]\w{{0,30}}-[\w-]{{1,80}}(?::\d{{1,3}})?\b"
    )
