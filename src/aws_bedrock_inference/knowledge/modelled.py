"""Decide whether to retry an error that the catalogue does not describe. AWS's service models decide. A "model" is the
description of a service's API in botocore. A "trait" marks an error in a model as retryable, as a throttle, or as the
fault of the service or the sender.

`python -m aws_bedrock_inference.knowledge.modelled` writes `modelled.json`: for each code, the services, the HTTP
status, whose fault the error is, and the retry trait. Descriptions are read from the installed botocore when needed.

The first rule that applies decides. RETRY_LIMITED means one more attempt.

* A throttle, by its trait or its name, is RETRY.
* An error with a name such as QuotaExceeded or LimitExceeded is FAIL, because waiting does not change a fixed limit.
  With status 429 or the code `LimitExceededException`, it can also be a rate limit and is RETRY_LIMITED. This rule does
  not apply to errors with a retry trait.
* An error with a retry trait, with status 408 or 429, or with a name such as RequestTimeout, is RETRY.
* An error with status 500, 502, 503 or 504, or with a name such as InternalServerError, is RETRY, as in the SDKs.
* An error with the trait `fault` is RETRY if the model states no status. With any status that the rules above do not
  list, such as 400, it is RETRY_LIMITED, because no SDK retries it.
* An error about a state that can change is RETRY_LIMITED. It has status 409, 423, 424 or 425, or a name such as InUse,
  NotReady or Concurrent. With a name such as AlreadyExists, Duplicate or Mismatch, the error is FAIL.
* Everything else is FAIL, because the same request fails again.
"""

from __future__ import annotations

import gzip
import html
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import botocore

from aws_bedrock_inference.fault import Category, Decision
from aws_bedrock_inference.knowledge.data import text_of_file

INDEX = "modelled.json"
_DATA = Path(botocore.__file__).parent / "data"
_LONGEST_DESCRIPTION = 600

_FAULT, _SENDER, _RETRY, _THROTTLE = "fault", "sender", "retry", "throttle"

_THROTTLED = re.compile(r"Throttl|TooManyRequest|^RequestLimitExceeded|Rate(?:Limit|Exceeded)|SlowDown|BandwidthLimit")
_TRANSIENT = re.compile(r"ProvisionedThroughputExceeded|PriorRequestNotComplete|TransactionInProgress|^RequestTimeout")
_INTERNAL = re.compile(r"Internal(?:Server|Service|Error|Failure)|^Server|ServiceUnavailable")
_SHARED_NAME = "LimitExceededException"
_LIMIT = re.compile(r"Quota|Limits?(?:Exceeded|Reached)|ExceedsLimit|TooMany|MaximumReached")
_STATE = re.compile(
    r"InUse|NotReady|NotStable|Concurrent|Conflict|InProgress|Busy|Pending|Unavailable|Timeout|TimedOut"
)
_EXISTS = re.compile(r"Exists|Duplicate|Mismatch")
_DENIED = re.compile(r"AccessDenied|Unauthori[sz]ed|NotAuthori[sz]ed|Forbidden|Permission|Credential")
_MISSING = re.compile(r"NotFound|NoSuch|DoesNotExist|NonExist|Unknown")

_SLOWER = "Reduce the request rate, and wait longer between attempts."
_TOO_MANY = 429
_TRANSIENT_STATUSES = frozenset({408, 500, 502, 503, 504})
_STATE_STATUSES = frozenset({409, 423, 424, 425})


class Verdict(NamedTuple):
    """The decision that follows from a service model. `wait` is the shortest useful wait in seconds."""

    decision: Decision
    category: Category
    reason: str
    remedy: str
    run: str = ""
    wait: float | None = None


@dataclass(frozen=True, slots=True)
class Modelled:
    """One error of one service, from its model. `trait` is `retry`, `throttle`, `fault`, `sender` or empty."""

    code: str
    service: str
    status: int | None
    trait: str

    @property
    def verdict(self) -> Verdict:
        """The decision on this error, by the rules at the top of this file."""
        return _verdict(self.code, self.status, self.trait)

    @property
    def description(self) -> str:
        """AWS's description of the error, from the installed botocore. It is empty if botocore has no description."""
        return next((facts.text for facts in _errors_of(self.service) if self.code in (facts.code, facts.shape)), "")


def modelled(code: str, service: str | None = None, *, fresh: bool = True) -> list[Modelled]:
    """Return the errors with this code in AWS's service models, one for each service. `service` is any name that AWS
    uses.

    The errors are read from `modelled.json`, which was written from one version of botocore. If the file does not
    contain the code, and the installed botocore has another version, the installed botocore is searched. This takes one
    second. With `fresh=False`, only the file is searched.
    """
    found = _found(_shipped(), code, service)
    if not found and fresh and _shipped()["botocore"] != botocore.__version__:
        found = _found(_installed(), code, service)
    return found


def codes() -> list[str]:
    """Return every error code in `modelled.json`."""
    return list(_shipped()["codes"])


def has_model(service: str) -> bool:
    """Return whether the installed botocore has a model of `service`, which is boto3's name."""
    return service.replace("-", "").isalnum() and (_DATA / service).is_dir()


def service_names(service: str, index: dict[str, Any] | None = None) -> set[str]:
    """Return the names of a service in botocore's service models. `service` is the name that the user wrote, such as
    an alias.
    """
    services = (index or _shipped())["services"]
    wanted = _plain(service)
    exactly = {name for name in services if _plain(name) == wanted}
    return exactly or {name for name, aliases in services.items() if wanted in aliases}


def _found(index: dict[str, Any], code: str, service: str | None) -> list[Modelled]:
    groups = index["codes"].get(code, ())
    wanted = service_names(service, index) if service else index["services"].keys()
    names = list(index["services"])
    return [
        Modelled(code, names[number], status or None, trait)
        for status, trait, numbers in groups
        for number in numbers
        if names[number] in wanted
    ]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower().removeprefix("amazon").removeprefix("aws"))


def _verdict(code: str, status: int | None, trait: str) -> Verdict:
    return (
        _throttle_or_limit(code, status, trait)
        or _transient(code, status, trait)
        or _passing(code, status)
        or _about_the_request(code, status)
    )


def _throttle_or_limit(code: str, status: int | None, trait: str) -> Verdict | None:
    if trait == _THROTTLE or _THROTTLED.search(code):
        return _retry("a throttling error", _SLOWER, wait=1.0)
    if trait != _RETRY and _LIMIT.search(code):
        if status == _TOO_MANY or code == _SHARED_NAME:
            return _limited(
                "either a rate limit or a fixed limit",
                "Wait, then make one more attempt. If it fails, delete unused resources or request a higher quota.",
                "aws service-quotas list-services",
            )
        return _fail("a fixed limit", "Waiting does not help. Delete unused resources, or request a higher quota.")
    return None


def _transient(code: str, status: int | None, trait: str) -> Verdict | None:
    if trait == _RETRY or _TRANSIENT.search(code):
        return _retry("an error that the model or the SDKs mark as retryable", "Retry with exponential backoff.")
    if status == _TOO_MANY:
        return _retry("a throttling error with the HTTP status 429", _SLOWER, wait=1.0)
    if status in _TRANSIENT_STATUSES or (trait == _FAULT and status is None) or _INTERNAL.search(code):
        return _retry(
            "a fault of the service",
            "Retry with exponential backoff. If the error continues, check the AWS Health Dashboard.",
        )
    if trait == _FAULT:
        return _limited(
            "a fault of the service that the SDKs do not retry", "Make one more attempt, then read the message."
        )
    return None


def _passing(code: str, status: int | None) -> Verdict | None:
    if (status in _STATE_STATUSES or _STATE.search(code)) and not _EXISTS.search(code):
        return _limited(
            "a state of the resource that can change",
            "Check the resource's state. Retry when the state no longer changes.",
        )
    return None


def _about_the_request(code: str, status: int | None) -> Verdict:
    if status in {401, 403} or _DENIED.search(code):
        return _fail(
            "a missing permission",
            "Check which identity makes the call, then which permission it lacks.",
            "aws sts get-caller-identity",
        )
    if status == 404 or _MISSING.search(code):  # noqa: PLR2004 - an HTTP status
        return _fail(
            "a resource that does not exist",
            "Check the name, the Region and the account of the resource in the request.",
            "aws configure list",
        )
    return _fail(
        "a fault of the request, which a retry does not change",
        "Correct the request according to the message and the meaning. Compare it with the API reference.",
    )


def _retry(reason: str, remedy: str, *, wait: float = 0.05) -> Verdict:
    return Verdict(Decision.RETRY, Category.TRANSIENT, reason, remedy, wait=wait)


def _limited(reason: str, remedy: str, run: str = "") -> Verdict:
    return Verdict(Decision.RETRY_LIMITED, Category.UNKNOWN, reason, remedy, run, wait=1.0)


def _fail(reason: str, remedy: str, run: str = "") -> Verdict:
    return Verdict(Decision.FAIL, Category.PERMANENT, reason, remedy, run)


class _Facts(NamedTuple):
    code: str
    shape: str
    status: int
    trait: str
    text: str


@cache
def _errors_of(service: str) -> tuple[_Facts, ...]:
    """Return the errors in the installed model of one service. The result is empty if there is no model."""
    model = _model(service)
    found = []
    for name, shape in model.get("shapes", {}).items():
        if shape.get("exception") or "error" in shape:
            error = shape.get("error", {})
            code, status = error.get("code", name), error.get("httpStatusCode", 0)
            found.append(_Facts(code, name, status, _trait(shape), _text(shape.get("documentation", ""))))
    return tuple(found)


def _trait(shape: dict[str, Any]) -> str:
    if "retryable" in shape:
        return _THROTTLE if shape["retryable"].get("throttling") else _RETRY
    if shape.get("fault"):
        return _FAULT
    return _SENDER if shape.get("error", {}).get("senderFault") else ""


def _text(documentation: str) -> str:
    text = " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", documentation)).split())
    return text if len(text) <= _LONGEST_DESCRIPTION else text[:_LONGEST_DESCRIPTION].rsplit(" ", 1)[0] + " …"


def _model(service: str) -> dict[str, Any]:
    found = sorted((_DATA / service).glob("*/service-2.json*"))
    if not found:
        return {}
    content = found[-1].read_bytes()
    model: dict[str, Any] = json.loads(gzip.decompress(content) if found[-1].suffix == ".gz" else content)
    return model


@cache
def _shipped() -> dict[str, Any]:
    index: dict[str, Any] = json.loads(text_of_file(INDEX))
    return index


@cache
def _installed() -> dict[str, Any]:
    return build()


def build() -> dict[str, Any]:
    """Return the content of `modelled.json`, read from the installed botocore."""
    services: dict[str, list[str]] = {}
    found: dict[str, dict[tuple[int, str], list[int]]] = {}
    for number, name in enumerate(sorted(path.name for path in _DATA.iterdir() if path.is_dir())):
        about = _model(name).get("metadata", {})
        called = {_plain(about.get(key, "")) for key in ("serviceId", "endpointPrefix", "signingName")}
        services[name] = sorted(called - {"", _plain(name)})
        for facts in _errors_of(name):
            for code in {facts.code, facts.shape}:
                found.setdefault(code, {}).setdefault((facts.status, facts.trait), []).append(number)
    return {
        "botocore": botocore.__version__,
        "services": services,
        "codes": {
            code: [[*facts, numbers] for facts, numbers in sorted(groups.items())]
            for code, groups in sorted(found.items())
        },
    }


def written(index: dict[str, Any]) -> str:
    """Return the text of the file `modelled.json`."""
    return json.dumps(index, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(INDEX).write_text(written(build()), encoding="utf-8")
