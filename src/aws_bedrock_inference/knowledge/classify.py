"""From an error to a `Fault`: what it is, whether to retry, and how.

`judge.py` decides; what is here gives its verdict the facts of one occurrence. The catalogue is read at the first
fault, not at import.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference.fault import Origin
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
    """Return the fault behind an error answer of Bedrock's runtime, or an exception inside its stream.

    `code` may be in the lower-camel spelling of stream events; without a known code the HTTP `status` decides, and a
    code that nothing knows is RETRY_LIMITED. `retry_after` (`Retry-After`) and `suggested_wait` (`x-amz-retry-after`)
    are in seconds.
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
    """Return the fault behind a failure on our side of the wire; `code` is botocore's name for it where there is
    one. Its `error` is a stand-in for `error`, which may hold headers and passwords.
    """
    verdict = judge(Evidence(message, (code,), (ANY,), certain=_ALL_CERTAIN))
    return placed(_template(verdict, code).with_details(code, masked(message), error=stand_in(error)), error, RUNTIME)


def unidentified(error: Exception) -> Fault:
    """Return the fault of having no identity to sign with: no credentials, or none that could be renewed.

    Whatever a source of credentials raises ends here, also what botocore or a program's own provider did not expect.
    """
    found = reading.attached_fault(error)
    if found is not None and found.origin is Origin.IDENTITY and not found.reached:  # of a role that was not assumed
        return replace(found, error=stand_in(error))
    fault = classify(error, service="sts")
    if not fault.code or fault.cause == UNKNOWN:
        fault = replace(fault, code=type(error).__name__, message=masked(reading.text_of(error)))
    return of_identity(replace(fault, error=stand_in(error)), tuple(reading.chain(error)))


def classify(x: Any, *, service: str | None = None) -> Fault:
    """Return what an error is: its cause, its decision, and how it wants to be retried.

    `x` is an exception (botocore's, urllib3's, aiohttp's, this package's, and what wraps them: causes, contexts,
    groups, LiteLLM, LangChain, the Anthropic and OpenAI SDKs), boto3's dictionary of an error, an HTTP answer, or a
    text. `service` is any name that AWS uses for the service (`dynamodb`), needed only where services give one code
    different meanings and the operation does not tell which it was. Nothing raises: what is not known is RETRY_LIMITED.
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
    """Return a verdict's template: that nothing was sent follows from the error's own code, never from words."""
    template, seen = verdict.template, verdict.evidence
    reached = code not in catalogue().unsent
    if verdict.entry is not None and verdict.entry.service == ANY and seen.services:  # its advice is for any service
        advice = catalogue().causes[template.cause].remedies(seen.services[0])[0].advice
        template = template if template.advice == advice else replace(template, advice=advice)
    return template if template.reached is reached else replace(template, reached=reached)
