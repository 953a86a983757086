"""From an error in any form to its cause, what to do, and whether to retry, with the words that decided."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.fault import Category, Decision, Fault
from aws_bedrock_inference.knowledge.catalogue import ANY, Remedy, catalogue
from aws_bedrock_inference.knowledge.evidence import Evidence, evidence
from aws_bedrock_inference.knowledge.fields import details
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.knowledge.reading import told

if TYPE_CHECKING:
    from aws_bedrock_inference.knowledge.catalogue import Entry

# What each kind of proof weighs. A message that says it outweighs a code that only suggests it, and both together
# outweigh either; a service that is named elsewhere speaks against.
_MESSAGE, _CODE, _STATUS = 100.0, 40.0, 5.0
_WITH_CODE, _WITH_SERVICE, _OTHER_SERVICE = 60.0, 30.0, -70.0
_FOREIGN = 0.5  # when no service is named, a code means first what it means to all
_LONGEST_COUNTED = 60
_RANK = 200.0
_TELLING = 25  # characters: fewer, with no AWS code or service beside them, may be anybody's words
_MOST_ALTERNATIVES = 3
_NARROW = 16_384  # characters: what narrow tables cut into lines is one message, no log


@dataclass(frozen=True, slots=True)
class Explanation:
    """What an error means.

    `cause` is a stable slug; `decided_by` the words of the text that decided, `confidence` `high` when a message says
    it, `medium` when only code and service do, or a few words that others use too, `low` when only a code or a status
    does, `none` when nothing is known.
    `wait` is in seconds; `fields` what the text's structure holds (action, principal, resource, region, reasons).
    Secrets and account ids are masked in all of it.
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


@dataclass(slots=True)
class _Candidate:
    score: float
    template: Fault
    entry: Entry
    words: str
    confidence: str


def explain(x: Any, *, service: str | None = None) -> Explanation:
    """Return what an error means, what caused it and what to do.

    `x` is a text in any form people paste (tracebacks, logs, the AWS CLI's, any SDK's dump, JSON), an exception with
    all that it comes from, boto3's dictionary of an error, or an HTTP answer. `service` is AWS's short name, needed
    only where one code has several meanings. Nothing raises; what is not known is explained as `unknown`.
    """
    if isinstance(x, bytes):
        x = x.decode(errors="replace")
    return explain_text(x if isinstance(x, str) else told(x), service=service)


def explain_text(text: str, *, service: str | None = None) -> Explanation:
    """Return what the error in a text means. No text raises; one that says nothing is explained as unknown."""
    first, others, seen, services = _decided(evidence(text, catalogue()), service)
    if "\n" in text and len(text) <= _NARROW and (first is None or first.confidence != "high"):
        again = _decided(evidence(text, catalogue(), rejoined=True), service)
        if again[0] is not None and again[0].confidence == "high":
            first, others, seen, services = again
    return _unknown(seen, services) if first is None else _explained(first, others, seen, services)


def _decided(
    seen: Evidence, service: str | None
) -> tuple[_Candidate | None, list[_Candidate], Evidence, tuple[str, ...]]:
    """Return the best candidate, the best of each other cause, and what they were found in."""
    services = (service, *seen.services) if service else seen.services
    best: dict[str, _Candidate] = {}
    for candidate in sorted(_candidates(seen, services), key=lambda candidate: -candidate.score):
        best.setdefault(candidate.template.cause, candidate)
    first, *others = best.values() or (None,)
    return first, others, seen, services


def _candidates(seen: Evidence, services: tuple[str, ...]) -> list[_Candidate]:
    known = catalogue()
    codes = {code.name for code in seen.codes}
    found = []
    for signature, words in known.matching(seen.lower, seen.there):
        entry = signature.fault
        coded = not codes.isdisjoint(entry.codes)
        at_home = _at_home(entry, services)
        telling = coded if not services else not codes.isdisjoint(entry.own_codes)
        if telling or at_home > 0 or not signature.coded:
            score = _MESSAGE + min(len(words), _LONGEST_COUNTED) + _WITH_CODE * coded + at_home + _RANK * signature.rank
            sure = coded or at_home > 0 or len(words) >= _TELLING
            found.append(_Candidate(score, signature.template, entry, words, "high" if sure else "medium"))
    for position, code in enumerate(seen.codes):
        for entry in known.by_code[code.name]:
            at_home = _at_home(entry, services)
            confidence = "medium" if at_home > 0 else "low"
            score = _CODE + at_home - position / 100 - _FOREIGN * (entry.service != ANY and not services)
            found.append(_Candidate(score, entry.template, entry, code.name, confidence))
    if not found and seen.status is not None:
        meant = known.by_status(services[0] if services else None, seen.status)
        if meant is not None:
            found.append(_Candidate(_STATUS, meant.template, meant, str(seen.status), "low"))
    return found


def _at_home(entry: Entry, services: tuple[str, ...]) -> float:
    if entry.service == ANY or not services:
        return 0.0
    if entry.service in services:
        return _WITH_SERVICE - services.index(entry.service)
    return _OTHER_SERVICE


def _explained(first: _Candidate, others: list[_Candidate], seen: Evidence, services: tuple[str, ...]) -> Explanation:
    cause = catalogue().causes[first.template.cause]
    code = next((code.name for code in seen.codes if code.name in first.entry.codes), "")
    return Explanation(
        cause=cause.slug,
        title=cause.title,
        code=code or (seen.codes[0].name if seen.codes else ""),
        service=first.entry.service if first.entry.service != ANY else (services[0] if services else ""),
        operation=seen.operation,
        status=seen.status,
        decision=cause.decision,
        category=cause.category,
        confidence=first.confidence,
        decided_by=masked(_as_written(first.words, seen.text)),
        meaning=cause.meaning,
        remedies=cause.remedies,
        wait=_wait(first.template),
        attempts=first.template.hint.attempts,
        link=cause.link,
        practice=cause.practice,
        alternatives=tuple(
            other.template.cause for other in others[:_MOST_ALTERNATIVES] if other.score > first.score - _MESSAGE
        ),
        fields=details(seen),
    )


def _wait(template: Fault) -> float | None:
    hint = template.hint
    return None if template.decision is Decision.FAIL else max(hint.floor, hint.base)


def _as_written(words: str, text: str) -> str:
    """Return the words as they stand in the text."""
    pattern = r"\s+".join(re.escape(word).replace("'", "['\u2019]") for word in words.split())
    match = re.search(pattern, text, re.IGNORECASE)
    return match.group() if match else words


def _unknown(seen: Evidence, services: tuple[str, ...]) -> Explanation:
    return Explanation(
        cause="unknown",
        title="Not in the catalogue",
        code="",
        service=services[0] if services else "",
        operation=seen.operation,
        status=seen.status,
        decision=Decision.RETRY_LIMITED,
        category=Category.UNKNOWN,
        confidence="none",
        decided_by="",
        meaning="Nothing in this text is an error that the catalogue knows.",
        remedies=(Remedy("Read the message itself; keep the request id for AWS Support."),),
        fields=details(seen),
    )
