"""Find the meanings of an error code or a text that a person typed. The error catalogue is searched first, then AWS's
own service models.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.explain import Explanation, explain, from_models
from aws_bedrock_inference.knowledge.modelled import codes, modelled
from aws_bedrock_inference.knowledge.services import resolve

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Decision
    from aws_bedrock_inference.knowledge.modelled import Modelled

_ONE_WORD = re.compile(r"[A-Za-z_][\w.:#-]{1,120}")
_CODE = re.compile(r"error occurred \(([\w.]{2,80})\)|\b([A-Z]\w{2,60}(?:Exception|Fault|Error))\b")
_MOST_CODES = 20
_MOST_NEAR = 3
_NEAR_ENOUGH = 0.7


def meanings(text: str, service: str | None = None) -> list[Explanation]:
    """Return the meanings of a text, of an individual code, or of the name of a cause. If a code has different
    meanings in different services, return one meaning for each service. The list is empty for an unknown error, and
    for an error of a program that is not part of AWS.
    """
    word = text.strip().strip("\"'()")
    if word in catalogue().causes:
        return [explain(word, service=service)]
    if _ONE_WORD.fullmatch(word):
        found = _of_code(word, service)
        if found:
            return found
    explained = explain(text, service=service)
    if explained.other:
        return []
    if explained.cause != "unknown":
        return [explained]
    for code in _codes(text):
        found = _of_code(code, service)
        if found:
            return found[:1]
    numbers = catalogue().by_code.get(word, [])  # some codes of S3 are HTTP statuses
    found = [explain(each.cause.slug, service=each.service) for each in numbers if service in {None, each.service}]
    return found or ([explained] if explained.decided_by else [])


def near(text: str) -> list[str]:
    """Return known codes whose spelling is similar to the code in a text. The result is empty if the text comes from
    a program other than AWS.
    """
    if other_program(text):
        return []
    known = {code.lower(): code for code in (*codes(), *catalogue().by_code)}
    for code in _codes(text) or text.split()[:1]:
        found = difflib.get_close_matches(code.lower(), known, _MOST_NEAR, _NEAR_ENOUGH)
        if found:
            return [known[name] for name in found]
    return []


def names_error(text: str) -> bool:
    """Return whether a text names an error that can be from AWS. The error does not have to be in the catalogue."""
    return bool(_codes(text)) and not other_program(text)


def other_program(text: str) -> str:
    """Return the program that an error's text comes from. The result is empty if the text can be from AWS."""
    return explain(text).other


def service_called(name: str) -> str | None:
    """Return the service with the name `name`, or None."""
    return resolve(name) or None


def _codes(text: str) -> list[str]:
    found = [match[1] or match[2] for match in _CODE.finditer(text)]
    return list(dict.fromkeys(found))[:_MOST_CODES]


def _of_code(word: str, service: str | None) -> list[Explanation]:
    code = spelling(word)
    entries = catalogue().by_code.get(code, [])
    places = {entry.service for entry in entries if service is None or entry.service in {service, ANY}}
    found: dict[str, list[Explanation]] = {}
    for place in sorted(places, key=lambda place: (place == ANY, place)):
        meant = explain(code, service=service or place)
        found.setdefault(meant.cause, []).append(meant)
    return [_at_home(alike) for alike in found.values()] or _by_decision(_models(code, service))


def _at_home(alike: list[Explanation]) -> Explanation:
    """Combine explanations of one code that have the same meaning in several services. Return one explanation that
    names all these services.
    """
    first, names = alike[0], list(dict.fromkeys(each.service for each in alike if each.service not in {ANY, ""}))
    statuses = {each.status for each in alike if each.status}
    first = replace(first, status=statuses.pop() if len(statuses) == 1 else None)
    if len(names) > 1:
        return replace(first, service="", fields={**first.fields, "services": names})
    return replace(first, service=names[0] if names and all(each.service in names for each in alike) else "")


def _models(code: str, service: str | None) -> list[Modelled]:
    """Return the errors with this code in AWS's service models.

    `service` is the catalogue's name of a service. One service in the catalogue can include several AWS services. If
    `service` is None, return the errors of all services.
    """
    return [each for each in modelled(code) if service is None or resolve(each.service) == service]


def _by_decision(facts: list[Modelled]) -> list[Explanation]:
    """Return one meaning for each group of errors with the same decision (such as RETRY) and the same reason for it.

    `facts` are errors in AWS's service models. The meaning of the largest group is the first.
    """
    alike: dict[tuple[Decision, str], list[Modelled]] = {}
    for each in facts:
        alike.setdefault((each.verdict.decision, each.verdict.reason), []).append(each)
    return [from_models(group) for group in sorted(alike.values(), key=len, reverse=True)]


def spelling(word: str) -> str:
    """Return the known code that a word stands for. For example, `botocore.errorfactory.X`, `x` and `X:` stand for
    the code X. If no code is known, return `word` itself.
    """
    last = re.split(r"[.:#]", word.rstrip(":#."))[-1]
    for candidate in (word, last, last[:1].upper() + last[1:]):
        if candidate in catalogue().by_code or modelled(candidate, fresh=False):
            return candidate
    lower = {code.lower(): code for code in (*codes(), *catalogue().by_code)}
    return lower.get(last.lower(), word)
