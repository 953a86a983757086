"""From an error to a `Fault`: what it is, whether to retry, and how.

The catalogue is read at the first fault, not at import.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from aws_bedrock_inference.fault import Decision, Fault, Hint, Kind
from aws_bedrock_inference.knowledge import reading
from aws_bedrock_inference.knowledge.catalogue import ANY, catalogue
from aws_bedrock_inference.knowledge.explain import explain_text

RUNTIME = "bedrock-runtime"

# For errors known by their model alone: the SDK's own number of tries, and who is at fault.
_ATTEMPTS = {Decision.RETRY: 3, Decision.RETRY_LIMITED: 2, Decision.FAIL: 1}
_KINDS = {Decision.RETRY: Kind.SERVER, Decision.RETRY_LIMITED: Kind.UNKNOWN, Decision.FAIL: Kind.INVALID}

_UNKNOWN = Fault(code="", message="", advice="Unknown to this version.")


def answered(
    code: str,
    message: str,
    *,
    status: int | None,
    service: str | None = RUNTIME,
    request_id: str | None = None,
    retry_after: float | None = None,
    suggested_wait: float | None = None,
    response: dict[str, Any] | None = None,
    error: BaseException | None = None,
) -> Fault:
    """Return the fault behind an error answer of a service, or an exception inside its stream.

    `code` may be in the lower-camel spelling of stream events; without a known code the HTTP `status` decides, and a
    code that nothing knows is RETRY_LIMITED. `service` is AWS's own short name, as in its endpoints; None when it is
    not known. `retry_after` (`Retry-After`) and `suggested_wait` (`x-amz-retry-after`) are in seconds.
    """
    code = code[:1].upper() + code[1:] if code.endswith(("Exception", "Error")) else code
    template = _template(service, code, status, message)
    return template.seen(
        code or f"HTTP {status}",
        message,
        status=status,
        request_id=request_id,
        retry_after=retry_after,
        suggested_wait=suggested_wait,
        response=response if response is not None else {"Error": {"Code": code, "Message": message}},
        error=error,
    )


def unanswered(error: BaseException | None, *, code: str, message: str) -> Fault:
    """Return the fault behind a failure on our side of the wire; `code` is botocore's name for it where there is
    one.
    """
    return _template(ANY, code, None, message).seen(code, message, error=error)


def classify(x: Any, *, service: str | None = None) -> Fault:
    """Return what an error is: its cause, its decision, and how it wants to be retried.

    `x` is an exception (botocore's, urllib3's, aiohttp's, this package's, and what wraps them: causes, contexts,
    groups, LiteLLM, LangChain, the Anthropic and OpenAI SDKs), boto3's dictionary of an error, an HTTP answer, or a
    text. `service` is AWS's short name (`dynamodb`), needed only where services give one code different meanings and
    the operation does not tell which it was. Nothing raises: what is not known is RETRY_LIMITED.
    """
    if isinstance(x, Fault):
        return x
    if isinstance(x, BaseException):
        return _of_exception(x, service)
    if isinstance(x, dict) and "Error" not in x:
        return _of_text(reading.told(x), service)
    if isinstance(x, dict):
        return _of_answer(reading.boto3_answer(x), service)
    if isinstance(x, (str, bytes)):
        return _of_text(x if isinstance(x, str) else x.decode(errors="replace"), service)
    seen = reading.http_answer(x)
    return _of_answer(seen, service) if seen else _UNKNOWN.seen(type(x).__name__, "")


def _of_exception(error: BaseException, service: str | None) -> Fault:
    """Return the fault of the first link of the chain that carries an answer; else of the last that has a known name:
    wrappers come first.
    """
    named = None
    for link in reading.chain(error):
        fault = reading.held(link)
        if fault is not None:
            return fault
        seen = reading.answer(link)
        if seen is not None:
            return _of_answer(seen, service)
        named = reading.named(link, catalogue()) or named
    if named is None:
        return _of_text(f"{type(error).__name__}: {error}", service, error)
    return _template(ANY, named.code, None, named.message).seen(named.code, named.message, error=error)


def _of_answer(seen: reading.Seen, service: str | None) -> Fault:
    metadata = (seen.response or {}).get("ResponseMetadata")
    return answered(
        seen.code,
        seen.message,
        status=seen.status,
        service=service or catalogue().operations.get(seen.operation),
        request_id=metadata.get("RequestId") if isinstance(metadata, dict) else None,
        response=seen.response,
        error=seen.error,
    )


def _of_text(text: str, service: str | None, error: BaseException | None = None) -> Fault:
    found = explain_text(text, service=service)
    entry = catalogue().entry(found.service or None, found.code) if found.code else None
    template = catalogue().templates.get(found.cause) or (entry.template if entry else _UNKNOWN)
    template = replace(template, reached=True)  # a text cannot prove that nothing was sent
    return template.seen(found.code or found.cause, text, status=found.status, error=error)


@lru_cache(maxsize=1024)  # the same few errors come again and again; messages with ids in them are soon forgotten
def _template(service: str | None, code: str, status: int | None, message: str) -> Fault:
    known = catalogue()
    if code and code not in known.by_code:
        found = _modelled(service, code)
        if found is not None:
            return found
    return known.meant(service, code, status, message) or _UNKNOWN


def _modelled(service: str | None, code: str) -> Fault | None:
    """Return what AWS's own model says of an error that the catalogue does not describe."""
    from aws_bedrock_inference.knowledge.modelled import modelled  # noqa: PLC0415 - imports botocore, and is seldom needed

    verdicts = {found.verdict for found in modelled(code, service, fresh=False)}
    if len({verdict.decision for verdict in verdicts}) != 1:
        return None
    verdict = verdicts.pop()
    attempts = _ATTEMPTS[verdict.decision]
    return Fault(
        code=code,
        message="",
        kind=_KINDS[verdict.decision],
        decision=verdict.decision,
        category=verdict.category,
        cause="modelled",
        advice=verdict.remedy,
        hint=Hint(attempts=attempts) if verdict.wait is None else Hint(base=verdict.wait, attempts=attempts),
    )
