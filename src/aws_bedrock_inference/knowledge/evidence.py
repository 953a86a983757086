"""What a text shows: error codes, service, operation and status, wherever its form puts them.

Python tracebacks, the AWS CLI, JavaScript v2 and v3, Java, Go v2, .NET, JSON bodies, XML, Lambda's and CloudWatch's
logs and proxies' messages name the same four things in a dozen ways; what is read here is what those ways share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.knowledge.catalogue import normal, trigrams

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.catalogue import Catalogue, Trigrams

LONGEST = 98_304
"""Characters that are read; of a longer text the first third and the last two, where errors stand."""

_NAME = re.compile(r"[A-Za-z_$][\w$]*(?:[.:#/][A-Za-z_$][\w$]*){0,12}")
_STATUS = re.compile(
    r"(?:status[ _-]?code|http[ _-]?status(?:[ _-]?code)?|error code|statuscode|httpstatuscode|status)"
    r"[\"' ]{0,3}[:=,]?[\"' ]{0,3}(?:http status code[:=]? ?)?([1-5]\d\d)\b"
    r"|\bhttp/?[\d.]* ([1-5]\d\d)\b|^([45]\d\d)\b|\(([45]\d\d)\) when calling",
    re.IGNORECASE,
)
_THREE_DIGITS = re.compile(r"[1-5]\d\d\b")
_OPERATION = re.compile(
    r"when calling the (\w{2,60}) operation|operation error [\w ]{2,40}: (\w{2,60})\b"
    r"|\b[a-z0-9-]{2,30}:([A-Z]\w{2,60})\b"
)
# What terminals, Terraform, Markdown and docker-compose put before each line; and where they cut lines.
_PREFIX = re.compile(r"^[ \t]{0,8}(?:[\u2502\u2503|>*#\u2577\u2575]{1,3}|[\w.-]{1,40} {1,8}\|)[ \t]?", re.MULTILINE)
_CUT = re.compile(r"[ \t]*\n[ \t]*")
_MARKS = re.compile(r"[.:#/]")
_SURELY = 100  # an operation's name outweighs any name of a service in the text
_UNESCAPED = (("\\n", " "), ('\\"', '"'), ("\\u2019", "'"), ("\\'", "'"), ("\\/", "/"))


class Code(NamedTuple):
    """An error code that the catalogue knows, and where it stands."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found. `text` is as given, `lower` as signatures are written."""

    text: str
    lower: str
    there: Trigrams
    codes: tuple[Code, ...]
    services: tuple[str, ...]
    operation: str
    status: int | None


def evidence(text: str, known: Catalogue, *, rejoined: bool = False) -> Evidence:
    """Read a text. Any text will do; none raises. `rejoined` takes line breaks for cuts inside words, as narrow tables
    make them.
    """
    if len(text) > LONGEST:
        text = text[: LONGEST // 3] + "\n" + text[-2 * LONGEST // 3 :]
    plain = _PREFIX.sub("", text)
    if rejoined:
        plain = text = _CUT.sub("", plain)
    if "&" in plain:
        plain = unescape(plain)
    for escaped, character in _UNESCAPED:
        plain = plain.replace(escaped, character)
    lower = normal(plain)
    there = trigrams(lower)
    operation = _operation(text)
    codes = tuple(_codes(text, known))
    return Evidence(text, lower, there, codes, _services(lower, there, operation, known), operation, _status(text))


def _codes(text: str, known: Catalogue) -> list[Code]:
    found = []
    parts: dict[str, str | None] = {}
    for match in _NAME.finditer(text):
        name = match.group()
        if name not in parts:
            parts[name] = _part(name, known)
        part = parts[name]
        if part is not None:
            start = match.start() + name.rfind(part)
            found.append(Code(known.code(part), start, start + len(part)))
    return found


def _part(name: str, known: Catalogue) -> str | None:
    """Return the part of a dotted name that is a code: all of it, its last two parts (`Runtime.ExitError`), its last
    (`botocore.errorfactory.X`) or its first (`X:http://...`).
    """
    pieces = _MARKS.split(name)
    candidates = [name, ".".join(pieces[-2:]), pieces[-1], pieces[0]] if len(pieces) > 1 else [name]
    return next((part for part in candidates if known.code(part)), None)


def _operation(text: str) -> str:
    match = _OPERATION.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


def _status(text: str) -> int | None:
    if not _THREE_DIGITS.search(text):
        return None
    match = _STATUS.search(text)
    return int(next(group for group in match.groups() if group)) if match else None


def _services(lower: str, there: Trigrams, operation: str, known: Catalogue) -> tuple[str, ...]:
    """Return the services that the text names, the most specific name first."""
    found: dict[str, int] = {}
    if operation in known.operations:
        found[known.operations[operation]] = _SURELY
    for service, name, ends in known.names:
        if there.issuperset(ends) and name in lower:
            found[service] = max(found.get(service, 0), len(name))
    return tuple(sorted(found, key=lambda service: -found[service]))
