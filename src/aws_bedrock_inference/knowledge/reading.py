"""Convert any object that contains an error to `Evidence`: the facts of the error, from which `judge.py` decides the
cause. The object is an exception of any client, boto3's dictionary, an HTTP answer, or an object that wraps these.

This module imports no client library: it recognizes an exception by its attributes. Attributes and texts are read
through `attribute` and `text_of`, which never raise an exception. A "chain" is an exception with its causes and with
the exceptions that it contains, such as those of an exception group.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, TypeVar

from aws_bedrock_inference.fault import Fault
from aws_bedrock_inference.knowledge.catalogue import catalogue
from aws_bedrock_inference.knowledge.evidence import CODE, OPERATION, SERVICE, Evidence
from aws_bedrock_inference.knowledge.services import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.knowledge.judge import Verdict

T = TypeVar("T")

_DEEPEST = 24  # the most links of a chain that are followed; real chains have fewer than ten

# The attributes with a wrapped error in LiteLLM, Anthropic's and OpenAI's SDKs, requests, aiobotocore, pydantic-ai.
_WRAPPED = ("original_exception", "original_error", "__cause__", "__context__", "reason")

# The names of the certain facts, by whether a code, an operation and a service are stated. Computed once.
_CERTAIN = {
    (code, operation, service): frozenset(
        name for name, there in ((CODE, code), (OPERATION, operation), (SERVICE, service)) if there
    )
    for code in (False, True)
    for operation in (False, True)
    for service in (False, True)
}


class Seen(NamedTuple):
    """One error as it was passed: its evidence (such as its code and service), and facts that are shown with the
    result. `fault` is set if the exception is from this package and already contains a fault. `response` is boto3's
    dictionary.
    """

    evidence: Evidence
    code: str
    message: str
    response: dict[str, Any] | None = None
    error: BaseException | None = None
    fault: Fault | None = None


class Answer(NamedTuple):
    """The facts that an HTTP answer with an error states."""

    code: str
    message: str
    status: int | None = None
    response: dict[str, Any] | None = None


def read(x: Any, service: str | None = None) -> Seen:
    """Return the facts of an error in any form. The function never raises an exception.

    `service` is any name that AWS uses for a service. An unknown name is ignored.
    """
    service = resolve(service) if service else ""
    try:
        return _seen(x, service)
    except Exception:  # noqa: BLE001 - an object that not even the readers below can handle, such as an unbound proxy
        return _of_text(type(x).__name__, service)


def _seen(x: Any, service: str) -> Seen:
    if is_a(x, BaseException):
        return _of_exception(x, service)
    if isinstance(x, Fault):
        return Seen(
            Evidence(x.message, (x.code,), status=x.status, certain=_CERTAIN[True, False, False]), "", "", fault=x
        )
    if isinstance(x, (str, bytes, bytearray, memoryview)):
        return _of_text(text_of(x) if isinstance(x, str) else bytes(x).decode(errors="replace"), service)
    if isinstance(x, dict):
        stated = isinstance(x.get("Error"), dict)
        return _of_answer(boto3_answer(x), "", service) if stated else _of_text(error_text(x), service)
    answer = http_answer(x)
    return _of_answer(answer, "", service) if answer else _of_text(error_text(x), service)


def _of_exception(error: BaseException, service: str) -> Seen:
    """Return the facts of the first exception in the chain of causes that contains an HTTP answer.

    If no exception contains an answer, return the facts of the innermost exception whose class has the name of an error
    code in the catalogue, such as `ThrottlingException`.
    """
    named, status, operation = None, None, ""
    for link in chain(error):
        own = _operation_of(link)
        operation = operation or own
        fault = attached_fault(link)
        if fault is not None:
            evidence = Evidence(fault.message, (fault.code,), (), operation, fault.status, _CERTAIN[True, False, False])
            return Seen(evidence, "", "", fault.response, link, fault)
        answer = answer_of(link)
        if answer is not None and (answer.code or answer.message or answer.response is not None):
            return _of_answer(answer, own, service, link)
        status = status or (answer.status if answer is not None else None)
        named = by_class_name(link) or named
    facts = ((service,) if service else (), operation, status, _CERTAIN[False, bool(operation), bool(service)])
    if named is None:
        return Seen(
            Evidence(error_text(error), (), *facts), "", f"{type(error).__name__}: {text_of(error)}", error=error
        )
    link, code = named  # no exception of the chain contains an answer
    message = text_of(link)
    return Seen(Evidence(f"{code}: {message}", (), *facts), code, message, error=link)


def _of_answer(answer: Answer, operation: str, service: str, error: BaseException | None = None) -> Seen:
    code = spelt(answer.code)
    evidence = Evidence(
        answer.message,
        (code,) if code else (),
        (service,) if service else (),
        operation,
        answer.status,
        _CERTAIN[bool(code), bool(operation), bool(service)],
    )
    shown = code or (f"HTTP {answer.status}" if answer.status is not None else "")
    return Seen(evidence, shown, answer.message, answer.response, error)


def _of_text(text: str, service: str) -> Seen:
    if not service:
        return Seen(Evidence(text, pasted=True), "", text)
    return Seen(Evidence(text, (), (service,), certain=_CERTAIN[False, False, True]), "", text)


def spelt(code: str) -> str:
    """Return an error code with a capital first letter. For example, streams write `throttlingException`, and services
    otherwise write `ThrottlingException`.
    """
    return code[:1].upper() + code[1:] if code[:1].islower() and code.endswith(("Exception", "Error")) else code


def code_of(verdict: Verdict) -> str:
    """Return the code to show for an error: the first of its codes that belongs to the verdict's entry in the
    catalogue, or otherwise its first code. The result is empty if the error has no code.
    """
    codes, entry = verdict.evidence.codes, verdict.entry
    own = (code for code in codes if entry is not None and code in entry.codes)
    return next(own, codes[0] if codes else "")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, its causes, and the exceptions that it contains, such as those of an exception group. The
    outermost exception is first, and each exception is yielded once.
    """
    yield error
    waiting, met = _inner(error), {id(error)}
    while waiting and len(met) < _DEEPEST:
        current = waiting.pop(0)
        if id(current) not in met:
            met.add(id(current))
            yield current
            waiting += _inner(current)


def _inner(error: BaseException) -> list[BaseException]:
    held = [attribute(error, name) for name in ("exceptions", "args")]
    group, args = (many if isinstance(many, tuple) else () for many in held)
    group = group if is_a(error, BaseExceptionGroup) else ()
    wrapped = [attribute(error, name) for name in _WRAPPED]
    return [found for found in (*group, *wrapped, *args) if is_a(found, BaseException)]


def answer_of(error: BaseException) -> Answer | None:
    """Return the error answer in an exception: boto3's dictionary, or the body and the status from an HTTP client."""
    response = attribute(error, "response")
    if isinstance(response, dict) and isinstance(response.get("Error"), dict):
        return boto3_answer(response)
    if response is not None and not isinstance(response, dict):
        return http_answer(response)
    status, body = attribute(error, "status_code"), attribute(error, "body")
    if isinstance(status, int) and isinstance(body, (dict, str, bytes)):
        return _read(body, status, "")
    return None


def _operation_of(error: BaseException) -> str:
    operation = attribute(error, "operation_name")
    return operation if isinstance(operation, str) else ""


def boto3_answer(response: dict[str, Any]) -> Answer:
    """Return the facts in boto3's dictionary of an error."""
    facts = response.get("Error")
    facts = facts if isinstance(facts, dict) else {}
    metadata = response.get("ResponseMetadata")
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    code, message = text_of(facts.get("Code") or ""), text_of(facts.get("Message") or "")
    return Answer(code, message, status if isinstance(status, int) else None, response)


def http_answer(response: Any) -> Answer | None:
    """Return the facts of an HTTP answer from any library. The result is None if the answer is not an error or cannot
    be read.
    """
    status = next((s for n in ("status_code", "status") if isinstance(s := attribute(response, n), int)), None)
    if status is None or status < 400:  # noqa: PLR2004 - the first HTTP status of an error
        return None
    kind = header(response, "x-amzn-ErrorType")
    for name in ("content", "text", "data", "body"):
        body = attribute(response, name)  # None for a stream that was not read or is closed: only the headers are used
        if isinstance(body, (bytes, str)) and body:
            return _read(body, status, kind)
    return _read(b"", status, kind)


def header(response: Any, name: str) -> str:
    """Return a header of an HTTP answer of any library, or an empty string."""
    headers = attribute(response, "headers")
    try:
        return text_of(headers.get(name) or headers.get(name.lower()) or "") if headers else ""
    except Exception:  # noqa: BLE001 - headers of an unknown type
        return ""


def _read(body: Any, status: int, kind: str) -> Answer:
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return Answer(_bare(kind), str(body), status)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    inner = inner if isinstance(inner, dict) else {"message": inner}
    code = kind or inner.get("__type") or inner.get("code") or inner.get("Code") or inner.get("type") or ""
    message = inner.get("message") or inner.get("Message") or ""
    return Answer(_bare(text_of(code)), text_of(message), status)


def _bare(code: str) -> str:
    """Return an error code without its namespace. For example, `com.amazon#X` and `X:http://...` become `X`."""
    return code.partition(":")[0].rpartition("#")[2].strip()


def by_class_name(error: BaseException) -> tuple[BaseException, str] | None:
    """Search the catalogue's error codes for the name of the exception's class or of one of its base classes. Return
    the exception and the first class name that is a code, or None if no class name is a code.
    """
    known = catalogue().by_code
    return next(((error, kind.__name__) for kind in type(error).__mro__[:-2] if kind.__name__ in known), None)


def text_of(x: object) -> str:
    """Return the text of an object. The result is empty if the object's `__str__` raises."""
    try:
        return f"{x!s}"
    except Exception:  # noqa: BLE001 - an exception without a readable text is still an exception
        return ""


def is_a(x: object, kind: type[T]) -> TypeGuard[T]:
    """Return `isinstance(x, kind)`. Return False if `isinstance` raises an exception. For example, it can raise for a
    proxy object whose attributes cannot be read.
    """
    try:
        return isinstance(x, kind)
    except Exception:  # noqa: BLE001 - `__class__` may be a property that raises
        return False


def attribute(x: object, name: str) -> Any:
    """Return an attribute of an object. The result is None if the attribute is missing, or if reading it raises."""
    try:
        return getattr(x, name, None)
    except Exception:  # noqa: BLE001 - properties of foreign exceptions may raise
        return None


def attached_fault(error: BaseException) -> Fault | None:
    """Return the fault that an exception of this package contains."""
    fault = attribute(error, "fault")
    return fault if isinstance(fault, Fault) else None


def error_text(x: Any) -> str:
    """Return the text of an object that is not an error answer. For an exception, each exception of its chain of causes
    is on its own line, the innermost exception first.
    """
    if isinstance(x, dict):
        try:  # an answer that may be a refusal of a filter or a guardrail
            return json.dumps(x, default=text_of)
        except Exception:  # noqa: BLE001 - it contains itself, is nested too deeply, or is otherwise not JSON
            return text_of(x)
    if isinstance(x, BaseException):
        return "\n".join(f"{type(link).__name__}: {text_of(link)}" for link in reversed(list(chain(x))))
    return text_of(x)
