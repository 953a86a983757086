"""One record of a batch, answered on demand, as a line of a job's output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_bedrock_inference.dialects.media_json import plain_json, with_bytes
from aws_bedrock_inference.exceptions import BedrockError, ClientClosed
from aws_bedrock_inference.knowledge.every_record import hits_every_record, passes_soon
from aws_bedrock_inference.knowledge.masking import masked

if TYPE_CHECKING:
    from aws_bedrock_inference.clients.client import BedrockClient

CONVERSE = "Converse"

_BAD_REQUEST, _NO_STATUS = 400, 500
_LONGEST_MESSAGE = 500

# Seconds until a record is asked again whose fault does not say when it is over: the client has repeated it already.
_AGAIN = 30.0


class JobBroken(Exception):
    """A fault that every record of the job would meet; the message says what it is and what to do."""


class Asked(NamedTuple):
    """The line of a record in the output: with its answer, or with its error in the place of that. `again` is the
    number of seconds after which the fault may be over, None for one that lasts.
    """

    line: dict[str, Any]
    again: float | None = None


def asked(client: BedrockClient, model: str, record: dict[str, Any], invocation: str) -> Asked:
    """Ask one record. Raises `JobBroken`, and `ClientClosed` if the client was closed meanwhile."""
    again = None
    try:
        return Asked({**record, "modelOutput": _answer(client, model, record["modelInput"], invocation)})
    except ClientClosed:
        raise
    except BedrockError as error:
        if hits_every_record(error.fault):
            raise JobBroken(f"{error.fault}. {error.advice}") from error
        refused = isinstance(error, ValueError)
        again = (error.retry_after or _AGAIN) if passes_soon(error.fault) else None
        code, message = error.fault.status or (_BAD_REQUEST if refused else _NO_STATUS), str(error.fault)
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this record and ends no job
        code, message = _BAD_REQUEST, f"{type(error).__name__}: {masked(str(error)[:_LONGEST_MESSAGE])}"
    return Asked({**record, "error": {"errorCode": code, "errorMessage": message}}, again)


def _answer(client: BedrockClient, model: str, body: dict[str, Any], invocation: str) -> Any:
    if invocation == CONVERSE:
        reply = client.converse(modelId=model, **with_bytes(body))
        return plain_json({name: value for name, value in reply.items() if name != "ResponseMetadata"})
    content = client.invoke_model(modelId=model, body=json.dumps(body))["body"].read()
    try:
        return json.loads(content)
    except ValueError:
        return content.decode(errors="replace")
