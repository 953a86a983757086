"""What a text shows: error codes, service, operation and status, wherever its form puts them.

Python tracebacks, the AWS CLI, JavaScript v2 and v3, Java, Go v2, .NET, JSON bodies, XML, Lambda's and CloudWatch's
logs and proxies' messages name the same four things in a dozen ways; what is read here is what those ways share.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.knowledge.catalogue import normal

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.catalogue import Catalogue

LONGEST = 98_304
"""Characters that are read; of a longer text the first third and the last two, where errors stand."""

_NAME = re.compile(r"[A-Za-z_$][\w$]*(?:[.:#/][A-Za-z_$][\w$]*){0,12}")
_STATUS = re.compile(
    r"(?:status[ _-]?code|http[ _-]?status(?:[ _-]?code)?|error code|statuscode|httpstatuscode|status)"
    r"[\"' ]{0,3}[:=,]?[\"' ]{0,3}(?:http status code[:=]? ?)?([1-5]\d\d)\b"
    r"|\bhttp/?[\d.]* ([1-5]\d\d)\b|^([45]\d\d)\b|\(([45]\d\d)\) when calling",
    re.IGNORECASE,
)
_OPERATION = re.compile(
    r"when calling the (\w{2,60}) operation|operation error [\w ]{2,40}: (\w{2,60})\b"
    r"|\b[a-z0-9-]{2,30}:([A-Z]\w{2,60})\b"
)
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
    codes: tuple[Code, ...]
    services: tuple[str, ...]
    operation: str
    status: int | None


def evidence(text: str, known: Catalogue) -> Evidence:
    """Read a text. Any text will do; none raises."""
    if len(text) > LONGEST:
        text = text[: LONGEST // 3] + "\n" + text[-2 * LONGEST // 3 :]
    plain = text
    for escaped, character in _UNESCAPED:
        plain = plain.replace(escaped, character)
    lower = normal(plain)
    operation = _operation(text)
    return Evidence(
        text, lower, tuple(_codes(text, known)), _services(lower, operation, known), operation, _status(text)
    )


def _codes(text: str, known: Catalogue) -> list[Code]:
    found = []
    for match in _NAME.finditer(text):
        name = match.group()
        for candidate in (name, *_shorter(name)):
            code = candidate if candidate in known.by_code else candidate[:1].upper() + candidate[1:]
            if code in known.by_code:
                start = match.start() + name.rfind(candidate)
                found.append(Code(code, start, start + len(candidate)))
                break
    return found


def _shorter(name: str) -> list[str]:
    """Return the last part of a dotted name, and the last two: `botocore.errorfactory.X`, `Runtime.Y`."""
    if not any(mark in name for mark in ".:#/"):
        return []
    parts = re.split(r"[.:#/]", name)
    return [".".join(parts[-2:]), parts[-1], parts[0]]


def _operation(text: str) -> str:
    match = _OPERATION.search(text)
    return next((group for group in match.groups() if group), "") if match else ""


def _status(text: str) -> int | None:
    match = _STATUS.search(text)
    return int(next(group for group in match.groups() if group)) if match else None


def _services(lower: str, operation: str, known: Catalogue) -> tuple[str, ...]:
    """Return the services that the text names, the most specific name first."""
    found: dict[str, int] = {}
    if operation in known.operations:
        found[known.operations[operation]] = _SURELY
    for service, facts in known.services.items():
        for name in facts["names"]:
            if name in lower:
                found[service] = max(found.get(service, 0), len(name))
    return tuple(sorted(found, key=lambda service: -found[service]))
