"""Convert an error to a `Fault`: the cause of the error, whether to retry the call, and how to retry it.

`judge.py` decides the cause and returns a "verdict". The verdict contains a "template": a fault without the details of
the call. This module adds the details, such as the message, the request id and the wait that the answer states. The
catalogue is read when the first error is classified, not at import.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.fault import Category, Decision, Hint, Origin
from aws_bedrock_inference.knowledge import reading
from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.evidence import CODE, SERVICE, Evidence
from aws_bedrock_inference.knowledge.judge import UNKNOWN, judge
from aws_bedrock_inference.knowledge.masking import masked, masked_in
from aws_bedrock_inference.knowledge.origins import of_identity, placed
from aws_bedrock_inference.knowledge.stand_in import stand_in
from aws_bedrock_inference.knowledge.waits import stated

if TYPE_CHECKING:
    from aws_bedrock_inference.fault import Fault
    from aws_bedrock_inference.knowledge.judge import Verdict

RUNTIME = "bedrock-runtime"

_ALL_CERTAIN = frozenset({CODE, SERVICE})
_SERVICE_CERTAIN = frozenset({SERVICE})

# botocore raises a KeyError with the name of the file if a cached login is empty or damaged. botocore and the AWS CLI
# write this file without a lock (botocore issue 3213), so it may only be incomplete while another process renews it.
_CACHE_KEY = re.compile(r"'[0-9a-f]{40}'")
_REWRITTEN = Hint(base=0.5, attempts=2)
_DAMAGED = {
    "Error": {
        "Code": "SSOTokenLoadError",
        "Message": "Error loading SSO Token: its file in ~/.aws/sso/cache is empty or damaged",
    }
}


def answered(
    code: str,
    message: str,
    *,
    status: int | None,
    request_id: str | None = None,
    retry_after: float | None = None,
    suggested_wait: float | None = None,
    response: dict[str, Any] | None = None,
) -> Fault:
    """Return the fault of an error answer of Bedrock's runtime, or of an exception inside its stream.

    `code` can begin with a lower-case letter, as in stream events. If the code is unknown, the HTTP `status` decides.
    If the status is also unknown, the decision is RETRY_LIMITED (one more attempt). `retry_after` (the header
    `Retry-After`) and `suggested_wait` (the header `x-amz-retry-after`) are in seconds.
    """
    code = reading.spelt(code)
    codes, certain = ((code,), _ALL_CERTAIN) if code else ((), _SERVICE_CERTAIN)
    verdict = judge(Evidence(message, codes, (RUNTIME,), "", status, certain))
    message = masked(message)
    fault = _template(verdict, code).with_details(
        code or f"HTTP {status}",
        message,
        status=status,
        request_id=request_id,
        retry_after=retry_after,
        suggested_wait=suggested_wait,
        response={"Error": {"Code": code, "Message": message}} if response is None else masked_in(response),
    )
    return placed(fault, None, RUNTIME)


def unanswered(error: BaseException | None, *, code: str, message: str) -> Fault:
    """Return the fault of a call that failed before an answer arrived, such as a failed connection.

    `code` is botocore's name of the failure, or empty. The fault contains a copy of `error` without secrets. The
    original can contain headers and passwords.
    """
    verdict = judge(Evidence(message, (code,), (ANY,), certain=_ALL_CERTAIN))
    return placed(_template(verdict, code).with_details(code, masked(message), error=stand_in(error)), error, RUNTIME)


def unidentified(error: Exception) -> Fault:
    """Return the fault of missing credentials, or of credentials that could not be renewed.

    `error` can come from botocore, or from a credential provider that the program itself defines.
    """
    found = reading.attached_fault(error)
    if found is not None and found.origin is Origin.IDENTITY and not found.reached:  # a role could not be assumed
        return replace(found, error=stand_in(error))
    damaged = type(error) is KeyError and _CACHE_KEY.fullmatch(str(error)) is not None
    fault = classify(_DAMAGED if damaged else error, service="sts")
    if damaged:
        fault = replace(fault, decision=Decision.RETRY_LIMITED, category=Category.TRANSIENT, hint=_REWRITTEN)
    if not fault.code or fault.cause == UNKNOWN:
        fault = replace(fault, code=type(error).__name__, message=masked(reading.text_of(error)))
    return of_identity(replace(fault, error=stand_in(error)), tuple(reading.chain(error)))


def classify(x: Any, *, service: str | None = None) -> Fault:
    """Return the fault of an error: its cause, the decision whether to retry, and how to retry the call.

    `x` is an exception, boto3's dictionary of an error, an HTTP answer, or a text. An exception can come from botocore,
    urllib3, aiohttp or this package. It can also contain another error: as its cause or context, in an exception group,
    or wrapped by LiteLLM, LangChain, or the Anthropic or OpenAI SDK.

    `service` is any name that AWS uses for the service, such as `dynamodb`. Pass it if the same code has different
    meanings in different services. The function never raises an exception: for an unknown error, the decision is
    RETRY_LIMITED (one more attempt).
    """
    seen = reading.read(x, service)
    if seen.fault is not None:
        return seen.fault
    verdict = judge(seen.evidence)
    retry_after, suggested_wait = stated(x, seen.response)
    metadata = seen.response.get("ResponseMetadata") if seen.response else None
    fault = _template(verdict, seen.code).with_details(
        seen.code or reading.code_of(verdict) or verdict.template.cause,
        masked(seen.message),
        status=verdict.evidence.status,
        request_id=metadata.get("RequestId") if isinstance(metadata, dict) else None,
        retry_after=retry_after,
        suggested_wait=suggested_wait,
        response=seen.response,
        error=seen.error,
    )
    return placed(fault, x if reading.is_a(x, BaseException) else None, service or "")


def _template(verdict: Verdict, code: str) -> Fault:
    """Return the fault that `verdict` contains, without details of the call, such as a request id.

    Two fields of this fault can be replaced:
    * `reached` is False if `code` shows that the request was not sent to AWS. Otherwise it is True.
    * If the error can occur in every service, `advice` is replaced by the advice for the service that was called.
    """
    template, seen = verdict.template, verdict.evidence
    reached = code not in catalogue().unsent
    if verdict.entry is not None and verdict.entry.service == ANY and seen.services:  # replace general advice
        advice = catalogue().causes[template.cause].remedies(seen.services[0])[0].alone
        template = template if template.advice == advice else replace(template, advice=advice)
    return template if template.reached is reached else replace(template, reached=reached)
