"""Create the call for one record, and write its answer in the format of the record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_bedrock_inference import clock
from aws_bedrock_inference.batch.answer_lines import answer_line, made_by
from aws_bedrock_inference.call import Outcome, Route
from aws_bedrock_inference.dialects.media_json import plain_json, with_bytes
from aws_bedrock_inference.dialects.usage import stop_reason
from aws_bedrock_inference.fault import Decision, Fault
from aws_bedrock_inference.knowledge.classify import unanswered
from aws_bedrock_inference.knowledge.masking import masked
from aws_bedrock_inference.raising import error_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aws_bedrock_inference.batch.records import Record
    from aws_bedrock_inference.clients.aclient import AsyncBedrockClient
    from aws_bedrock_inference.clock import Clock

_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one record: its line in the output file, and the model's stop reason in lower case."""

    line: dict[str, Any]
    stop_reason: str


def asker(
    client: AsyncBedrockClient,
    *,
    system: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    tier: str | None = None,
    streamed: Callable[[Record], bool] = lambda _: False,
    wall: Clock = clock.wall,
) -> Callable[[Record], Awaitable[Answer]]:
    """Return a function that sends one record through `client`.

    `system`, `max_tokens` and `temperature` are defaults for records in the short form (`{"id": ..., "prompt": ...}`).
    `tier` is the service tier of each record that does not set a tier. Records in Bedrock's batch format are sent
    unchanged, apart from this tier. `streamed` returns True for a record whose answer is to be received as a stream. A
    streamed answer is accepted only if it is complete.
    """

    async def ask(record: Record) -> Answer:
        request = request_of(record, tier=tier, system=system, max_tokens=max_tokens, temperature=temperature)
        if "body" in request:
            response = await client.invoke_model(**request)
            return batch_answer(record.source, _native(response["body"].read()), client.model_id, wall())
        reply = await client.invoke(**request, stream=streamed(record))
        if record.is_prompt:
            return Answer(answer_line(record, reply, wall()), reply.stop_reason)
        output = {key: reply[key] for key in reply if key != "ResponseMetadata"}
        return batch_answer(record.source, output, client.model_id, wall())

    return ask


def request_of(record: Record, *, tier: str | None = None, **defaults: Any) -> dict[str, Any]:
    """Return the arguments of the call for `record`.

    If the returned arguments contain a body, pass them to `invoke_model`. Otherwise pass them to `invoke`. The defaults
    apply to records in the short form (`{"id": ..., "prompt": ...}`). `tier` applies to every record that does not set
    a tier.
    """
    if record.is_prompt:
        arguments = record.arguments
        ours = defaults if "serviceTier" in arguments else {**defaults, "tier": tier}
        return {**{name: value for name, value in ours.items() if value is not None}, **arguments}
    body = record.source["modelInput"]
    if not record.is_converse:
        return {"body": json.dumps(body), **({} if tier is None else {"serviceTier": tier})}
    return {**({} if tier is None else {"serviceTier": {"type": tier}}), **with_bytes(body)}


def error_line(fault: Fault, attempts: int) -> dict[str, Any]:
    """Return the error of a record, as an object for the failures file.

    The names `errorCode` and `errorMessage` are those that Bedrock's batch inference uses in its output.
    """
    return {
        "errorCode": fault.status,
        "errorMessage": fault.message,
        "code": fault.code,
        "cause": fault.cause,
        "advice": fault.advice,
        "decision": fault.decision.value,
        "attempts": attempts,
        "requestId": fault.request_id,
    }


def unexpected(error: Exception) -> Fault:
    """Return the fault of a record for which `error` was raised outside the call.

    This happens if no request can be created from the record, or if the model's answer cannot be read.
    """
    return Fault(
        code=type(error).__name__,
        message=masked(_text(error)[:_LONGEST_MESSAGE]),
        decision=Decision.FAIL,
        cause="unexpected",
        advice="No request could be created from the record, or its answer could not be read. Simplify the record; "
        "if it is valid, report this as a bug of aws_bedrock_inference.",
    )


def _text(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the text of an error may itself fail
        return ""


def _native(body: bytes) -> Any:
    """Return the JSON in the body of a model's answer. If the body is not JSON, return it as text."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


def batch_answer(source: dict[str, Any], output: Any, model: str, at: float) -> Answer:
    """Return the answer to a record in the format of Bedrock's batch inference."""
    try:
        plain = plain_json(output)
    except (TypeError, ValueError, RecursionError):
        fault = unanswered(None, code="MalformedResponse", message="the answer cannot be written as JSON")
        raise error_of(Outcome(fault=fault), "invoke_model", Route(model)) from None
    line = {
        "recordId": source["recordId"],
        "modelInput": source["modelInput"],
        "modelOutput": plain,
        **made_by(model, at),
    }
    return Answer(line, stop_reason(plain).lower() if isinstance(plain, dict) else "")
