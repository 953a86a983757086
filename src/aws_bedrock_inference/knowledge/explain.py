"""Explain an error in words: its meaning, its remedies, whether to retry the call, and the words in the text that show
its cause. `judge.py` decides the cause from the "evidence" (the facts of the error) and returns it as a "verdict".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.fault import Category, Decision, Fault, Kind
from aws_bedrock_inference.knowledge.catalogue import ANY, HOME, catalogue
from aws_bedrock_inference.knowledge.commands import Asked, filled
from aws_bedrock_inference.knowledge.entries import Remedy, Step
from aws_bedrock_inference.knowledge.evidence import Evidence
from aws_bedrock_inference.knowledge.fields import details
from aws_bedrock_inference.knowledge.judge import MODELLED, UNKNOWN, Verdict, judge
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.reading import code_of, is_a, read
from aws_bedrock_inference.knowledge.services import resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_bedrock_inference.knowledge.entries import Cause
    from aws_bedrock_inference.knowledge.modelled import Modelled


# Permissions with these names are not operations: a call needs them in addition to the permission of its operation.
_NO_OPERATION = re.compile(r":(?:ViewSubscriptions|Subscribe|Unsubscribe|PassRole)\b")
_OF_PROXIES = frozenset({500, 502, 503, 504})
_IF_AWS = "Nothing in this text identifies its source. If it is from AWS: "


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of an error.

    * `cause` is the stable name of the cause (its slug), or `unknown`.
    * `decided_by` contains the words of the text that show the cause.
    * `confidence` depends on what shows the cause. `high`: a message, or a code with only one meaning. `medium`: only a
      code and a service, or words that other programs also use. `low`: only a code, a status, or words about a lasting
      problem. `none`: nothing.
    * `conditional` is True if it is unknown whether the text is from AWS. If it is not from AWS, the explanation may
      be wrong.
    * `other` is the program that the error comes from, if this is not AWS.
    * `status` is the HTTP status in the text, or otherwise the status with which the service returns the code.
    * `wait` is the number of seconds to wait before the next attempt.
    * `fields` contains details from the text: action, principal, resource, region, reasons.
    * `prevent` is a sentence that states how to avoid the error. `practice` is the name of this sentence in the
      catalogue, such as `pace-by-quota`.
    * `note` states where AWS's documents or other guides differ from this explanation, and why.

    Secrets and account ids are masked in all texts.
    """

    cause: str
    title: str
    code: str
    service: str
    operation: str
    status: int | None
    decision: Decision
    category: Category
    confidence: str
    decided_by: str
    meaning: str
    remedies: tuple[Remedy, ...]
    wait: float | None = None
    attempts: int = 2
    link: str = ""
    practice: str = ""
    alternatives: tuple[str, ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    conditional: bool = False
    other: str = ""
    note: str = ""

    @property
    def prevent(self) -> str:
        """The sentence that states how to avoid the error, or an empty string."""
        return catalogue().practices.get(self.practice, "")


def explain(x: Any, *, service: str | None = None) -> Explanation:
    """Return the meaning of an error, its cause and its remedies.

    `x` is a text in any form that people paste: tracebacks, logs, output of the AWS CLI, output of any SDK, or JSON. It
    can also be an exception with its chain of causes, boto3's dictionary of an error, or an HTTP answer. If `x` is the
    name of a cause, the function explains that cause.

    `service` is any name that AWS uses for the service. Pass it if a code has several meanings. The function never
    raises an exception. The cause of an unknown error is `unknown`.
    """
    if is_a(x, str) and x.strip() in catalogue().causes:
        return _of_cause(x.strip(), service)
    seen = read(x, service)
    if seen.fault is not None:
        return _of_fault(seen.fault, seen.evidence)
    verdict = judge(seen.evidence)
    cause = verdict.template.cause
    if cause == UNKNOWN:
        return _unknown(verdict)
    if cause == MODELLED:
        known = from_models(verdict.models, verdict.evidence)
        return replace(known, meaning=_IF_AWS + known.meaning, conditional=True) if verdict.conditional else known
    return _explained(verdict, _members(seen.response))


def _of_cause(slug: str, service: str | None) -> Explanation:
    """Return the explanation of the cause `slug` for `service`, or for the first service that has this cause."""
    place = resolve(service) if service else ""
    every = ((entry, meaning) for entry in catalogue().entries for meaning in entry.meanings())
    found = [(entry, meaning.template) for entry, meaning in every if meaning.cause.slug == slug]
    for wanted in (HOME, ANY, place):
        found.sort(key=lambda each: each[0].service != wanted)
    entry, template = found[0]
    seen = Evidence("", (), (place,) if place and place != ANY else ())
    return _explained(Verdict(template, seen, entry, slug, "high"))


def _members(response: dict[str, Any] | None) -> str:
    """Return the members of boto3's error dictionary except the code and the message, such as the bucket of an S3
    error.
    """
    error = response.get("Error") if response else None
    members = error.items() if isinstance(error, dict) else ()
    return "".join(f"\n'{name}': '{value}'" for name, value in members if name not in {"Code", "Message"})


def _explained(verdict: Verdict, members: str = "") -> Explanation:
    cause, seen, entry = catalogue().causes[verdict.template.cause], verdict.evidence, verdict.entry
    code = code_of(verdict)
    service = entry.service if entry is not None and entry.service != ANY else _first(seen)
    operation = "" if _NO_OPERATION.search(f":{seen.operation}") else seen.operation
    asked = Asked(seen.text + members, service, operation)
    return Explanation(
        cause=cause.slug,
        title=cause.title,
        code=code,
        service=service,
        operation=operation,
        status=_status(verdict) or catalogue().status(service, code or cause.slug),
        decision=cause.decision,
        category=cause.category,
        confidence=verdict.confidence,
        decided_by=masked(_as_written(verdict.words, seen.text), accounts=True),
        meaning=f"{_IF_AWS}{cause.meaning}" if verdict.conditional else cause.meaning,
        remedies=filled(cause.steps(service), asked),
        wait=_wait(verdict.template),
        attempts=verdict.template.hint.attempts,
        link=cause.link,
        practice=_practice(cause.practice, service),
        alternatives=verdict.alternatives,
        fields=details(seen.text),
        conditional=verdict.conditional,
        note=cause.note,
    )


def _status(verdict: Verdict) -> int | None:
    """Return the HTTP status of the error, or None if it is unknown.

    If AWS has refused a request, a proxy can replace AWS's status with its own. If the status may be from a proxy,
    return None.
    """
    status = verdict.evidence.status
    refused = verdict.template.kind in {Kind.DENIED, Kind.INVALID} and not verdict.evidence.certain
    return None if status in _OF_PROXIES and refused else status


def _steps(fault: Fault, cause: Cause | None, service: str) -> tuple[Step, ...]:
    """Return the steps of the cause (remedies with conditions).

    If the advice of the fault is not one of these steps, it is added as the first step, because it is more specific.
    """
    known = cause.steps(service) if cause else ()
    own = Step(Remedy(masked(fault.advice, accounts=True)))
    return known if known and fault.advice in ("", *(step.remedy.alone for step in known)) else (own, *known)


def _practice(slug: str, service: str) -> str:
    """Return `slug`, the name of a practice (how to avoid an error), if the practice applies to the service. Otherwise
    return an empty text.

    A service can pass on errors of other services that it calls. The practices of these other services apply, too.
    """
    about = catalogue().services
    places = (service, *about[service]["passes_on"]) if service in about else ()
    return slug if any(slug in about[place]["practice"] for place in places) else ""


def _of_fault(fault: Fault, seen: Evidence) -> Explanation:
    """Return the explanation of a fault that the client has already classified. The decision whether to retry is the
    decision of the fault, even if the catalogue contains another decision for this cause.
    """
    cause, service = catalogue().causes.get(fault.cause), _first(seen)
    return Explanation(
        cause=fault.cause,
        title=cause.title if cause else _words(fault.code),
        code=fault.code,
        service=service,
        operation=seen.operation,
        status=fault.status,
        decision=fault.decision,
        category=fault.category,
        confidence="none" if fault.cause == UNKNOWN else "high",
        decided_by=masked(fault.code, accounts=True),
        meaning=cause.meaning if cause else masked(fault.message, accounts=True),
        remedies=filled(
            _steps(fault, cause, service),
            Asked(fault.message + _members(fault.response), service, seen.operation),
        ),
        wait=_wait(fault),
        attempts=fault.hint.attempts,
        link=cause.link if cause else "",
        practice=cause.practice if cause else "",
        fields=details(fault.message),
        note=cause.note if cause else "",
    )


def from_models(models: Sequence[Modelled], seen: Evidence | None = None) -> Explanation:
    """Return the explanation of a code that only AWS's service models describe. `models` are the errors with this code.
    All of them must have the same decision, such as RETRY.
    """
    first, verdict = models[0], models[0].verdict
    statuses = {each.status for each in models}
    return Explanation(
        cause=MODELLED,
        title=_words(first.code),
        code=first.code,
        service=first.service if len(models) == 1 else "",
        operation=seen.operation if seen else "",
        status=seen.status if seen and seen.status else first.status if len(statuses) == 1 else None,
        decision=verdict.decision,
        category=verdict.category,
        confidence="medium" if len(models) == 1 else "low",
        decided_by=first.code,
        meaning=f"This error is not in the catalogue. According to AWS's service model, it is {verdict.reason}.",
        remedies=filled([Step(Remedy(verdict.remedy, verdict.run))], Asked(seen.text if seen else "", first.service)),
        wait=verdict.wait,
        attempts={Decision.RETRY: 3, Decision.RETRY_LIMITED: 2, Decision.FAIL: 1}[verdict.decision],
        fields={
            **(details(seen.text) if seen else {}),
            **({"services": list(dict.fromkeys(each.service for each in models))} if len(models) > 1 else {}),
        },
    )


def _words(code: str) -> str:
    """Return an error code as words: `ExportNotFoundException` becomes `Export not found`."""
    plain = re.sub(r"(?:Exception|Fault|Error)$", "", code.rsplit(".", 1)[-1]) or code
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain).capitalize()


def _first(seen: Evidence) -> str:
    """Return the first possible service of an error, or an empty text if no service is known.

    If there are several possible services and the catalogue contains none of them, the error's text decides. Return the
    first of these services that the text names, or an empty text if the text names none of them.
    """
    named = [service for service in seen.services if service != ANY]
    if len(named) > 1 and not catalogue().services.keys() & set(named):
        text = seen.text.lower()
        named = [service for service in named if service in text]
    return next(iter(named), "")


def _wait(template: Fault) -> float | None:
    hint = template.hint
    return None if template.decision is Decision.FAIL else max(hint.floor, hint.base, template.stated_wait)


def _as_written(words: str, text: str) -> str:
    """Return the words with the upper and lower case of the text: `access denied` can become `Access Denied`. If the
    text does not contain the words, return them unchanged.
    """
    pattern = r"\s+".join(re.escape(word).replace("'", "['\u2019]") for word in words.split())
    match = re.search(pattern, text, re.IGNORECASE)
    return match.group() if match else words


def _unknown(verdict: Verdict) -> Explanation:
    seen, template = verdict.evidence, verdict.template
    words = masked(_as_written(verdict.words, seen.text), accounts=True)
    return Explanation(
        cause=UNKNOWN,
        title="Not in the catalogue",
        code=seen.stated,
        service=_first(seen),
        operation=seen.operation,
        status=seen.status,
        decision=template.decision,
        category=template.category,
        confidence=verdict.confidence,
        decided_by=words,
        meaning=_meaning_of_unknown(verdict, words),
        remedies=(Remedy("Read the error message. Keep the request id for AWS Support."),),
        attempts=template.hint.attempts if words else 2,
        fields=details(seen.text),
        conditional=verdict.conditional,
        other=verdict.other,
    )


def _meaning_of_unknown(verdict: Verdict, words: str) -> str:
    if verdict.other:
        return f"This is not an AWS error: it comes from {verdict.other}."
    if not words:
        return "This text contains no error from the catalogue."
    told = f"This error is not in the catalogue. The words '{words}' describe a problem that a retry does not change."
    return _IF_AWS + told if verdict.conditional else told
