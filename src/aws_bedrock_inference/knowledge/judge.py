"""Decide the cause of an error. The "evidence" (the facts of the error) is compared with the error catalogue. Each
possible cause (a "candidate") gets a score. The cause with the highest score is returned as a "verdict".

`classify` and `explain` use the same verdict, so they cannot contradict each other. An "entry" is the catalogue's
description of one error code. The argument `seen` is evidence that the function `completed` returned.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from aws_bedrock_inference.fault import Decision, Fault, Hint, Kind
from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.evidence import SERVICE, Evidence, completed, like_codes
from aws_bedrock_inference.knowledge.lasting import LASTS, lasting
from aws_bedrock_inference.knowledge.owners import AWS, NOBODY, owner
from aws_bedrock_inference.knowledge.services import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.knowledge.entries import Entry
    from aws_bedrock_inference.knowledge.modelled import Modelled
    from aws_bedrock_inference.knowledge.modelled import Verdict as ModelVerdict

# The score of a candidate is the sum of these weights. A matching message outweighs a code, and both together outweigh
# either alone. If the text names a service other than the candidate's, the score is lower.
_MESSAGE, _CODE = 100.0, 40.0
_WITH_CODE, _WITH_SERVICE, _OTHER_SERVICE = 60.0, 30.0, -70.0
_NETWORK = -50.0  # for words about a closed connection: a sentence with the reason has more weight
_PASSED_ON = -20.0  # for a code of a service whose errors the known service returns to its own callers
_ELSEWHERE = -30.0  # for a code of another service, if its cause can occur in every service
_FIRM = 130.0  # for a code with a single meaning: it outweighs the messages of other errors, but not its own
_FOREIGN = 0.5  # no service is named: a meaning that every service shares has this advantage
_LONGEST_COUNTED = 60
_RANK = 200.0
_TELLING = 25  # characters: without an AWS code or service, a shorter message can be from any program
_MOST_ALTERNATIVES = 3
_NARROW = 16_384  # characters: only shorter texts are read as a table whose narrow columns split words
_LONGEST_KEPT = 2_048  # characters: only verdicts on shorter texts are cached, because repeated messages are short

MODELLED, UNKNOWN = "modelled", "unknown"
"""The cause of an error that only AWS's service models describe, and the cause of an unknown error."""

# For errors known only from their model: the SDK's number of attempts, and the kind of fault.
_ATTEMPTS = {Decision.RETRY: 3, Decision.RETRY_LIMITED: 2, Decision.FAIL: 1}
_KINDS = {Decision.RETRY: Kind.SERVER, Decision.RETRY_LIMITED: Kind.UNKNOWN, Decision.FAIL: Kind.INVALID}

_NOTHING_KNOWN = Fault(code="", message="", advice="This version of the package does not know the error.")


class Verdict(NamedTuple):
    """The cause of an error, the decision whether to retry the call, and the evidence for both.

    * `template` is a fault without details of the call, such as a request id. The field `cause` of this fault is a
      cause of the catalogue, `modelled` or `unknown`.
    * `entry` is the catalogue's entry that matches, and `words` are the words in the text that match.
    * `confidence` depends on what matches. `high`: a message, or a code with only one meaning. `medium`: only a code
      and a service, or words that other programs also use. `low`: only a code, a status, or words about a lasting
      problem. `none`: nothing.
    * `models` are AWS's service models that describe the error, if the catalogue does not contain it.
    * `conditional` is True if it is unknown whether the text is from AWS. If it is not from AWS, the verdict may be
      wrong.
    * `other` is the program that the error comes from, if this is not AWS.
    """

    template: Fault
    evidence: Evidence
    entry: Entry | None = None
    words: str = ""
    confidence: str = "none"
    alternatives: tuple[str, ...] = ()
    models: tuple[Modelled, ...] = ()
    conditional: bool = False
    other: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible cause of the error, with its score."""

    score: float
    template: Fault
    entry: Entry
    words: str
    confidence: str


def judge(seen: Evidence) -> Verdict:
    """Return the verdict on one error.

    If `seen.certain` names a fact, the verdict is cached, unless the text is very long. Such errors are usually from a
    program, which can receive the same error many times, for example a throttle. If `seen.certain` is empty, the text
    can be a line of a log. The lines of a log differ, so a cached verdict would not be used again.
    """
    return _kept(seen) if seen.certain and len(seen.text) <= _LONGEST_KEPT else _judged(seen)


def _judged(seen: Evidence) -> Verdict:
    verdict = _weighed(completed(seen))
    if "\n" in seen.text and len(seen.text) <= _NARROW and verdict.confidence != "high":
        again = _weighed(completed(seen, rejoined=True))
        verdict = again if again.confidence == "high" else verdict
    if seen.pasted:
        verdict = _owned(verdict)
    return verdict._replace(evidence=verdict.evidence._replace(words=None))  # clues are large


def _owned(verdict: Verdict) -> Verdict:
    """Return the verdict after a check of where the text comes from. For a text from another program, the verdict names
    the program and no cause. If the origin is unknown, the confidence is `low`.
    """
    whose = owner(verdict.evidence, verdict.entry, verdict.words)
    if whose not in {AWS, NOBODY}:
        return Verdict(_NOTHING_KNOWN, verdict.evidence, other=whose)
    if verdict.template.cause == UNKNOWN:
        return _lasting(verdict, conditional=whose == NOBODY)
    if whose == AWS:
        return verdict
    return verdict._replace(confidence="low", conditional=True)


def _lasting(verdict: Verdict, *, conditional: bool) -> Verdict:
    """Change the decision to FAIL if the cause is unknown and the text describes a lasting problem. This applies only
    to pasted texts. For an unknown error that a program receives, the decision remains RETRY_LIMITED.
    """
    seen = verdict.evidence
    assert seen.words is not None  # noqa: S101 - completed evidence has them
    words = lasting(seen.words.lower)
    if not words:
        return verdict
    return verdict._replace(template=LASTS, words=words, confidence="low", conditional=conditional)


_kept = lru_cache(maxsize=1024)(_judged)


def _weighed(seen: Evidence) -> Verdict:
    found = ranked(seen)
    if not found or found[0].confidence != "high":
        models = _models(seen)
        if models:
            return _modelled(seen, models, seen.stated)
    if found:
        return _of_candidate(seen, *found)
    entry = catalogue().alike(seen.stated)
    if entry is not None:
        return Verdict(entry.template, seen, entry, seen.stated, "low")
    return _mentioned(seen) or _by_status(seen)


def ranked(seen: Evidence) -> list[Candidate]:
    """Return the best candidate (possible explanation) for each cause. The highest score is first."""
    best: dict[str, Candidate] = {}
    found = [*_by_message(seen), *_by_code(seen)]
    for candidate in sorted(found, key=lambda candidate: -candidate.score):
        best.setdefault(candidate.template.cause, candidate)
    return list(best.values())


def _by_message(seen: Evidence) -> Iterator[Candidate]:
    assert seen.words is not None  # noqa: S101 - completed evidence has them
    codes = frozenset(seen.codes)
    own = _entries(seen.stated) if seen.services == (ANY,) else []  # an error of the client, which may contain URLs
    for signature, words in catalogue().matching(*seen.words):
        entry = signature.fault
        if own and entry not in own:
            continue
        home = _home(entry, seen, _OTHER_SERVICE, passed_on=0.0)
        if home is None:
            continue
        coded = not codes.isdisjoint(entry.codes)
        telling = not codes.isdisjoint(entry.own_codes) or (coded and not seen.services and not _repeats(words, codes))
        if telling or home > 0 or not signature.coded:
            score = _MESSAGE + min(len(words), _LONGEST_COUNTED) + _WITH_CODE * coded + home + _RANK * signature.rank
            score += _NETWORK * (signature.cause.group == "network")
            sure = coded or home > 0 or len(words) >= _TELLING
            yield Candidate(score, signature.template, entry, words, "high" if sure else "medium")


def _repeats(words: str, codes: frozenset[str]) -> bool:
    """Return True if the words only repeat the code, as `access denied` does. Such words do not show the service."""
    return words.replace(" ", "") in {code.lower() for code in codes}


def _by_code(seen: Evidence) -> Iterator[Candidate]:
    codes = seen.codes
    if any(_home(entry, seen, None, passed_on=None) is not None for entry in _entries(seen.stated)):
        codes = codes[:1]  # certain, and in the catalogue: other codes in the text are only its subject
    for position, code in enumerate(codes):
        for entry in _entries(code):
            home = _home(entry, seen, _OTHER_SERVICE, passed_on=_PASSED_ON)
            if home is None and entry.cause.slug in catalogue().general:
                home = _ELSEWHERE
            if home is not None:
                score = _CODE + home - position / 100 - _FOREIGN * (entry.service != ANY and not seen.services)
                sure = "high" if entry.firm else "medium" if home > 0 else "low"
                yield Candidate(score + _FIRM * entry.firm, entry.template, entry, code, sure)


def _entries(code: str) -> list[Entry]:
    return catalogue().by_code.get(code, [])


def _home(entry: Entry, seen: Evidence, other: float | None, *, passed_on: float | None) -> float | None:
    """Return how much the service of `entry` (the description of an error) adds to the score of the entry's cause.

    * 0 if the entry applies to all services, or if no service of the error is known.
    * A bonus if the entry's service is one of the error's possible services. The first service gets the largest bonus.
    * The argument `other` if the error's services are guesses, and the entry's service is not one of them.
    * The argument `passed_on` if the error is certainly from another service that passes on errors of the entry's
      service. For example, Bedrock Agents passes on errors of Bedrock Runtime.
    * None in all other cases: the error cannot come from the entry's service.
    """
    services = seen.services
    if entry.service == ANY or not services:
        return 0.0
    if entry.service in services:
        return _WITH_SERVICE - services.index(entry.service)
    if SERVICE not in seen.certain:
        return other
    about = catalogue().services
    return passed_on if any(entry.service in about[one]["passes_on"] for one in services if one in about) else None


def _of_candidate(seen: Evidence, first: Candidate, *others: Candidate) -> Verdict:
    alternatives = [
        other.template.cause
        for other in others
        if other.score > first.score - _MESSAGE and not _is_namesake(other, seen)
    ]
    return Verdict(
        first.template, seen, first.entry, first.words, first.confidence, tuple(alternatives[:_MOST_ALTERNATIVES])
    )


def _is_namesake(other: Candidate, seen: Evidence) -> bool:
    """Return True if a candidate (a possible cause) has the code of the error, but belongs to another service.

    Such a candidate was found only by its code, not by words of the error's message.
    """
    return other.words in seen.codes and _home(other.entry, seen, None, passed_on=0.0) is None


def _by_status(seen: Evidence) -> Verdict:
    """Return the verdict on an error for which only the HTTP status is known."""
    if seen.status is not None:
        entry = catalogue().by_status(seen.services[0] if seen.services else None, seen.status)
        if entry is not None:
            return Verdict(entry.template, seen, entry, str(seen.status), "low")
    return Verdict(_NOTHING_KNOWN, seen)


def _mentioned(seen: Evidence) -> Verdict | None:
    """Return a verdict on a pasted text, from a name in the text that looks like an error code. Return None if no name
    decides the cause.

    The first name that is an error code in AWS's service models decides. If no name is such a code, the first name with
    a known ending decides, such as `StackNotFound`. The ending decides only in a text from AWS.
    """
    if seen.certain or not seen.pasted:
        return None
    names = like_codes(seen.text)
    for name in names:
        if models := _agreed(name, seen):
            return _modelled(seen._replace(codes=(name,)), models, name)
    if names and owner(seen, None, "") == AWS:
        for name in names:
            entry = None if name.endswith("Exception") else catalogue().alike(name)
            if entry is not None:
                return Verdict(entry.template, seen, entry, name, "low")
    return None


def _models(seen: Evidence) -> tuple[Modelled, ...]:
    """Return the errors in AWS's service models that have the code of this error.

    The result is empty in three cases:
    * The code is only a guess from the text.
    * The error catalogue describes the code.
    * The decisions for these errors differ, for example RETRY in one service and FAIL in another.
    """
    code = seen.stated
    if not code or any(_home(entry, seen, 0.0, passed_on=0.0) is not None for entry in _entries(code)):
        return ()
    return _agreed(code, seen)


def _agreed(code: str, seen: Evidence) -> tuple[Modelled, ...]:
    from aws_bedrock_inference.knowledge.modelled import modelled  # noqa: PLC0415 - imports botocore, seldom needed

    facts = modelled(code, fresh=False)
    if SERVICE in seen.certain:
        facts = [each for each in facts if resolve(each.service) in seen.services]
    if len({each.verdict.decision for each in facts}) != 1:
        return ()
    reasons = Counter(each.verdict.reason for each in facts)
    return tuple(each for each in facts if each.verdict.reason == max(reasons, key=lambda one: reasons[one]))


def _modelled(seen: Evidence, models: tuple[Modelled, ...], code: str) -> Verdict:
    confidence = "medium" if len(models) == 1 else "low"
    return Verdict(_model_template(code, models[0].verdict), seen, None, code, confidence, (), models)


def _model_template(code: str, told: ModelVerdict) -> Fault:
    attempts = _ATTEMPTS[told.decision]
    return Fault(
        code=code,
        message="",
        kind=_KINDS[told.decision],
        decision=told.decision,
        category=told.category,
        cause=MODELLED,
        advice=told.remedy,
        hint=Hint(attempts=attempts) if told.wait is None else Hint(base=told.wait, attempts=attempts),
    )
