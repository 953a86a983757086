"""Functions of AWS's troubleshooting page that call `client.invoke` and `client.invoke_stream`.

The page uses a global `client`; here, the client is a keyword argument. A client of this package already retries.
Therefore these functions retry only two kinds of failures: a stream that broke after its beginning, and a failure of a
client that does not retry.
"""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock as clocks
from aws_bedrock_inference.bounds import is_number, shown
from aws_bedrock_inference.compat.errors import named, worth_repeating
from aws_bedrock_inference.compat.retries import calculate_backoff, retry_with_exponential_backoff
from aws_bedrock_inference.dialects.content import text_of
from aws_bedrock_inference.dialects.filtered import filtered_of
from aws_bedrock_inference.dialects.usage import CONTENT_FILTERED, FILTERED, stop_reason
from aws_bedrock_inference.exceptions import InvalidRequest
from aws_bedrock_inference.fault import Kind
from aws_bedrock_inference.knowledge.reading import attribute
from aws_bedrock_inference.log import LOGGER
from aws_bedrock_inference.made import FilteredContent
from aws_bedrock_inference.resilience.functions import known_fault
from aws_bedrock_inference.resilience.targets import is_async
from aws_bedrock_inference.switch import policies_are_off

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from aws_bedrock_inference.clock import Chance
    from aws_bedrock_inference.fault import Fault

INTERRUPTED = "\n[Stream was interrupted. Retrying...]\n"
RESTRICTED = "I'm unable to provide a response to that prompt due to content restrictions."

# The words with which the page logs each kind of failure.
_INVALID, _MODEL, _UNEXPECTED = "Invalid request", "Model error", "Unexpected error"

_FILTER_CAUSES = frozenset({"content-filtered", "guardrail-blocked"})
_FILTER_WORDS = ("content filter",)  # also matches "content filtering"


def invoke_with_retry(
    prompt: str,
    max_retries: int = 3,
    *,
    client: Any = None,
    sleep: Callable[[float], None] = clocks.sleep,
    chance: Chance = clocks.chance,
) -> Any:
    """Return the answer of `client.invoke(prompt=prompt)`. Failed calls are retried with
    `retry_with_exponential_backoff`.

    If the last attempt fails, the failure is logged and the result is None.
    """
    invoke, handled = client_method(client, "invoke", "invoke_with_retry"), sys.exception()
    try:
        return retry_with_exponential_backoff(
            lambda: invoke(prompt=prompt), max_retries=max_retries, sleep=sleep, chance=chance
        )
    except Exception as error:  # noqa: BLE001 - the page returns None for each of them
        fault = known_fault(error, handled)
        invalid = fault.kind is Kind.INVALID or isinstance(error, InvalidRequest)
        LOGGER.warning(
            "%s: %s", _INVALID if invalid else _MODEL if fault.kind is Kind.MODEL else _UNEXPECTED, named(fault)
        )
        return None


def stream_with_retry(
    prompt: str,
    max_retries: int = 3,
    *,
    client: Any = None,
    sleep: Callable[[float], None] = clocks.sleep,
    chance: Chance = clocks.chance,
) -> Iterator[str]:
    """Yield the pieces of `client.invoke_stream(prompt=prompt)`. If the stream breaks, request the answer again.

    After a break, the text `INTERRUPTED` is yielded, and then the whole answer from its beginning. If the stream
    breaks in every attempt, the exception of the last attempt is raised.
    """
    invoke_stream = client_method(client, "invoke_stream", "stream_with_retry")
    if not is_number(max_retries, least=0, whole=True):
        raise ValueError(f"max_retries={shown(max_retries)}: pass a whole number, 0 or more")
    retries = 0 if policies_are_off() else max_retries
    return _pieces(lambda: invoke_stream(prompt=prompt), retries, sleep, chance)


def _pieces(
    begin: Callable[[], Any], max_retries: int, sleep: Callable[[float], None], chance: Chance
) -> Iterator[str]:
    retries = 0
    while True:
        delivered, handled = False, sys.exception()
        try:
            with closing(_read(begin())) as pieces:
                for piece in pieces:
                    delivered = True
                    yield piece
        except Exception as error:
            fault = known_fault(error, handled)
            if retries >= max_retries or not worth_repeating(fault, retries + 1):
                raise
        else:
            return
        retries += 1
        seconds = max(calculate_backoff(retries, chance=chance), fault.stated_wait)
        LOGGER.warning("Stream error: %s. Retrying (%d/%d) after %.2fs...", named(fault), retries, max_retries, seconds)
        sleep(seconds)
        if delivered:
            yield INTERRUPTED


def _read(stream: Any) -> Generator[str]:
    """Yield the pieces of a stream, and close it when its consumer stops reading."""
    try:
        yield from stream
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


def safe_invoke(prompt: str, fallback_message: str | None = None, *, client: Any = None) -> dict[str, Any]:
    """Return the answer of `client.invoke(prompt=prompt)` as a dictionary with two texts, `output` and `stop_reason`.

    If the content was filtered, `output` is `fallback_message`, or by default a sentence of apology. Filtered content
    is recognized by a stop reason such as `content_filtered`, `guardrail_intervened` or `refusal`. It is also
    recognized by an error that reports filtered content; `stop_reason` is then `content_filtered`. All other errors are
    raised.
    """
    invoke, handled = client_method(client, "invoke", "safe_invoke"), sys.exception()
    fallback = fallback_message or RESTRICTED
    try:
        answer = invoke(prompt=prompt)
    except Exception as error:
        if not _is_filtered(known_fault(error, handled)):
            raise
        return {"output": fallback, "stop_reason": CONTENT_FILTERED}
    reason = stop_reason(answer if isinstance(answer, dict) else {"stop_reason": attribute(answer, "stop_reason")})
    if reason.lower() in FILTERED and not _is_partial(answer):
        return {"output": fallback, "stop_reason": reason}
    return {"output": _text(answer), "stop_reason": reason}


def _is_filtered(fault: Fault) -> bool:
    """Return True if the message of an error reports that content was filtered. Only the service's message is read, not
    the advice that this package adds to the error.
    """
    return fault.cause in _FILTER_CAUSES or any(words in fault.message.lower() for words in _FILTER_WORDS)


def _is_partial(answer: Any) -> bool:
    """Return True if a guardrail masked only some words of an answer, and the rest of the answer was returned."""
    filtered = filtered_of(answer) if isinstance(answer, dict) else attribute(answer, "filtered")
    return isinstance(filtered, FilteredContent) and filtered.partial


def _text(answer: Any) -> str:
    """Return the text of an answer: a `Reply`, boto3's dictionary, a body in a model's own format, or the answer of
    another client.
    """
    text = attribute(answer, "text")
    if isinstance(text, str):
        return text
    if not isinstance(answer, dict):
        return "" if answer is None else str(answer)
    output = answer.get("output")
    message = output.get("message") if isinstance(output, dict) else answer
    if isinstance(message, dict) and isinstance(message.get("content"), list):
        return text_of(message["content"])
    return str(answer if output is None else output)


def client_method(client: Any, name: str, function: str) -> Any:
    """Return the method `name` of the client that the caller passed. Raises `TypeError` if the client does not have
    the method or is an asyncio client.
    """
    method = getattr(client, name, None)
    if not callable(method):
        given = "" if client is None else f"; the type {type(client).__name__} has no method {name}()"
        raise TypeError(f"{function}() needs a client: pass client=BedrockClient(model_id){given}")
    if is_async(method):
        raise TypeError(
            f"{function}() cannot await: pass a blocking client, such as BedrockClient, not {type(client).__name__}"
        )
    return method
