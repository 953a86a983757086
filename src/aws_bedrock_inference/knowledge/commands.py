"""Fill the placeholders in the commands of remedies with values from the text of the error. A "step" is a remedy with
the conditions under which it is shown.

A placeholder is a word in capitals, such as `FUNCTION` in `aws lambda get-policy --function-name FUNCTION`. If the
error's text contains the value, the value replaces the placeholder, quoted for a shell. Otherwise the placeholder
remains, and the user replaces it. Secrets and account ids are never inserted: in an ARN, the word `ACCOUNT` remains.
"""

from __future__ import annotations

import re
import shlex
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.entries import Remedy
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.placeholders import HINTS, PATTERNS
from aws_bedrock_inference.knowledge.situations import fitting, fitting_remedies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aws_bedrock_inference.knowledge.entries import Step

_OPERATION, _SERVICE_CODE = "OPERATION", "SERVICE_CODE"
# Sizes that a command increases: the pattern of the current size, and AWS's maximum. Twice the size is suggested.
_SIZES: dict[str, tuple[re.Pattern[str], int]] = {
    "SECONDS": (re.compile(r"timed out after (\d{1,3})(?:\.\d+)? ?s", re.IGNORECASE), 900),
    "MEGABYTES": (re.compile(r"\bmemory ?size: ?(\d{2,5}) ?MB", re.IGNORECASE), 10240),
}
PLACEHOLDERS = frozenset(PATTERNS) | {_OPERATION, _SERVICE_CODE, *_SIZES}
# A Python command does not help if the SDK of another language failed.
_OF_PYTHON = re.compile(r"\b(?:pip install|pip list|python -c) ")
_PYTHON = re.compile(r"Traceback|boto|\.py\b|python|when calling the", re.IGNORECASE)
_OTHER_LANGUAGE = re.compile(
    r"node_modules|@aws-sdk/|\.[cm]?[jt]s:\d|software\.amazon\.|com\.amazonaws\.|\.java:\d|Amazon\.\w+\.Model\.|Amazon\.Runtime\."
    r"|\boperation error [\w ]{2,40}: |\bapi error \w+: |\.go:\d|\bAws::|\.rb:\d|\.rs:\d|SdkError|Aws\\\w|\.php\b|<<\""
)
_WORDS = re.compile(rf"(?<![A-Za-z_$])(?:{'|'.join(sorted(PLACEHOLDERS, key=len, reverse=True))})(?![A-Za-z_=])")


class Asked(NamedTuple):
    """The error for which remedies are selected: the error's text, service and operation."""

    text: str
    service: str = ""
    operation: str = ""


def filled(steps: Iterable[Step], error: Asked) -> tuple[Remedy, ...]:
    """Return the remedies of those `steps` (remedies with conditions) that apply to the error. In their commands,
    values from the error's text replace the placeholders.
    """
    values: dict[str, str] = {}

    def value(match: re.Match[str]) -> str:
        name = match.group()
        if name not in values:
            values[name] = _value(name, error)
        return values[name] or name

    def command(run: str) -> str:
        return _WORDS.sub(value, fitting(run, error)).replace(" --region REGION", "")  # the profile's Region is used

    def shown(remedy: Remedy) -> Remedy:
        useless = _OF_PYTHON.search(remedy.run) and _is_foreign(error.text)
        run = "" if useless else command(remedy.run)
        return Remedy(remedy.do if run else remedy.alone, run)

    return tuple(map(shown, fitting_remedies(steps, error.text)))


def with_values(run: str, values: Mapping[str, str]) -> str:
    """Return the command `run`, in which `values` replace the placeholders. Secrets and account ids in the values are
    masked, and the values are quoted for a shell.
    """
    if not values:
        return run
    names = "|".join(map(re.escape, sorted(values, key=len, reverse=True)))
    return re.sub(
        rf"(?<![A-Za-z_$])(?:{names})(?![A-Za-z_=])",
        lambda match: _word(match.group(), values[match.group()]) or match.group(),
        run,
    )


def _is_foreign(text: str) -> bool:
    """Return whether a text is from the SDK of a language other than Python."""
    return not _PYTHON.search(text) and _OTHER_LANGUAGE.search(text) is not None


def _value(name: str, error: Asked) -> str:
    """Return the value of the placeholder `name` (a word in a command, such as `FUNCTION`), quoted as one word of a
    shell. The result is empty if the value is unknown, or if it is unsafe in a command. For example, a command reads
    a value that begins with `-` as an option.

    Most values come from the error's text. The name of the operation comes from the field `operation`, and the service
    code for Service Quotas comes from the error catalogue.
    """
    if name == _OPERATION:
        return error.operation if error.operation.isalnum() else ""
    if name == _SERVICE_CODE:
        code: str = catalogue().services.get(error.service, {}).get("quotas", "")
        return code
    if name in _SIZES:
        return _larger(name, error.text)
    value = named(name, error.text)
    return _word(name, value) if value else ""


def named(placeholder: str, text: str) -> str:
    """Return the value that a text contains for a placeholder (a word in a command, such as `FUNCTION`), or an empty
    string. The value is not masked, so it can contain an account id.
    """
    if any(hint in text.lower() for hint in HINTS.get(placeholder, ("",))):
        for pattern in _compiled(placeholder):
            match = pattern.search(text)
            if match:
                return match.group(1).lower() if placeholder == "SERVICE" else match.group(1)
    return ""


def _larger(name: str, text: str) -> str:
    """Return the value with which a command increases a timeout or memory size: twice the size in the error's text.

    The placeholder `name` is `SECONDS` or `MEGABYTES`. The value is at most AWS's maximum. It is empty if the text
    states no size, or already states the maximum.
    """
    pattern, most = _SIZES[name]
    there = max(map(int, pattern.findall(text)), default=0)
    return str(min(2 * there, most)) if 0 < there < most else ""


@cache
def _compiled(name: str) -> tuple[re.Pattern[str], ...]:
    flags = re.NOFLAG if name in _EXACT else re.IGNORECASE
    return tuple(re.compile(pattern, flags) for pattern in PATTERNS[name])


_EXACT = frozenset({"MODEL", "BASE_MODEL", "INFERENCE_PROFILE", "KNOWLEDGE_BASE", "AGENT", "GUARDRAIL", "BUCKET"})


def _arn_of_role(name: str) -> str:
    """Return the ARN of the role `name` that a session uses. IAM does not accept the ARN of the session itself.

    The ARN of a role of Identity Center also contains a path, and the error's text does not state this path. For such a
    role, return a shell expression that reads the complete ARN from IAM.
    """
    word = _word("ROLE", name)
    if not word or not name.startswith("AWSReservedSSO_"):
        return word and f"arn:aws:iam::ACCOUNT:role/{word}"
    return f"$(aws iam get-role --role-name {word} --query Role.Arn --output text)"


_BLOTTED_OUT = re.compile(r"(?<=[:/])[*Xx]{3,14}(?=[:/])")


def _word(name: str, value: str) -> str:
    if name == "PRINCIPAL" and ":" not in value:
        return _arn_of_role(value)
    if value.startswith("-") or not value.isprintable():
        return ""  # an option of the command, or a value that a terminal does not show unchanged
    value = _BLOTTED_OUT.sub("*" * 12, masked(value.rstrip(".,;:)"), accounts=True))
    if "***" in value.replace("*" * 12, ""):
        return ""  # a secret instead of a name
    return "ACCOUNT".join(shlex.quote(part) if part else "" for part in value.split("*" * 12))
