"""From whatever holds an error to its code, message and status: exceptions of any client, boto3's dictionaries, HTTP
answers, and what wraps them.

Nothing here imports a client library: each is known by the shape of what it raises.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_bedrock_inference.knowledge.catalogue import Catalogue

_DEEPEST = 24  # links of a chain that are followed; real ones have fewer than ten

# Where wrappers keep what they wrap: LiteLLM, Anthropic's and OpenAI's SDK, requests, aiobotocore, pydantic-ai.
_WRAPPED = ("original_exception", "original_error", "__cause__", "__context__", "reason")


class Seen(NamedTuple):
    """What an error answer says about itself. `response` is boto3's dictionary where there is one."""

    code: str
    message: str
    status: int | None = None
    operation: str = ""
    response: dict[str, Any] | None = None
    error: BaseException | None = None


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
    held = [getattr(error, name, None) for name in _WRAPPED]
    group = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [found for found in (*group, *held, *error.args) if isinstance(found, BaseException)]


def answer(error: BaseException) -> Seen | None:
    """Return the error answer that an exception carries: boto3's, or the body and status of an HTTP client's."""
    response = getattr(error, "response", None)
    if isinstance(response, dict) and isinstance(response.get("Error"), dict):
        return boto3_answer(response, getattr(error, "operation_name", "") or "", error)
    if response is not None and not isinstance(response, dict):
        return http_answer(response, error)
    status, body = getattr(error, "status_code", None), getattr(error, "body", None)
    if isinstance(status, int) and isinstance(body, (dict, str, bytes)):
        return _read(body, status, "", error)
    return None


def boto3_answer(response: dict[str, Any], operation: str = "", error: BaseException | None = None) -> Seen:
    """Return what boto3's dictionary of an error says."""
    facts = response.get("Error") or {}
    metadata = response.get("ResponseMetadata")
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    code, message = str(facts.get("Code") or ""), str(facts.get("Message") or "")
    return Seen(code, message, status if isinstance(status, int) else None, operation, response, error)


def http_answer(response: Any, error: BaseException | None = None) -> Seen | None:
    """Return what an HTTP answer says, whoever's class it is; None for one that is no error, or not to be read."""
    status = next((s for n in ("status_code", "status") if isinstance(s := getattr(response, n, None), int)), None)
    headers = getattr(response, "headers", None)
    if status is None or status < 400:  # noqa: PLR2004 - HTTP's own line between answers and errors
        return None
    kind = str(headers.get("x-amzn-ErrorType") or headers.get("x-amzn-errortype") or "") if headers else ""
    body: Any = b""
    for name in ("content", "text", "data", "body"):
        try:
            body = getattr(response, name, b"")
        except Exception:  # noqa: BLE001, S112 - a stream that was not read, or is closed: the headers must do
            continue
        if isinstance(body, (bytes, str)) and body:
            break
    return _read(body, status, kind, error)


def _read(body: Any, status: int, kind: str, error: BaseException | None) -> Seen:
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return Seen(_bare(kind), str(body), status, error=error)
    inner = body.get("error", body) if isinstance(body, dict) else {}
    inner = inner if isinstance(inner, dict) else {"message": inner}
    code = kind or inner.get("__type") or inner.get("code") or inner.get("Code") or inner.get("type") or ""
    message = inner.get("message") or inner.get("Message") or ""
    return Seen(_bare(str(code)), str(message), status, error=error)


def _bare(code: str) -> str:
    """Return a code without its namespace: `com.amazon#X`, `X:http://...`."""
    return code.partition(":")[0].rpartition("#")[2].strip()


def named(error: BaseException, known: Catalogue) -> Seen | None:
    """Return an exception that the catalogue knows by the name of its class, or of one that it descends from."""
    for kind in type(error).__mro__[:-2]:
        if kind.__name__ in known.by_code:
            return Seen(kind.__name__, _said(error), error=error)
    return None


def _said(error: object) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is, still is one
        return ""


def held(error: BaseException) -> Fault | None:
    """Return the fault that an exception of this package carries."""
    fault = getattr(error, "fault", None)
    return fault if isinstance(fault, Fault) else None


def told(x: Any) -> str:
    """Return the text of an error that is not one: each link of an exception's chain on a line, the root first."""
    if isinstance(x, dict) and "Error" not in x:
        return json.dumps(x, default=str)  # an answer that may be a refusal: a filter's, a guardrail's
    if isinstance(x, BaseException):
        return "\n".join(_line(link) for link in reversed(list(chain(x))))
    seen = boto3_answer(x) if isinstance(x, dict) else http_answer(x)
    return _sentence(seen) if seen else _said(x)


def _line(link: BaseException) -> str:
    seen = answer(link)
    return _sentence(seen) if seen and (seen.code or seen.message) else f"{type(link).__name__}: {_said(link)}"


def _sentence(seen: Seen) -> str:
    operation = f" when calling the {seen.operation} operation" if seen.operation else ""
    status = f" (status code: {seen.status})" if seen.status else ""
    return f"An error occurred ({seen.code}){operation}: {seen.message}{status}"
