"""From whatever holds an error to its `Evidence`: exceptions of any client, boto3's dictionaries, HTTP answers, and
what wraps them.

Nothing here imports a client library: each is known by the shape of what it raises. Whatever comes is somebody else's
object: its attributes and its text are read through `attribute` and `text_of`, which do not raise.
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

_DEEPEST = 24  # links of a chain that are followed; real ones have fewer than ten

# The attributes that hold a wrapped error in LiteLLM, Anthropic's and OpenAI's SDK, requests, aiobotocore, pydantic-ai.
_WRAPPED = ("original_exception", "original_error", "__cause__", "__context__", "reason")

# The certain facts, by the stated ones: a code, an operation, a service.
_CERTAIN = {
    (code, operation, service): frozenset(
        name for name, there in ((CODE, code), (OPERATION, operation), (SERVICE, service)) if there
    )
    for code in (False, True)
    for operation in (False, True)
    for service in (False, True)
}


class Seen(NamedTuple):
    """One error as it came: its evidence, and the facts that are shown beside the verdict.

    `fault` is there when an exception of this package carries its verdict already. `response` is boto3's dictionary.
    """

    evidence: Evidence
    code: str
    message: str
    response: dict[str, Any] | None = None
    error: BaseException | None = None
    fault: Fault | None = None


class Answer(NamedTuple):
    """The facts that an error answer states."""

    code: str
    message: str
    status: int | None = None
    response: dict[str, Any] | None = None


def read(x: Any, service: str | None = None) -> Seen:
    """Return what there is to know of an error in any form. Nothing raises.

    `service` is any name that AWS uses for one; a name that it does not use counts as none.
    """
    service = resolve(service) if service else ""
    try:
        return _seen(x, service)
    except Exception:  # noqa: BLE001 - an object that not even the readers below can handle, such as a proxy of nothing
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
    """Return what the first link of the chain says that carries an answer; else the last that has a known name:
    wrappers come first.
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
    link, code = named  # that tells more than a guess, less than an answer
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
    """Return a code as services spell it: streams write its first letter small."""
    return code[:1].upper() + code[1:] if code[:1].islower() and code.endswith(("Exception", "Error")) else code


def code_of(verdict: Verdict) -> str:
    """Return the code that belongs to a verdict: the entry's where the error has one of its, else the first."""
    codes, entry = verdict.evidence.codes, verdict.entry
    own = (code for code in codes if entry is not None and code in entry.codes)
    return next(own, codes[0] if codes else "")


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it comes from or holds, outermost first, each once."""
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
    """Return the error answer that an exception carries: boto3's, or the body and status of an HTTP client's."""
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
    """Return what boto3's dictionary of an error says."""
    facts = response.get("Error")
    facts = facts if isinstance(facts, dict) else {}
    metadata = response.get("ResponseMetadata")
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    code, message = text_of(facts.get("Code") or ""), text_of(facts.get("Message") or "")
    return Answer(code, message, status if isinstance(status, int) else None, response)


def http_answer(response: Any) -> Answer | None:
    """Return what an HTTP answer says, whoever's class it is; None for one that is no error, or not to be read."""
    status = next((s for n in ("status_code", "status") if isinstance(s := attribute(response, n), int)), None)
    if status is None or status < 400:  # noqa: PLR2004 - HTTP's own line between answers and errors
        return None
    kind = header(response, "x-amzn-ErrorType")
    for name in ("content", "text", "data", "body"):
        body = attribute(response, name)  # None for a stream that was not read, or is closed: the headers must do
        if isinstance(body, (bytes, str)) and body:
            return _read(body, status, kind)
    return _read(b"", status, kind)


def header(response: Any, name: str) -> str:
    """Return a header of an HTTP answer, whoever's class it is, or nothing."""
    headers = attribute(response, "headers")
    try:
        return text_of(headers.get(name) or headers.get(name.lower()) or "") if headers else ""
    except Exception:  # noqa: BLE001 - headers in a form of their own
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
    """Return a code without its namespace: `com.amazon#X`, `X:http://...`."""
    return code.partition(":")[0].rpartition("#")[2].strip()


def by_class_name(error: BaseException) -> tuple[BaseException, str] | None:
    """Return an exception that the catalogue knows by the name of its class, or of one that it descends from, and that
    name.
    """
    known = catalogue().by_code
    return next(((error, kind.__name__) for kind in type(error).__mro__[:-2] if kind.__name__ in known), None)


def text_of(x: object) -> str:
    """Return the text of an object; nothing for one whose `__str__` raises."""
    try:
        return f"{x!s}"
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is, still is one
        return ""


def is_a(x: object, kind: type[T]) -> TypeGuard[T]:
    """Return `isinstance(x, kind)`; False for an object whose class cannot be asked for, such as a proxy of nothing."""
    try:
        return isinstance(x, kind)
    except Exception:  # noqa: BLE001 - `__class__` is a property, too
        return False


def attribute(x: object, name: str) -> Any:
    """Return an attribute of an object; None where there is none, or where reading it raises."""
    try:
        return getattr(x, name, None)
    except Exception:  # noqa: BLE001 - properties of other people's exceptions
        return None


def attached_fault(error: BaseException) -> Fault | None:
    """Return the fault that an exception of this package carries."""
    fault = attribute(error, "fault")
    return fault if isinstance(fault, Fault) else None


def error_text(x: Any) -> str:
    """Return the text of an error that is not one: each link of an exception's chain on a line, the root first."""
    if isinstance(x, dict):
        try:  # an answer that may be a refusal: a filter's, a guardrail's
            return json.dumps(x, default=text_of)
        except Exception:  # noqa: BLE001 - it holds itself, is too deep, or is no JSON in another way
            return text_of(x)
    if isinstance(x, BaseException):
        return "\n".join(f"{type(link).__name__}: {text_of(link)}" for link in reversed(list(chain(x))))
    return text_of(x)
